/* Reading and changing rows of `sweep` inside of a transaction.
 *
 * Layer: daemon/store (inside of the store only). Thread rule: reads on any connection; changes
 * from a store_body.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_SWEEP_ROWS_H
#define CUTOUTD_DAEMON_STORE_TABLE_SWEEP_ROWS_H

#include "daemon/store/db.h"
#include "daemon/store/table/sweep_table.h"

/* The row alone, without its runs. */
enum status sweep_add(struct db *db, const struct sweep_draft *draft, int64_t now_ms,
                      int64_t *ret_id, struct error *error);

/* The caller owns *row. STATUS_NOT_FOUND. */
enum status sweep_read(struct db *db, int64_t id, struct sweep_row *row, struct error *error);

/* The ids of its runs, oldest first. The caller owns *ret_ids (free). */
enum status sweep_read_runs(struct db *db, int64_t sweep_id, int64_t **ret_ids, size_t *ret_n,
                            struct error *error);

/* The row alone; nothing when it is not there. */
enum status sweep_remove(struct db *db, int64_t id, struct error *error);

#endif
