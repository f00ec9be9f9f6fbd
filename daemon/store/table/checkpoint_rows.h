/* Reading and changing rows of `checkpoint` inside of a transaction.
 *
 * Layer: daemon/store (inside of the store only). Thread rule: reads on any connection; changes
 * from a store_body.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_CHECKPOINT_ROWS_H
#define CUTOUTD_DAEMON_STORE_TABLE_CHECKPOINT_ROWS_H

#include "daemon/store/db.h"
#include "daemon/store/table/checkpoint_table.h"

/* Adds the row and forgets those that it replaces. */
enum status checkpoint_add(struct db *db, int64_t run_id, const struct checkpoint_row *row,
                           struct error *error);

enum status checkpoint_forget_all(struct db *db, int64_t run_id, struct error *error);

/* Those that are newer than the one of that path. */
enum status checkpoint_forget_newer(struct db *db, int64_t run_id, const char *path,
                                    struct error *error);

/* As checkpoint_table_list. The caller owns what is in *list, also on failure. */
enum status checkpoint_read_list(struct db *db, int64_t run_id, struct checkpoint_list *list,
                                 struct error *error);

#endif
