/* Table `epoch`: the stored history, one row an epoch of a run.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_EPOCH_TABLE_H
#define CUTOUTD_DAEMON_STORE_TABLE_EPOCH_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "core/train/trainer.h"
#include "daemon/store/store.h"

struct epoch_row {
    /* As the trainer reported it. A number that was not finite is stored as NULL and read back as
     * NaN; images and steps are 0 where nobody knows them; `best` is not stored. */
    struct epoch_report report;
    int64_t at_ms; /* Unix time of its end */
};

struct epoch_list {
    struct epoch_row *rows; /* in order of epochs */
    size_t n;
};

/* Epochs above `after_epoch`, at most `limit` (0: all). The caller owns *ret_list
 * (epoch_list_clear). An unknown run has an empty list. */
enum status epoch_table_list(struct store *store, int64_t run_id, int after_epoch, int limit,
                             struct epoch_list *ret_list, struct error *error);

/* Frees and zeroes. A zeroed list is fine. */
void epoch_list_clear(struct epoch_list *list);

#endif
