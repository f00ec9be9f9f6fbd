/* Table `event`. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/event_table.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/store/tables.h"

enum { ADD_STATE, ADD_EPOCH, ADD_CHECKPOINT, FORGET, LIST, LAST_ID, N_STATEMENTS };

const struct statement_set event_statements = {
    N_STATEMENTS,
    {
        [ADD_STATE] = ("INSERT INTO event (run_id, type, at_ms, state, attempt, reason)"
                       " SELECT id, 'state', ?2, state, attempt, reason FROM run WHERE id = ?1"),
        [ADD_EPOCH] = ("INSERT INTO event (run_id, type, at_ms, epoch) VALUES (?1, 'epoch', ?2, ?3)"
                       " ON CONFLICT DO NOTHING"),
        [ADD_CHECKPOINT] = ("INSERT INTO event (run_id, type, at_ms, epoch, step, checkpoint_kind)"
                            " VALUES (?1, 'checkpoint', ?2, ?3, ?4, ?5)"),
        [FORGET] = "DELETE FROM event WHERE run_id = ?1 AND type IN ('epoch', 'checkpoint')",
        [LIST] = ("SELECT id, run_id, type, at_ms, state, attempt, reason, epoch, step,"
                  " checkpoint_kind FROM event WHERE run_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3"),
        [LAST_ID] = "SELECT coalesce(max(id), 0) FROM event WHERE run_id = ?1",
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
    }
    return "unknown";
}

static enum event_type type_from_name(const char *name) {
    if (strcmp(name, "epoch") == 0) {
        return EVENT_EPOCH;
    }
    return strcmp(name, "checkpoint") == 0 ? EVENT_CHECKPOINT : EVENT_STATE;
}

enum status event_add_state(struct db *db, int64_t run_id, int64_t at_ms, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_EVENT, ADD_STATE);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int64(statement, 2, at_ms);
    return db_execute(db, statement, NULL, error);
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

static void read_row(sqlite3_stmt *statement, struct event_row *row) {
    char text[RUN_TITLE_SIZE];
    memset(row, 0, sizeof(*row));
    row->id = sqlite3_column_int64(statement, 0);
    row->run_id = sqlite3_column_int64(statement, 1);
    db_column_text(statement, 2, text, sizeof(text));
    row->type = type_from_name(text);
    row->at_ms = sqlite3_column_int64(statement, 3);
    db_column_text(statement, 4, text, sizeof(text));
    (void)run_state_from_name(text, &row->state);
    row->attempt = sqlite3_column_int(statement, 5);
    db_column_text(statement, 6, row->reason, sizeof(row->reason));
    row->epoch = sqlite3_column_int(statement, 7);
    row->step = sqlite3_column_int(statement, 8);
    db_column_text(statement, 9, text, sizeof(text));
    row->kind = strcmp(text, "best") == 0 ? CHECKPOINT_BEST : CHECKPOINT_LAST;
}

static enum status read_list(struct db *db, int64_t run_id, int64_t after_id, int limit,
                             struct event_list *list, struct error *error) {
    list->rows = calloc((size_t)limit, sizeof(*list->rows));
    if (!list->rows) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for %d events", limit);
    }
    sqlite3_stmt *statement = db_statement(db, DB_EVENT, LIST);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int64(statement, 2, after_id);
    sqlite3_bind_int(statement, 3, limit);
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    while (row && list->n < (size_t)limit) {
        read_row(statement, &list->rows[list->n++]);
        TRY(db_step(db, statement, &row, error));
    }
    return STATUS_OK;
}

enum status event_table_list(struct store *store, int64_t run_id, int64_t after_id, int limit,
                             struct event_list *ret_list, struct error *error) {
    struct event_list list = {0};
    struct db *db = store_reader_acquire(store);
    enum status status = read_list(db, run_id, after_id, limit, &list, error);
    store_reader_release(store, db);
    if (status != STATUS_OK) {
        event_list_clear(&list);
        return status;
    }
    *ret_list = list;
    return STATUS_OK;
}

static enum status read_last_id(struct db *db, int64_t run_id, int64_t *ret_id,
                                struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_EVENT, LAST_ID);
    sqlite3_bind_int64(statement, 1, run_id);
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    *ret_id = row ? sqlite3_column_int64(statement, 0) : 0;
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

enum status event_table_last_id(struct store *store, int64_t run_id, int64_t *ret_id,
                                struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = read_last_id(db, run_id, ret_id, error);
    store_reader_release(store, db);
    return status;
}

void event_list_clear(struct event_list *list) {
    free(list->rows);
    memset(list, 0, sizeof(*list));
}
