/* What a user may ask of a run, and what becomes of the run then.
 *
 * Layer: daemon/queue. Thread rule: pure functions and constants.
 */
#ifndef CUTOUTD_DAEMON_QUEUE_RUN_ACTION_H
#define CUTOUTD_DAEMON_QUEUE_RUN_ACTION_H

#include "daemon/store/table/run_table.h"

enum run_action {
    RUN_ACTION_CANCEL,  /* running: checkpoint first */
    RUN_ACTION_KILL,    /* running: at once */
    RUN_ACTION_PAUSE,   /* running only: checkpoint first */
    RUN_ACTION_RESUME,  /* paused -> queued */
    RUN_ACTION_HOLD,    /* queued -> held */
    RUN_ACTION_RELEASE, /* held -> queued */
    RUN_ACTION_REQUEUE, /* failed, canceled -> queued; goes on from its last checkpoint */
    RUN_ACTION_COUNT,
    /* Deletes what is not running. No action of a single run's path: it has no rule and no name. */
    RUN_ACTION_DELETE = RUN_ACTION_COUNT,
};

struct run_action_rule {
    const char *name;         /* "cancel" */
    unsigned from;            /* bits 1u << RUN_QUEUED ...: where it moves the row itself */
    enum run_state to;        /* there */
    enum run_request request; /* what a running run is asked; RUN_REQUEST_NONE: it refuses */
    bool next_attempt;
    const char *reason; /* of the state it leads to */
};

const struct run_action_rule *run_action_rule(enum run_action action);

/* False: no such action; *ret is not touched. */
bool run_action_from_name(const char *name, enum run_action *ret);

/* Whether a run in this state, with what was asked of it already, can be asked for this. */
bool run_action_allowed(enum run_action action, enum run_state state, enum run_request request);

/* What an action on a whole sweep asks of one of its runs. Pausing holds the queued ones, which
 * would start in place of the paused ones otherwise; resuming releases them. */
enum run_action run_action_within_sweep(enum run_action asked, enum run_state state);

/* Where a running run goes that was asked for this (not RUN_REQUEST_NONE), and why. */
enum run_state run_request_state(enum run_request request);
const char *run_request_reason(enum run_request request);

#endif
