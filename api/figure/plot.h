/* A plot of curves with spread: axes, ticks, a target line, a legend.
 *
 * Layer: api. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_API_FIGURE_PLOT_H
#define CUTOUTD_API_FIGURE_PLOT_H

#include "api/figure/canvas.h"

struct plot_point {
    double x;
    double mean; /* not finite: the curve has a gap */
    double std;  /* not finite: no band here */
};

struct plot_series {
    const char *label; /* UTF-8 */
    const struct plot_point *points;
    size_t n;
};

/* All pointers are borrowed. */
struct plot {
    const char *title; /* "": none */
    const char *x_label;
    bool x_is_count; /* of epochs, say: no ticks between whole numbers */
    const char *y_label;
    const struct plot_series *series; /* [n_series], the legend has their order */
    size_t n_series;
    double target; /* NaN: no line */
    bool rising;   /* good is up: the legend goes where such curves leave room */
    bool dark;     /* for a dark page */
    double width;  /* points (1/72 inch) */
    double height;
};

enum { PLOT_MIN_WIDTH = 150, PLOT_MAX_WIDTH = 2000, PLOT_MIN_HEIGHT = 100, PLOT_MAX_HEIGHT = 2000 };

/* Two pixels of a PNG for each point. A plot without a single finite number says so in the picture.
 * *ret_bytes is owned by the caller (free). STATUS_NO_MEMORY, STATUS_INTERNAL. */
enum status plot_draw(const struct plot *plot, enum figure_format format, char **ret_bytes,
                      size_t *ret_n_bytes, struct error *error);

/* Where ticks go: the first one at or above `low` and the distance, 1, 2 or 5 times a power of ten,
 * so that about `n` fit below `high`; a distance below `least` becomes `least`. low < high. */
void plot_ticks(double low, double high, int n, double least, double *ret_first, double *ret_step);

#endif
