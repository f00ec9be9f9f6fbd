/* A curve and a plot of it, for the tests of figures. */
#ifndef CUTOUTD_TESTS_API_PLOT_FIXTURE_H
#define CUTOUTD_TESTS_API_PLOT_FIXTURE_H

#include <math.h>

#include "api/figure/plot.h"

static const struct plot_point falling[] = {{1, 0.5, 0.02, 2, false},
                                            {2, 0.4, (double)NAN, 2, false},
                                            {3, (double)NAN, (double)NAN, 0, false},
                                            {4, 0.2, 0.01, 1, false}};

static inline struct plot_series series_of(const char *label, const struct plot_point *points,
                                           size_t n) {
    return (struct plot_series){.label = label,
                                .look = look_of_m(2, false),
                                .points = points,
                                .n = n,
                                .best = (double)NAN,
                                .reached = (double)NAN};
}

static inline struct plot plot_of(const struct plot_series *series, size_t n_series) {
    return (struct plot){.title = "",
                         .x_label = "epoch",
                         .y_label = "validation error",
                         .y_unit = "",
                         .series = series,
                         .n_series = n_series,
                         .target = 0.06,
                         .zoom = {(double)NAN, (double)NAN, (double)NAN, (double)NAN},
                         .width = 240,
                         .height = 160};
}

#endif
