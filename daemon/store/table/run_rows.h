/* Reading and changing rows of `run` inside of a transaction.
 *
 * Layer: daemon/store (inside of the store only). Thread rule: reads on any connection; changes
 * from a store_body. A change counts the row's revision and notes the run for the observer.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_RUN_ROWS_H
#define CUTOUTD_DAEMON_STORE_TABLE_RUN_ROWS_H

#include "daemon/store/db.h"
#include "daemon/store/table/run_table.h"

/* The row at which a statement that selects RUN_COLUMNS stands. On success the caller owns *row. */
enum status run_read_row(sqlite3_stmt *s, struct run_row *row, struct error *error);

/* The caller owns *ret_row. STATUS_NOT_FOUND. */
enum status run_read(struct db *db, int64_t id, struct run_row *ret_row, struct error *error);

/* What a statement of rows (state, number) returns; states that it does not name stay as they are.
 */
enum status run_read_counts(struct db *db, sqlite3_stmt *statement, int64_t counts[RUN_STATE_COUNT],
                            struct error *error);

/* Adds the row in its first state, and its labels. */
enum status run_add(struct db *db, const struct run_draft *draft, int64_t now_ms, int64_t *ret_id,
                    struct error *error);

/* *ret_changed: it was in state move->from. The table of moves is not looked at. */
enum status run_set_state(struct db *db, const struct run_move *move, bool *ret_changed,
                          struct error *error);

/* *ret_changed: it was running. */
enum status run_set_request(struct db *db, int64_t id, enum run_request request, int64_t now_ms,
                            bool *ret_changed, struct error *error);

/* To state running, with the handle of its attempt. *ret_changed: it was queued. */
enum status run_set_claimed(struct db *db, int64_t id, int64_t now_ms, bool *ret_changed,
                            struct error *error);

/* Notes that report `number` of the attempt has come (0: it has no number). *ret_taken: the run is
 * running at this attempt, and the report did not come before. */
enum status run_take_report(struct db *db, int64_t id, int attempt, int64_t number, bool *ret_taken,
                            struct error *error);

/* STATUS_NOT_FOUND, here and in the next three. */
enum status run_set_reason(struct db *db, int64_t id, const char *reason, int64_t now_ms,
                           struct error *error);

enum status run_set_placement(struct db *db, int64_t id, const struct run_placement *placement,
                              int64_t now_ms, struct error *error);
/* Name, priority and labels. */
enum status run_set_edit(struct db *db, int64_t id, const struct run_edit *edit, int64_t now_ms,
                         struct error *error);

/* As before the first attempt, but for the reason. */
enum status run_clear_results(struct db *db, int64_t id, const char *reason, int64_t now_ms,
                              struct error *error);

/* Counts a change of what belongs to the run, and forgets that the daemon had ended under it. */
enum status run_touch(struct db *db, int64_t id, int64_t now_ms, struct error *error);

/* Deletes the row with all that refers to it, unless the run is running. */
enum status run_remove(struct db *db, int64_t id, struct error *error);

#endif
