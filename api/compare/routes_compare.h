/* Runs beside each other, as numbers and as pictures.
 *
 * Layer: api. Thread rule: as api/routes/routes.h.
 */
#ifndef CUTOUTD_API_COMPARE_ROUTES_COMPARE_H
#define CUTOUTD_API_COMPARE_ROUTES_COMPARE_H

#include "api/routes/routes.h"

/* routes_compare.c */
handler route_compare;

/* routes_figures.c */
handler route_figure_curves;

/* routes_cutout.c */
handler route_figure_cutout;

#endif
