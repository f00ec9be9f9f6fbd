/* Changing rows of `confusion` inside of a transaction.
 *
 * Layer: daemon/store (inside of the store only). Thread rule: from a store_body.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_CONFUSION_ROWS_H
#define CUTOUTD_DAEMON_STORE_TABLE_CONFUSION_ROWS_H

#include "daemon/store/db.h"
#include "daemon/store/table/confusion_table.h"

/* Takes the place of the run's row. confusion NULL: nothing was counted in that epoch; the old row
 * goes all the same. */
enum status confusion_put(struct db *db, int64_t run_id, int epoch,
                          const struct confusion *confusion, struct error *error);

enum status confusion_forget(struct db *db, int64_t run_id, struct error *error);

#endif
