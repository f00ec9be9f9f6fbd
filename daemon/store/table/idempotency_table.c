/* Table `idempotency`. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/table/idempotency_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/db.h"

enum { GET, PUT, FORGET_OLD, N_STATEMENTS };

/* A client that tries again does so within a week. */
static const int64_t KEPT_MS = INT64_C(7) * 24 * 3600 * 1000;

const struct statement_set idempotency_statements = {
    N_STATEMENTS,
    {
        [GET] = ("SELECT route, body_sha256, http_status, location, body FROM idempotency"
                 " WHERE owner = ?1 AND key = ?2"),
        [PUT] = ("INSERT INTO idempotency (owner, key, route, body_sha256, http_status, location,"
                 " body, at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET"
                 " http_status = ?5, location = ?6, body = ?7"),
        [FORGET_OLD] = "DELETE FROM idempotency WHERE at_ms < ?1",
    },
};

void idempotency_row_clear(struct idempotency_row *row) {
    free(row->body);
    memset(row, 0, sizeof(*row));
}

static enum status get(struct db *db, const struct idempotency_mark *mark,
                       struct idempotency_row *row, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_IDEMPOTENCY, GET);
    db_bind_text(statement, 1, mark->owner);
    db_bind_text(statement, 2, mark->key);
    bool found = false;
    TRY(db_step(db, statement, &found, error));
    if (!found) {
        return error_set(error, STATUS_NOT_FOUND, "nothing was answered to this key yet");
    }
    db_column_text(statement, 0, row->route, sizeof(row->route));
    db_column_text(statement, 1, row->body_sha256, sizeof(row->body_sha256));
    row->http_status = sqlite3_column_int(statement, 2);
    db_column_text(statement, 3, row->location, sizeof(row->location));
    row->body = db_column_copy(statement, 4);
    (void)sqlite3_reset(statement);
    return row->body ? STATUS_OK
                     : error_set(error, STATUS_NO_MEMORY, "no memory for a stored answer");
}

enum status idempotency_table_get(struct store *store, const struct idempotency_mark *mark,
                                  struct idempotency_row *ret_row, struct error *error) {
    struct idempotency_row row = {.http_status = 0};
    struct db *db = store_reader_acquire(store);
    enum status status = get(db, mark, &row, error);
    store_reader_release(store, db);
    if (status == STATUS_OK) {
        *ret_row = row;
    }
    return status;
}

enum status idempotency_add(struct db *db, const struct idempotency_answer *answer,
                            struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_IDEMPOTENCY, FORGET_OLD);
    sqlite3_bind_int64(statement, 1, answer->now_ms - KEPT_MS);
    TRY(db_execute(db, statement, NULL, error));
    statement = db_statement(db, DB_IDEMPOTENCY, PUT);
    db_bind_text(statement, 1, answer->mark->owner);
    db_bind_text(statement, 2, answer->mark->key);
    db_bind_text(statement, 3, answer->mark->route);
    db_bind_text(statement, 4, answer->mark->body_sha256);
    sqlite3_bind_int(statement, 5, answer->http_status);
    db_bind_text(statement, 6, answer->location);
    db_bind_text(statement, 7, answer->body);
    sqlite3_bind_int64(statement, 8, answer->now_ms);
    return db_execute(db, statement, NULL, error);
}

enum status idempotency_add_created(struct db *db, const struct idempotency_mark *mark,
                                    const char *collection, int64_t id, int64_t now_ms,
                                    struct error *error) {
    char location[IDEMPOTENCY_LOCATION_SIZE];
    if (!mark) {
        return STATUS_OK;
    }
    (void)snprintf(location, sizeof(location), "%s/%lld", collection, (long long)id);
    const struct idempotency_answer answer = {
        .mark = mark, .http_status = 201, .location = location, .body = "", .now_ms = now_ms};
    return idempotency_add(db, &answer, error);
}

static enum status put(struct db *db, void *arguments, struct error *error) {
    return idempotency_add(db, arguments, error);
}

enum status idempotency_table_put(struct store *store, const struct idempotency_answer *answer,
                                  struct error *error) {
    struct idempotency_answer arguments = *answer;
    return store_write(store, put, &arguments, error);
}
