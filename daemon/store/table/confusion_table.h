/* Table `confusion`: which classes the validation of a run's best epoch took for which.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 *
 * A row is written in the commit of the best checkpoint of that epoch, and goes when another best
 * one comes, so that it is always of the file that can be downloaded.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_CONFUSION_TABLE_H
#define CUTOUTD_DAEMON_STORE_TABLE_CONFUSION_TABLE_H

#include "core/train/confusion.h"
#include "daemon/store/store.h"

struct confusion_row {
    int epoch; /* from 1 */
    struct confusion confusion;
};

/* STATUS_NOT_FOUND: none was counted for the run's best checkpoint, or there is no such run. */
enum status confusion_table_get(struct store *store, int64_t run_id, struct confusion_row *ret_row,
                                struct error *error);

#endif
