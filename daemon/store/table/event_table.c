/* Table `event`. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/table/event_table.h"

#include "daemon/store/db.h"

enum { ADD_STATE, ADD_EPOCH, ADD_CHECKPOINT, ADD_EDIT, FORGET, NEWEST, N_STATEMENTS };

const struct statement_set event_statements = {
    N_STATEMENTS,
    {
        [ADD_STATE] = ("INSERT INTO event (run_id, type, at_ms, state, attempt, reason)"
                       " SELECT id, 'state', ?2, state, attempt, reason FROM run WHERE id = ?1"),
        [ADD_EPOCH] = ("INSERT INTO event (run_id, type, at_ms, epoch) SELECT ?1, 'epoch', ?2, ?3"
                       " WHERE NOT EXISTS (SELECT 1 FROM epoch WHERE run_id = ?1 AND epoch = ?3)"),
        [ADD_CHECKPOINT] = ("INSERT INTO event (run_id, type, at_ms, epoch, step, checkpoint_kind)"
                            " VALUES (?1, 'checkpoint', ?2, ?3, ?4, ?5)"),
        [ADD_EDIT] = ("INSERT INTO event (run_id, type, at_ms, name, priority, labels_json)"
                      " SELECT id, 'edit', ?2, name, priority, labels_json FROM run WHERE id = ?1"),
        [FORGET] = "DELETE FROM event WHERE run_id = ?1 AND type IN ('epoch', 'checkpoint')",
        [NEWEST] = "SELECT seq FROM sqlite_sequence WHERE name = 'event'",
    },
};

const char *event_type_name(enum event_type type) {
    switch (type) {
    case EVENT_STATE:
        return "state";
    case EVENT_EPOCH:
        return "epoch";
    case EVENT_CHECKPOINT:
        return "checkpoint";
    case EVENT_EDIT:
        return "edit";
    }
    return "unknown";
}

/* ?1 is the run, ?2 the time; the row of the run says the rest. */
static enum status add_of_run(struct db *db, int index, int64_t run_id, int64_t at_ms,
                              struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_EVENT, index);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int64(statement, 2, at_ms);
    return db_execute(db, statement, NULL, error);
}

enum status event_add_state(struct db *db, int64_t run_id, int64_t at_ms, struct error *error) {
    return add_of_run(db, ADD_STATE, run_id, at_ms, error);
}

enum status event_add_edit(struct db *db, int64_t run_id, int64_t at_ms, struct error *error) {
    return add_of_run(db, ADD_EDIT, run_id, at_ms, error);
}

enum status event_add_epoch(struct db *db, int64_t run_id, int epoch, int64_t at_ms,
                            struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_EVENT, ADD_EPOCH);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int64(statement, 2, at_ms);
    sqlite3_bind_int(statement, 3, epoch);
    return db_execute(db, statement, NULL, error);
}

enum status event_add_checkpoint(struct db *db, int64_t run_id, const struct checkpoint_row *row,
                                 struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_EVENT, ADD_CHECKPOINT);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int64(statement, 2, row->at_ms);
    sqlite3_bind_int(statement, 3, row->epochs_done);
    sqlite3_bind_int(statement, 4, row->step);
    db_bind_text(statement, 5, checkpoint_kind_name(row->kind));
    return db_execute(db, statement, NULL, error);
}

enum status event_forget_history(struct db *db, int64_t run_id, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_EVENT, FORGET);
    sqlite3_bind_int64(statement, 1, run_id);
    return db_execute(db, statement, NULL, error);
}

enum status event_read_newest(struct db *db, int64_t *ret_id, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_EVENT, NEWEST);
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    *ret_id = row ? sqlite3_column_int64(statement, 0) : 0;
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

enum status event_table_newest(struct store *store, int64_t *ret_id, struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = event_read_newest(db, ret_id, error);
    store_reader_release(store, db);
    return status;
}
