/* Layer: core/base. */
#include "core/base/clock.h"

#include <stddef.h>
#include <time.h>

static double system_monotonic_s(void *user) {
    (void)user;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int64_t system_unix_ms(void *user) {
    (void)user;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const struct clock clock_system = {NULL, system_monotonic_s, system_unix_ms};
