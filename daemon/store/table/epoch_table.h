/* Table `epoch`: the stored history, one row an epoch of a run.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_EPOCH_TABLE_H
#define CUTOUTD_DAEMON_STORE_TABLE_EPOCH_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/store/store.h"

/* A number that was not finite is stored as NULL and read back as NaN. */
struct epoch_row {
    int epoch; /* from 1 */
    double train_loss;
    double train_accuracy;
    double val_loss;
    double val_accuracy;
    int val_wrong;
    int val_total;
    double lr;
    double seconds;
    double images_per_second;
    int64_t at_ms; /* Unix time of its end */
    bool diverged; /* put: marks the run; not read back */
};

struct epoch_list {
    struct epoch_row *rows; /* in order of epochs */
    size_t n;
};

/* Writes the row, the run's summary columns and one event in one commit. An epoch repeated after a
 * crash replaces its row and adds no second event. STATUS_NOT_FOUND: no such run. */
enum status epoch_table_put(struct store *store, int64_t run_id, const struct epoch_row *row,
                            struct error *error);

/* Epochs above `after_epoch`, at most `limit` (0: all). The caller owns *ret_list
 * (epoch_list_clear). An unknown run has an empty list. */
enum status epoch_table_list(struct store *store, int64_t run_id, int after_epoch, int limit,
                             struct epoch_list *ret_list, struct error *error);

/* STATUS_NOT_FOUND. */
enum status epoch_table_get(struct store *store, int64_t run_id, int epoch,
                            struct epoch_row *ret_row, struct error *error);

/* Frees and zeroes. A zeroed list is fine. */
void epoch_list_clear(struct epoch_list *list);

#endif
