/* Changes of a run that belong together with others: its events, its labels, who waits for it.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 *
 * Each run_table_... is one commit. What takes a struct db is for bodies of store_write only, which
 * put several such changes into one commit.
 */
#ifndef CUTOUTD_DAEMON_STORE_CHANGE_RUN_CHANGE_H
#define CUTOUTD_DAEMON_STORE_CHANGE_RUN_CHANGE_H

#include "daemon/store/table/run_table.h"

struct db;

/* Stores a run in its first state together with that event, its labels, what it comes after and the
 * answer to its key. STATUS_NOT_FOUND: it comes after a run that is not there; STATUS_CONFLICT:
 * after one that has failed or was canceled. */
enum status run_table_insert(struct store *store, const struct run_draft *draft, int64_t now_ms,
                             int64_t *ret_id, struct error *error);

/* One legal move and its event; every run that comes after one that will not succeed fails with
 * it.
 * STATUS_CONFLICT: the run is no longer in `from`, or the table of moves does not have this one
 * (the message names the state and the moves it allows); STATUS_NOT_FOUND. */
enum status run_table_move(struct store *store, const struct run_move *move, struct error *error);

/* Takes the queued run of the highest priority, among equals the oldest, of those that `claim` does
 * not pass over, to state running, with the handle of its attempt, and reads it, in one commit.
 * STATUS_NOT_FOUND: nothing of that kind is queued. The caller owns *ret_row. */
enum status run_table_claim(struct store *store, const struct run_claim *claim, int64_t now_ms,
                            struct run_row *ret_row, struct error *error);

/* The edit and its event. STATUS_NOT_FOUND. */
enum status run_table_edit(struct store *store, int64_t id, const struct run_edit *edit,
                           int64_t now_ms, struct error *error);

/* Forgets every epoch, checkpoint and their events of a run that must start anew, with the reason,
 * in one commit. STATUS_NOT_FOUND. */
enum status run_table_reset(struct store *store, int64_t id, const char *reason, int64_t now_ms,
                            struct error *error);

enum status run_insert(struct db *db, const struct run_draft *draft, int64_t now_ms,
                       int64_t *ret_id, struct error *error);

/* A refusal leaves everything as it was, here and in the next two. STATUS_CONFLICT,
 * STATUS_NOT_FOUND. */
enum status run_move(struct db *db, const struct run_move *asked, struct error *error);

/* Notes on a running run what it shall do. STATUS_CONFLICT: it is not running; STATUS_NOT_FOUND. */
enum status run_request(struct db *db, int64_t id, enum run_request request, int64_t now_ms,
                        struct error *error);

/* Forgets the run with all that belongs to it. STATUS_CONFLICT: it is running, or another run waits
 * for it; STATUS_NOT_FOUND. Runs that failed with it may be queued again without it, and are told.
 */
enum status run_delete(struct db *db, int64_t id, int64_t now_ms, struct error *error);

/* Other names, priorities and labels, and the event that tells of them. STATUS_NOT_FOUND. */
enum status run_edit(struct db *db, int64_t id, const struct run_edit *edit, int64_t now_ms,
                     struct error *error);

#endif
