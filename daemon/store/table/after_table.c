/* Table `run_after`. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/table/after_table.h"

#include "daemon/store/db.h"

enum { ADD, LIST, STATE, NEXT_WAITING, NEXT_FAILED, FORGET, N_STATEMENTS };

const struct statement_set after_statements = {
    N_STATEMENTS,
    {
        [ADD] = "INSERT OR IGNORE INTO run_after (run_id, after_id) VALUES (?1, ?2)",
        [LIST] = ("SELECT d.id, d.state FROM run_after a JOIN run d ON d.id = a.after_id"
                  " WHERE a.run_id = ?1 ORDER BY d.id"),
        [STATE] = "SELECT id, state FROM run WHERE id = ?1",
        /* One that waits for ?1, directly or through others, and has not started. */
        [NEXT_WAITING] =
            ("WITH RECURSIVE waiting (id) AS (SELECT run_id FROM run_after WHERE after_id = ?1"
             "  UNION SELECT a.run_id FROM run_after a JOIN waiting w ON a.after_id = w.id)"
             " SELECT run.id FROM waiting JOIN run ON run.id = waiting.id"
             " WHERE run.state IN ('queued', 'held') ORDER BY run.id LIMIT 1"),
        [NEXT_FAILED] = ("SELECT run.id FROM run_after a JOIN run ON run.id = a.run_id"
                         " WHERE a.after_id = ?1 AND run.id > ?2 AND run.state = 'failed'"
                         " ORDER BY run.id LIMIT 1"),
        [FORGET] = "DELETE FROM run_after WHERE after_id = ?1",
    },
};

/* The runs that LIST or STATE finds for `id`. */
static enum status read_list(struct db *db, int which, int64_t id, struct after_list *list,
                             struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_AFTER, which);
    sqlite3_bind_int64(statement, 1, id);
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    while (row && list->n < AFTER_MAX) {
        char state[16];
        struct after *after = &list->items[list->n++];
        after->run_id = sqlite3_column_int64(statement, 0);
        db_column_text(statement, 1, state, sizeof(state));
        (void)run_state_from_name(state, &after->state);
        TRY(db_step(db, statement, &row, error));
    }
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

enum status after_table_list(struct store *store, int64_t run_id, struct after_list *ret_list,
                             struct error *error) {
    struct db *db = store_reader_acquire(store);
    ret_list->n = 0;
    enum status status = read_list(db, LIST, run_id, ret_list, error);
    store_reader_release(store, db);
    return status;
}

static enum status check_list(const struct after_list *list, struct error *error) {
    for (size_t i = 0; i < list->n; i++) {
        enum run_state state = list->items[i].state;
        if (run_state_is_final(state) && state != RUN_SUCCEEDED) {
            return error_set(error, STATUS_CONFLICT,
                             "it comes after run %lld, which is %s: it could never start",
                             (long long)list->items[i].run_id, run_state_name(state));
        }
    }
    return STATUS_OK;
}

enum status after_check(struct db *db, int64_t run_id, struct error *error) {
    struct after_list list = {.n = 0};
    TRY(read_list(db, LIST, run_id, &list, error));
    return check_list(&list, error);
}

static enum status check_ids(struct db *db, const int64_t *after_ids, int n, struct error *error) {
    for (int i = 0; i < n; i++) {
        struct after_list list = {.n = 0};
        TRY(read_list(db, STATE, after_ids[i], &list, error));
        if (list.n == 0) {
            return error_set(error, STATUS_NOT_FOUND, "there is no run %lld",
                             (long long)after_ids[i]);
        }
        TRY(check_list(&list, error));
    }
    return STATUS_OK;
}

enum status after_table_check(struct store *store, const int64_t *after_ids, int n,
                              struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = check_ids(db, after_ids, n, error);
    store_reader_release(store, db);
    return status;
}

enum status after_add(struct db *db, int64_t run_id, int64_t after_id, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_AFTER, ADD);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int64(statement, 2, after_id);
    return db_execute(db, statement, NULL, error);
}

static enum status read_next(struct db *db, sqlite3_stmt *statement, int64_t *ret_id,
                             struct error *error) {
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    *ret_id = row ? sqlite3_column_int64(statement, 0) : 0;
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

enum status after_next_waiting(struct db *db, int64_t run_id, int64_t *ret_id,
                               struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_AFTER, NEXT_WAITING);
    sqlite3_bind_int64(statement, 1, run_id);
    return read_next(db, statement, ret_id, error);
}

enum status after_next_failed(struct db *db, int64_t run_id, int64_t behind_id, int64_t *ret_id,
                              struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_AFTER, NEXT_FAILED);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int64(statement, 2, behind_id);
    return read_next(db, statement, ret_id, error);
}

enum status after_forget(struct db *db, int64_t run_id, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_AFTER, FORGET);
    sqlite3_bind_int64(statement, 1, run_id);
    return db_execute(db, statement, NULL, error);
}
