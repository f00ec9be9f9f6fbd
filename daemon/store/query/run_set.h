/* Several runs with all of their epochs, for comparisons.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_QUERY_RUN_SET_H
#define CUTOUTD_DAEMON_STORE_QUERY_RUN_SET_H

#include "daemon/store/table/epoch_table.h"
#include "daemon/store/table/run_table.h"

struct run_set {
    size_t n;
    struct run_row *rows;      /* [n] */
    struct epoch_list *epochs; /* [n], those of rows[i]; empty before run_set_read_epochs */
};

/* The runs in the order of ids[n_ids]. STATUS_NOT_FOUND names the one there is not. The caller owns
 * *ret_set (run_set_clear), which is written on success only. */
enum status run_set_read(struct store *store, const int64_t *ids, size_t n_ids,
                         struct run_set *ret_set, struct error *error);

/* The runs of a sweep, oldest first; of an unknown sweep none. Otherwise like run_set_read. */
enum status run_set_read_sweep(struct store *store, int64_t sweep_id, struct run_set *ret_set,
                               struct error *error);

/* Adds all epochs of all runs, by one reader in one transaction. On failure the set has those that
 * were read. */
enum status run_set_read_epochs(struct store *store, struct run_set *set, struct error *error);

/* Frees and zeroes. A zeroed set is fine. */
void run_set_clear(struct run_set *set);

#endif
