/* The states of a run and the moves between them.
 *
 * Layer: daemon/store (pure values, below everything else in it). Thread rule: pure functions.
 *
 *                   ┌──────────────── requeue ────────────────┐
 *                   ▼                                          │
 *  submit ───► ┌────────┐  claim  ┌─────────┐  last epoch ┌───────────┐
 *              │ queued │ ──────► │ running │ ──────────► │ succeeded │
 *              └────────┘ ◄────── └─────────┘             └───────────┘
 *               │  ▲   │  stop,     │  │  │     error      ┌────────┐
 *          hold │  │   │  crash     │  │  └──────────────► │ failed │ ── requeue ─► queued
 *               ▼  │ release        │  │ pause             └────────┘
 *              ┌────────┐           │  ▼
 *              │  held  │           │ ┌────────┐ resume
 *              └────────┘           │ │ paused │ ───────────────────► queued
 *                   │  │            │ └────────┘
 *                   │  └─ cancel ─┐ │     │ cancel        ┌──────────┐
 *    queued ─ cancel┴─────────────┴─┴─────┴─────────────► │ canceled │ ── requeue ─► queued
 *                                                         └──────────┘
 *
 * queued and held also fail, when a run that they come after fails or is canceled.
 *
 * States are stored and shown by name, never by number.
 */
#ifndef CUTOUTD_DAEMON_STORE_RUN_STATE_H
#define CUTOUTD_DAEMON_STORE_RUN_STATE_H

#include <stdbool.h>
#include <stddef.h>

enum run_state {
    RUN_QUEUED,
    RUN_HELD,
    RUN_RUNNING,
    RUN_PAUSED,
    RUN_SUCCEEDED,
    RUN_FAILED,
    RUN_CANCELED,
    RUN_STATE_COUNT,
};

/* "queued". Never NULL. */
const char *run_state_name(enum run_state state);

/* False: no such state; *ret is not touched. */
bool run_state_from_name(const char *name, enum run_state *ret);

/* Whether the table has the move. */
bool run_state_may_move(enum run_state from, enum run_state to);

/* Nothing more will happen to it by itself: succeeded, failed, canceled. */
bool run_state_is_final(enum run_state state);

/* The names of the states that `from` may move to, "running, held, canceled", into text[size]. */
void run_state_moves_text(enum run_state from, char *text, size_t size);

#endif
