/* Axes: where a value lies, and which ticks people would draw.
 *
 * Layer: api. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_API_FIGURE_PLOT_AXIS_H
#define CUTOUTD_API_FIGURE_PLOT_AXIS_H

#include <stdbool.h>

struct plot_axis {
    double low, high; /* low < high; with log above 0 */
    bool log;
    double from, to; /* where these two lie on the page */
};

double plot_axis_at(const struct plot_axis *axis, double value);

enum { PLOT_MOST_TICKS = 24, PLOT_TICK_SIZE = 32 };

struct plot_ticks {
    int n;
    double values[PLOT_MOST_TICKS]; /* rising */
    int decimals; /* of all of them, as many as one needs; -1: each as many as it needs */
};

/* At most PLOT_MOST_TICKS, no two nearer than `gap` unless there would be only one. Linear: 1, 2 or
 * 5 times a power of ten apart. Log: 10 stays longest, then 20 and 60, then the others; coarse:
 * only 10 and 30. whole: none between whole numbers. */
void plot_axis_ticks(const struct plot_axis *axis, double gap, bool coarse, bool whole,
                     struct plot_ticks *ret_ticks);

/* "1,500", "0.10", with a true minus. Returns ret_text. */
const char *plot_tick_text(const struct plot_ticks *ticks, double value,
                           char ret_text[PLOT_TICK_SIZE]);

#endif
