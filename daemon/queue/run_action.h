/* What people may ask of a run, and in which states.
 *
 * Layer: daemon/queue (pure values; daemon/store uses them as well). Thread rule: pure functions.
 *
 *   cancel    queued, held, running, paused -> canceled; a running one writes a checkpoint first
 *   kill      the same without the checkpoint
 *   pause     running -> paused, after a checkpoint
 *   resume    paused -> queued
 *   hold      queued -> held
 *   release   held -> queued
 *   requeue   failed, canceled -> queued; it goes on from its last checkpoint
 */
#ifndef CUTOUTD_DAEMON_QUEUE_RUN_ACTION_H
#define CUTOUTD_DAEMON_QUEUE_RUN_ACTION_H

#include "daemon/queue/run_state.h"

enum run_action {
    RUN_ACTION_CANCEL,
    RUN_ACTION_KILL,
    RUN_ACTION_PAUSE,
    RUN_ACTION_RESUME,
    RUN_ACTION_HOLD,
    RUN_ACTION_RELEASE,
    RUN_ACTION_REQUEUE,
    RUN_ACTION_COUNT,
};

/* "cancel". Never NULL. */
const char *run_action_name(enum run_action action);

/* False: no such action; *ret is not touched. */
bool run_action_from_name(const char *name, enum run_action *ret);

/* Whether a run in `state` may be asked. */
bool run_action_is_allowed(enum run_action action, enum run_state state);

/* Where it leads. */
enum run_state run_action_target(enum run_action action);

/* Why the run is there then: "canceled by the user"; "" where there is nothing to say. */
const char *run_action_reason(enum run_action action);

/* The names of the actions that `state` allows, "cancel, kill, hold", into text[size]. */
void run_action_allowed_text(enum run_state state, char *text, size_t size);

#endif
