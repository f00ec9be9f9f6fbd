/* Sweeps with their runs.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_CHANGE_SWEEP_CHANGE_H
#define CUTOUTD_DAEMON_STORE_CHANGE_SWEEP_CHANGE_H

#include "daemon/store/table/sweep_table.h"

/* Stores the sweep and all of its runs with their first events, or nothing. */
enum status sweep_table_insert(struct store *store, const struct sweep_draft *draft, int64_t now_ms,
                               int64_t *ret_id, struct error *error);

/* Forgets the sweep with all of its runs, or nothing. STATUS_CONFLICT: one is running, or another
 * run waits for one; STATUS_NOT_FOUND. Their files are the caller's to remove, who owns *ret_ids
 * (free). */
enum status sweep_table_delete(struct store *store, int64_t id, int64_t now_ms, int64_t **ret_ids,
                               size_t *ret_n, struct error *error);

#endif
