/* Events and what followers are shown as JSON: the `data` of what a stream sends.
 *
 * Layer: api. Thread rule: pure functions on their arguments; event_snapshot_json reads the store
 * and the progress board.
 */
#ifndef CUTOUTD_API_VIEW_EVENT_VIEW_H
#define CUTOUTD_API_VIEW_EVENT_VIEW_H

#include "api/context.h"
#include "daemon/store/query/watch.h"
#include "daemon/work/progress.h"

/* False for the event of an epoch whose row is gone, because the run began anew: it is not told. */
bool event_is_told(const struct event_row *event);

/* {"run":"1","at":"..","epoch":3,...}. Owned by the caller (free); NULL: memory ran out. */
char *event_json(const struct event_row *event);

/* Where a running run is at this moment. Owned by the caller (free); NULL: memory ran out. */
char *event_step_json(const struct progress *progress);

/* The whole run; of a sweep and of everything the number of runs in each state, and short rows of
 * those that are not final. Links begin with `prefix`. Owned by the caller (free); NULL: memory ran
 * out. */
char *event_snapshot_json(const struct api_context *context, const struct watch *watch,
                          const struct watch_snapshot *snapshot, const char *prefix);

/* What is left to say of a run or sweep that was deleted. Owned by the caller (free); NULL: memory
 * ran out. */
char *event_deleted_json(const struct watch *watch);

/* Whether nothing more may happen in a sweep after a run has come to this state: it has ended, or
 * paused and was ranked out. */
bool event_may_end_sweep(enum run_state state);

#endif
