/* Time, handed in from outside so that tests can own it.
 *
 * Layer: core/base. Thread rule: the functions of a struct clock may be called from any thread.
 */
#ifndef CUTOUTD_CORE_BASE_CLOCK_H
#define CUTOUTD_CORE_BASE_CLOCK_H

#include <stdint.h>

struct clock {
    void *user;
    /* Seconds since an arbitrary start; never goes back. */
    double (*monotonic_s)(void *user);
    /* Milliseconds since 1970-01-01T00:00:00Z. */
    int64_t (*unix_ms)(void *user);
};

/* The machine's own clocks. */
extern const struct clock clock_system;

static inline double clock_monotonic_s(const struct clock *clock) {
    return clock->monotonic_s(clock->user);
}

static inline int64_t clock_unix_ms(const struct clock *clock) {
    return clock->unix_ms(clock->user);
}

#endif
