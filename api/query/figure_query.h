/* How the figure of a comparison is to look: the arguments that the page's address has as well.
 *
 * Layer: api. Thread rule: belongs to the thread that serves the request.
 */
#ifndef CUTOUTD_API_QUERY_FIGURE_QUERY_H
#define CUTOUTD_API_QUERY_FIGURE_QUERY_H

#include "api/http/reply.h"
#include "api/http/request.h"

/* For the table of routes, beside those of the comparison. */
#define FIGURE_ARGUMENTS "theme, width, height, title, y, x_log, unit, seeds, smooth, zoom, hide"

enum figure_scale { FIGURE_SCALE_AUTO, FIGURE_SCALE_LINEAR, FIGURE_SCALE_LOG };

enum { FIGURE_MOST_SMOOTH = 101 };

struct figure_query {
    bool dark;
    int64_t width; /* points */
    int64_t height;
    const char *title; /* "": none; borrowed from the request, as `hide` */
    enum figure_scale y_scale;
    bool x_log;
    bool fraction;    /* errors as 0.06, not 6 % */
    bool each_seed;   /* the runs beside their mean, instead of a band */
    int64_t smooth;   /* median of so many epochs; 0 or 1: not */
    double zoom[4];   /* x from, to, y from, to in the comparison's units; NaN: all */
    const char *hide; /* groups that are left out, "2,32"; NULL: none */
};

/* theme=, as pictures of other kinds have it too. False: *reply says what is wrong. */
bool figure_query_theme(const struct request *request, struct reply *reply, bool *ret_dark);

/* The smallest and largest sides, in points. */
struct figure_sides {
    int64_t min_width, max_width, min_height, max_height;
};

/* False: *reply says what is wrong. */
bool figure_query_read(const struct request *request, struct reply *reply,
                       const struct figure_sides *sides, struct figure_query *ret_query);

/* Whether `hide` has this text of n bytes among its commas. */
bool figure_query_hides(const struct figure_query *query, const char *text, size_t n);

#endif
