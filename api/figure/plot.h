/* A plot of curves with spread: axes, target, and a label at the end of each curve.
 *
 * Layer: api. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_API_FIGURE_PLOT_H
#define CUTOUTD_API_FIGURE_PLOT_H

#include "api/figure/looks.h"
#include "api/figure/plot_axis.h"

struct plot_point {
    double x;
    double mean; /* not finite: the curve has a gap */
    double std;  /* not finite: no band here */
    int n;       /* of how many runs */
    bool paused; /* some run of them was paused here for good */
};

/* The curve of one run of a group: the means alone are read. */
struct plot_seed {
    const struct plot_point *points;
    size_t n;
};

struct plot_series {
    const char *label; /* UTF-8 */
    const char *mark;  /* short, below the dot where it reached the target; NULL: none */
    struct look look;
    const struct plot_point *points; /* x rising; one without finite points is not shown at all */
    size_t n;
    const double *smooth; /* [n], drawn instead, with the points behind; NULL: not smoothed */
    const struct plot_seed *seeds; /* drawn instead of the band */
    size_t n_seeds;
    double reached; /* x where it reached the target; NaN: it did not, or nobody knows */
    double best;    /* what the curves are ranked by where there are many; NaN: behind all others */
};

enum plot_scale {
    PLOT_AUTO, /* log when the largest is more than five times the least, linear for what rises */
    PLOT_LINEAR,
    PLOT_LOG,
};

/* Where runs were compared, and the best of them went on. */
struct plot_rung {
    double x;
    int n_ranked;
    int n_promoted;
};

/* All pointers are borrowed. */
struct plot {
    const char *title; /* "": none */
    const char *x_label;
    bool x_is_count; /* of epochs, say: no ticks between whole numbers */
    bool x_log;
    const char *y_label;
    const char *y_unit; /* "%" or "" */
    enum plot_scale y_scale;
    const struct plot_series *series; /* [n_series] */
    size_t n_series;
    const struct plot_rung *rungs; /* [n_rungs] dotted lines */
    size_t n_rungs;
    double target;  /* NaN: no line */
    bool rising;    /* good is up */
    double zoom[4]; /* x from, to, y from, to; NaN: all there is */
    int median_of;  /* epochs, of `smooth` */
    bool dark;      /* for a dark page */
    double width;   /* points (1/72 inch) */
    double height;
};

/* More curves than PLOT_MOST_COLOURED: the best PLOT_BEST_COLOURED in their looks, the others thin
 * and grey, and a list of all. Of more than PLOT_MOST_DRAWN the best are drawn, and the picture
 * says so.
 */
enum { PLOT_MOST_COLOURED = 12, PLOT_BEST_COLOURED = 3, PLOT_MOST_DRAWN = 32 };

enum { PLOT_MIN_WIDTH = 150, PLOT_MAX_WIDTH = 2000, PLOT_MIN_HEIGHT = 100, PLOT_MAX_HEIGHT = 2000 };

/* Two pixels of a PNG for each point. A plot without a single finite number says so in the picture.
 * *ret_bytes is owned by the caller (free). STATUS_NO_MEMORY, STATUS_INTERNAL. */
enum status plot_draw(const struct plot *plot, enum figure_format format, char **ret_bytes,
                      size_t *ret_n_bytes, struct error *error);

#endif
