/* Upkeep of the database: how old the queue is, which runs there are, what is old enough to go.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_QUERY_UPKEEP_H
#define CUTOUTD_DAEMON_STORE_QUERY_UPKEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "daemon/store/store.h"

/* When the oldest queued run was submitted (Unix ms); 0: nothing is queued. */
enum status upkeep_oldest_queued(struct store *store, int64_t *ret_created_ms, struct error *error);

/* The highest id that was ever given to a run, also when that run is gone; 0: none was. */
enum status upkeep_last_run_id(struct store *store, int64_t *ret_id, struct error *error);

/* The path of the store's database file. */
void upkeep_path(struct store *store, char *ret_path, size_t size);

/* The ids of all runs, in order. The caller owns *ret_ids (free). */
enum status upkeep_list_runs(struct store *store, int64_t **ret_ids, size_t *ret_n,
                             struct error *error);

/* Runs that have been final since before `before_ms` and still have checkpoints of kind last,
 * oldest first. The caller owns *ret_ids (free). */
enum status upkeep_list_finished(struct store *store, int64_t before_ms, int64_t **ret_ids,
                                 size_t *ret_n, struct error *error);

/* Forgets the run's checkpoints of kind last, if it is still final since before `before_ms`
 * (*ret_done: it was). The files are the caller's. */
enum status upkeep_forget_last(struct store *store, int64_t run_id, int64_t before_ms,
                               int64_t now_ms, bool *ret_done, struct error *error);

#endif
