/* Layer: core/base. */
#include "core/base/histogram.h"

#include <math.h>
#include <string.h>

/* Of one value, so that its nanoseconds can be added. */
#define MOST_SECONDS 1e9

void histogram_init(struct histogram *histogram, const struct histogram_bounds *bounds) {
    memset(histogram, 0, sizeof(*histogram));
    histogram->bounds = bounds;
}

void histogram_add(struct histogram *histogram, double seconds) {
    double value = seconds > 0 ? fmin(seconds, MOST_SECONDS) : 0;
    int i = 0;
    while (i < histogram->bounds->n && value > histogram->bounds->seconds[i]) {
        i++;
    }
    atomic_fetch_add_explicit(&histogram->counts[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum_ns, (uint64_t)(value * 1e9), memory_order_relaxed);
}

void histogram_read(const struct histogram *histogram, struct histogram_reading *ret_reading) {
    uint64_t n = 0;
    for (int i = 0; i < histogram->bounds->n; i++) {
        n += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        ret_reading->n_up_to[i] = n;
    }
    /* Counted from the parts, so that the whole is never less than one of them. */
    ret_reading->n =
        n + atomic_load_explicit(&histogram->counts[histogram->bounds->n], memory_order_relaxed);
    ret_reading->sum_s =
        (double)atomic_load_explicit(&histogram->sum_ns, memory_order_relaxed) * 1e-9;
}
