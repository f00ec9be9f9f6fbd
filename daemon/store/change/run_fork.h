/* New runs that begin with the history and the checkpoint of another one.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_CHANGE_RUN_FORK_H
#define CUTOUTD_DAEMON_STORE_CHANGE_RUN_FORK_H

#include "daemon/store/change/run_batch.h"

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

/* Stores all of the forks or none. *ret_outcomes: one for each, in their order, of the source's id
 * with the new run's row; the caller owns it (run_outcomes_clear). mark: NULL, or the key under
 * which the answer is stored in the same commit. Statuses of run_table_fork. */
enum status run_table_fork_all(struct store *store, const struct run_fork *forks, size_t n,
                               const struct idempotency_mark *mark, run_answer *answer, void *user,
                               int64_t now_ms, struct run_outcomes *ret_outcomes,
                               struct error *error);

#endif
