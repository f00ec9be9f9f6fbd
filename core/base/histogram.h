/* How often something took how long, counted without locks.
 *
 * Layer: core/base. Thread rule: all functions from any thread; the bounds never change.
 */
#ifndef CUTOUTD_CORE_BASE_HISTOGRAM_H
#define CUTOUTD_CORE_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

enum { HISTOGRAM_MAX_BOUNDS = 14 };

/* Upper bounds in seconds, growing. */
struct histogram_bounds {
    int n;
    double seconds[HISTOGRAM_MAX_BOUNDS];
};

struct histogram {
    const struct histogram_bounds *bounds;
    atomic_uint_least64_t counts[HISTOGRAM_MAX_BOUNDS + 1]; /* the last: above all bounds */
    atomic_uint_least64_t sum_ns;
};

/* What it was at about one moment. */
struct histogram_reading {
    uint64_t n_up_to[HISTOGRAM_MAX_BOUNDS]; /* of values <= each bound */
    uint64_t n;
    double sum_s;
};

/* A zeroed histogram with these bounds, which must outlive it. */
void histogram_init(struct histogram *histogram, const struct histogram_bounds *bounds);

/* Values below 0 and NaN count as 0, those above 1e9 as that. */
void histogram_add(struct histogram *histogram, double seconds);

void histogram_read(const struct histogram *histogram, struct histogram_reading *ret_reading);

#endif
