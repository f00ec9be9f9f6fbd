/* Table `run_after`: which runs a run waits for.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 *
 * A run is not claimed before all of them have succeeded. One that fails or is canceled fails those
 * that wait for it, and those that wait for them, in the same commit.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_AFTER_TABLE_H
#define CUTOUTD_DAEMON_STORE_TABLE_AFTER_TABLE_H

#include <stddef.h>

#include "daemon/store/run_state.h"
#include "daemon/store/store.h"

enum { AFTER_MAX = 64 }; /* runs that one run may wait for */

struct after {
    int64_t run_id; /* the one that is waited for */
    enum run_state state;
};

struct after_list {
    struct after items[AFTER_MAX];
    size_t n;
};

/* All runs that `run_id` was submitted to come after, by id. */
enum status after_table_list(struct store *store, int64_t run_id, struct after_list *ret_list,
                             struct error *error);

/* Whether a run could come after these now. STATUS_NOT_FOUND: one is not there; STATUS_CONFLICT:
 * one has failed or was canceled. */
enum status after_table_check(struct store *store, const int64_t *after_ids, int n,
                              struct error *error);

struct db;

/* Inside of a transaction. Both runs are there. */
enum status after_add(struct db *db, int64_t run_id, int64_t after_id, struct error *error);

/* STATUS_CONFLICT: the run waits for one that has failed or was canceled. */
enum status after_check(struct db *db, int64_t run_id, struct error *error);

/* A run that waits for this one, directly or through others, and has not started; 0: none. */
enum status after_next_waiting(struct db *db, int64_t run_id, int64_t *ret_id, struct error *error);

/* The next one after `behind_id` that was to come after this one, directly, and failed; 0: none. */
enum status after_next_failed(struct db *db, int64_t run_id, int64_t behind_id, int64_t *ret_id,
                              struct error *error);

/* Nobody waits for this run any more. */
enum status after_forget(struct db *db, int64_t run_id, struct error *error);

#endif
