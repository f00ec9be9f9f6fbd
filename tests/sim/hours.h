/* The quiet hours of a seed, and what of the clock a task could know.
 *
 * Thread rule: one thread.
 */
#ifndef CUTOUTD_TESTS_SIM_HOURS_H
#define CUTOUTD_TESTS_SIM_HOURS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/config/quiet_hours.h"
#include "tests/sim/stream.h"

/* In the driver: of a seed that has them. */
void hours_choose(struct stream *choices);

/* For the daemon's config; none where the seed has none. */
struct quiet_hours hours_of_config(void);

/* Whether it is quiet at that time; the next time at which that changes, 0: never. */
bool hours_hold(int64_t at_ms);
int64_t hours_change(int64_t at_ms);

/* Somebody in the process reads the clock. */
void hours_on_reading(int64_t now_ms);

/* Whoever read that quiet time had read one before that was not: it could not know better. */
bool hours_began_meanwhile(int64_t at_ms);

/* The process is gone. */
void hours_reset(void);

#endif
