/* When a run ends before its last epoch: the rules of the field `stop`.
 *
 * Layer: core/train. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_CORE_TRAIN_STOP_RULE_H
#define CUTOUTD_CORE_TRAIN_STOP_RULE_H

#include <stddef.h>

#include "core/config/run_config.h"
#include "core/train/train_state.h"

enum stop_rule { STOP_NONE, STOP_VAL_ERROR, STOP_PATIENCE, STOP_MAX_SECONDS, N_STOP_RULES };

/* "val_error", as the member of `stop` is called; "" for STOP_NONE. */
const char *stop_rule_name(enum stop_rule rule);

/* The first rule that holds after the last epoch of the state. Only epochs that the run trained
 * itself count, not what a fork took over. */
enum stop_rule stop_rule_find(const struct run_stop *stop, const struct train_state *state);

/* Why the run ends, for people; "" for STOP_NONE. */
void stop_rule_say(enum stop_rule rule, const struct run_stop *stop,
                   const struct train_state *state, char *text, size_t size);

/* Seconds that are left of max_seconds when the epoch under way has taken `epoch_seconds`; infinite
 * without that rule. */
double stop_rule_seconds_left(const struct run_stop *stop, const struct train_state *state,
                              double epoch_seconds);

#endif
