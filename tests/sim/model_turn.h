/* Whose turn it is, by what owners have used: computed from the log of events.
 *
 * The daemon charges a run at reports that leave no event as well, and forgets exponentially, so
 * the model knows what an owner has used between two bounds. Thread rule: model.h.
 */
#ifndef CUTOUTD_TESTS_SIM_MODEL_TURN_H
#define CUTOUTD_TESTS_SIM_MODEL_TURN_H

#include "tests/sim/model.h"

enum { TURN_HALF_LIFE_S = 3600 };

/* The run starts at that time, reports, or is running no more. */
void turn_on_start(struct wanted *w, int64_t at_ms);
void turn_on_report(struct wanted *w, int64_t at_ms);
void turn_on_end(struct wanted *w, enum run_state to, int64_t at_ms);

/* Whether `other` has to be claimed before `claimed` at that time, both being ready. wanted[n]:
 * all runs, as they are before the claim. */
bool turn_is_before(const struct wanted *other, const struct wanted *claimed,
                    const struct wanted *wanted, int n, int64_t at_ms);

#endif
