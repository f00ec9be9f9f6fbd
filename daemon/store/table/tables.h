/* What the tables do for each other inside one transaction.
 *
 * Layer: daemon/store (inside of the store only). Thread rule: on the writing connection, from a
 * store_body.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_TABLES_H
#define CUTOUTD_DAEMON_STORE_TABLE_TABLES_H

#include "daemon/store/db.h"
#include "daemon/store/table/checkpoint_table.h"
#include "daemon/store/table/epoch_table.h"
#include "daemon/store/table/idempotency_table.h"
#include "daemon/store/table/run_table.h"

/* Adds the run's state, attempt and reason as they are now as an event. */
enum status event_add_state(struct db *db, int64_t run_id, int64_t at_ms, struct error *error);

/* The same for its name, priority and labels. */
enum status event_add_edit(struct db *db, int64_t run_id, int64_t at_ms, struct error *error);

/* Adds the event of an epoch unless the run has it already. */
enum status event_add_epoch(struct db *db, int64_t run_id, int epoch, int64_t at_ms,
                            struct error *error);

enum status event_add_checkpoint(struct db *db, int64_t run_id, const struct checkpoint_row *row,
                                 struct error *error);

/* Deletes the events of epochs and checkpoints. */
enum status event_forget_history(struct db *db, int64_t run_id, struct error *error);

/* An epoch or a checkpoint with all that is stored with it: the bodies of epoch_table_put and
 * checkpoint_table_put. */
enum status epoch_put(struct db *db, int64_t run_id, const struct epoch_row *row,
                      struct error *error);
enum status checkpoint_put(struct db *db, int64_t run_id, const struct checkpoint_row *row,
                           struct error *error);

enum status epoch_forget_all(struct db *db, int64_t run_id, struct error *error);
/* As checkpoint_table_list, on any connection. The caller owns what is in *list, also on failure.
 */
enum status checkpoint_read_list(struct db *db, int64_t run_id, struct checkpoint_list *list,
                                 struct error *error);
enum status checkpoint_forget_all(struct db *db, int64_t run_id, struct error *error);

/* The row at which a statement that selects RUN_COLUMNS stands. On success the caller owns *row. */
enum status run_read_row(sqlite3_stmt *s, struct run_row *row, struct error *error);

/* What a statement of rows (state, number) returns; states that it does not name stay as they are.
 */
enum status run_read_counts(struct db *db, sqlite3_stmt *statement, int64_t counts[RUN_STATE_COUNT],
                            struct error *error);

/* The newest id that any event was ever given; 0: none. On any connection. */
enum status event_read_newest(struct db *db, int64_t *ret_id, struct error *error);

/* On any connection. The caller owns *ret_row. STATUS_NOT_FOUND. */
enum status run_read(struct db *db, int64_t id, struct run_row *ret_row, struct error *error);

/* Adds a run in its first state, and that event. */
enum status run_insert(struct db *db, const struct run_draft *draft, int64_t now_ms,
                       int64_t *ret_id, struct error *error);

/* Stores what is answered to a key, in the transaction of what it does. */
enum status idempotency_add(struct db *db, const struct idempotency_answer *answer,
                            struct error *error);

/* The same for what was created: a 201 from its place. mark NULL: nothing is stored. */
enum status idempotency_add_created(struct db *db, const struct idempotency_mark *mark,
                                    const char *collection, int64_t id, int64_t now_ms,
                                    struct error *error);

/* Notes what a run waits for. STATUS_NOT_FOUND: there is no such run; STATUS_CONFLICT: one of them
 * has failed or was canceled. */
enum status after_add(struct db *db, int64_t run_id, const int64_t *after_ids, int n_after,
                      struct error *error);

/* STATUS_CONFLICT: the run waits for one that has failed or was canceled. */
enum status after_check(struct db *db, int64_t run_id, struct error *error);

/* A run that waits for this one, directly or through others, and has not started; 0: none. */
enum status after_next_waiting(struct db *db, int64_t run_id, int64_t *ret_id, struct error *error);

/* Nobody waits for this run any more. */
enum status after_forget(struct db *db, int64_t run_id, struct error *error);

/* One move with its event; whoever waits for a run that will not succeed fails with it. A refusal
 * leaves everything as it was, here and in the next two. STATUS_CONFLICT, STATUS_NOT_FOUND. */
enum status run_move(struct db *db, const struct run_move *move, struct error *error);

/* Notes on a running run what it shall do. STATUS_CONFLICT: it is not running; STATUS_NOT_FOUND. */
enum status run_request(struct db *db, int64_t id, enum run_request request, int64_t now_ms,
                        struct error *error);

/* Says something about a run that stays in its state. STATUS_NOT_FOUND. */
enum status run_set_reason(struct db *db, int64_t id, const char *reason, int64_t now_ms,
                           struct error *error);

/* Forgets the run with all that belongs to it. STATUS_CONFLICT: it is running, or another run waits
 * for it; STATUS_NOT_FOUND. */
enum status run_delete(struct db *db, int64_t id, struct error *error);

/* All epochs of a run, on any connection. The caller owns what is in *list, also on failure. */
enum status epoch_read_all(struct db *db, int64_t run_id, struct epoch_list *list,
                           struct error *error);

/* The ids of a sweep's runs, oldest first, on any connection. The caller owns *ret_ids (free). */
enum status sweep_read_runs(struct db *db, int64_t sweep_id, int64_t **ret_ids, size_t *ret_n,
                            struct error *error);

/* Brings the run's summary columns up to its epochs. */
enum status run_note_epoch(struct db *db, int64_t run_id, struct error *error);

/* Counts a change of what belongs to the run (its revision). STATUS_NOT_FOUND. */
enum status run_touch(struct db *db, int64_t run_id, int64_t now_ms, struct error *error);

#endif
