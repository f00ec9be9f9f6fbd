/* Which run may start when, and how many may wait: computed from the log of events.
 *
 * Thread rule: model.h.
 */
#ifndef CUTOUTD_TESTS_SIM_MODEL_CLAIMS_H
#define CUTOUTD_TESTS_SIM_MODEL_CLAIMS_H

#include "tests/sim/model.h"

/* `claimed` starts at that time by the clock that the daemon had. wanted[n]: all runs, as they are
 * before the claim. */
void claims_check(const struct wanted *claimed, const struct wanted *wanted, int n, int64_t at_ms);

/* It was running when it reported an epoch at that time. */
void claims_check_epoch(struct wanted *w, int64_t at_ms);

/* How many of the owner's runs are queued or held; possibly: also those that somebody has asked to
 * delete. */
int claims_count_waiting(int owner, bool possibly, const struct wanted *wanted, int n);

/* It has come into the queue by somebody's request: not beyond the limit. */
void claims_check_room(const struct wanted *w, const struct wanted *wanted, int n);

/* not_before is about to be set; the answer came. The events up to the answer were read: done means
 * that it was set. */
void start_time_ask(struct start_time *time, int64_t ms);
void start_time_answer(struct start_time *time, int64_t ms, bool done);

#endif
