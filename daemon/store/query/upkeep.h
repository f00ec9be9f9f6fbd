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
#include "daemon/store/table/checkpoint_table.h"

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

/* Makes the files ready to go, of which the run still has those in `kept`; the commit may fail
 * after it. Called inside of the transaction, so that the run is not requeued or forked meanwhile.
 */
typedef enum status upkeep_files(void *user, int64_t run_id, const struct checkpoint_list *kept,
                                 struct error *error);

/* Forgets the run's checkpoints of kind last, if it is still final since before `before_ms`
 * (*ret_done: it was, and `files` was called). The files are the caller's. A status of `files` is
 * returned, and nothing is forgotten. */
enum status upkeep_forget_last(struct store *store, int64_t run_id, int64_t before_ms,
                               int64_t now_ms, upkeep_files *files, void *user, bool *ret_done,
                               struct error *error);

#endif
