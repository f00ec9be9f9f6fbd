/* What is done to old rows while the daemon runs, in steps that are each a short commit.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_CHANGE_OLD_ROWS_H
#define CUTOUTD_DAEMON_STORE_CHANGE_OLD_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/store/store.h"

/* Deletes some of the oldest events, in order of ids up to the first that is not older than
 * before_ms; histories and runs stay. Notes up to which id and time events are gone, for followers
 * (query/event_list.h). *ret_n: how many were deleted; 0: none is old enough. */
enum status old_events_delete(struct store *store, int64_t before_ms, int *ret_n,
                              struct error *error);

/* Takes name, priority and labels, which are columns, out of some config_json of runs that were
 * stored before migration 0009. *ret_more: there are others. */
enum status old_configs_rewrite(struct store *store, bool *ret_more, struct error *error);

#endif
