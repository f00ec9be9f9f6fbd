/* Reading and changing rows of `epoch` inside of a transaction.
 *
 * Layer: daemon/store (inside of the store only). Thread rule: reads on any connection; changes
 * from a store_body.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_EPOCH_ROWS_H
#define CUTOUTD_DAEMON_STORE_TABLE_EPOCH_ROWS_H

#include "daemon/store/db.h"
#include "daemon/store/table/epoch_table.h"

/* Adds the row or replaces the one of this epoch. */
enum status epoch_write(struct db *db, int64_t run_id, const struct epoch_row *row,
                        struct error *error);

enum status epoch_forget_all(struct db *db, int64_t run_id, struct error *error);

/* The row whose EPOCH_COLUMNS begin at this column of the statement, EPOCH_RUN_COLUMNS behind. */
void epoch_read_row(sqlite3_stmt *statement, int first_column, struct epoch_row *ret_row);

/* All epochs of a run. The caller owns what is in *list, also on failure. */
enum status epoch_read_all(struct db *db, int64_t run_id, struct epoch_list *list,
                           struct error *error);

#endif
