/* New runs that begin with the history and the checkpoint of another one.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_CHANGE_RUN_FORK_H
#define CUTOUTD_DAEMON_STORE_CHANGE_RUN_FORK_H

#include "daemon/store/table/run_table.h"

/* All pointers are borrowed for the call. */
struct run_fork {
    const struct run_draft *draft; /* with forked_from and forked_epoch; epoch 0: no history */
    int steps_per_epoch;           /* of the new run */
    int64_t images_per_epoch;
    /* Gives the new run the source's file of this name. Called inside of the transaction: it must
     * neither wait for others nor use the store. */
    enum status (*link_file)(void *user, int64_t source_id, int64_t id, const char *name,
                             struct error *error);
    void *user;
};

/* Stores the run with everything that it takes over, or nothing (files aside: a later start removes
 * those of runs that are not there). STATUS_CONFLICT: the source no longer has a checkpoint of
 * exactly that epoch. */
enum status run_table_fork(struct store *store, const struct run_fork *fork, int64_t now_ms,
                           int64_t *ret_id, struct error *error);

#endif
