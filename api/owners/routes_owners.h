/* Who uses the daemon.
 *
 * Layer: api. Thread rule: as api/routes/routes.h.
 */
#ifndef CUTOUTD_API_OWNERS_ROUTES_OWNERS_H
#define CUTOUTD_API_OWNERS_ROUTES_OWNERS_H

#include "api/routes/routes.h"

/* routes_owners.c */
handler route_owner_list;

/* routes_audit.c */
handler route_audit;

/* routes_token.c */
handler route_token;

#endif
