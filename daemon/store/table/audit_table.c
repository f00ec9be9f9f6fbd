/* Table `audit`. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/table/audit_table.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/store/db.h"

enum { ADD, LIST, EXPIRE, N_STATEMENTS };

const struct statement_set audit_statements = {
    N_STATEMENTS,
    {
        [ADD] = ("INSERT INTO audit (at_ms, owner, peer, request_id, request, subject, subject_id,"
                 " before, after) SELECT at_ms, owner, peer, request_id, request, ?1, ?2, ?3, ?4"
                 " FROM actor"),
        [LIST] = ("SELECT id, at_ms, owner, peer, request_id, request, subject, subject_id, before,"
                  " after FROM audit WHERE id < ?1 AND (?2 IS NULL OR owner = ?2)"
                  " AND (?3 IS NULL OR subject = ?3) AND (?4 IS NULL OR subject_id = ?4)"
                  " ORDER BY id DESC LIMIT ?5"),
        [EXPIRE] = ("DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at_ms < ?1"
                    " ORDER BY at_ms LIMIT 1000)"),
    },
};

/* ---- lists ---- */

static void row_clear(struct audit_row *row) {
    free(row->owner);
    free(row->peer);
    free(row->request_id);
    free(row->request);
    free(row->subject);
    free(row->subject_id);
    free(row->before);
    free(row->after);
}

void audit_list_clear(struct audit_list *list) {
    for (size_t i = 0; i < list->n; i++) {
        row_clear(&list->rows[i]);
    }
    free(list->rows);
    memset(list, 0, sizeof(*list));
}

static bool read_row(sqlite3_stmt *statement, struct audit_row *row) {
    int c = 0;
    row->id = sqlite3_column_int64(statement, c++);
    row->at_ms = sqlite3_column_int64(statement, c++);
    char **const texts[] = {&row->owner,   &row->peer,       &row->request_id, &row->request,
                            &row->subject, &row->subject_id, &row->before,     &row->after};
    bool good = true;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        *texts[i] = db_column_copy(statement, c++);
        good = good && *texts[i];
    }
    return good;
}

static void bind_if_given(sqlite3_stmt *statement, int index, const char *text) {
    if (text) {
        db_bind_text(statement, index, text);
    }
}

enum status audit_table_list(struct store *store, int64_t below, const char *owner,
                             const char *subject, const char *subject_id, int limit,
                             struct audit_list *ret_list, struct error *error) {
    struct audit_list list = {.rows = calloc((size_t)limit, sizeof(*list.rows))};
    if (!list.rows) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for %d lines of the audit", limit);
    }
    bool row = false;
    struct db *db = store_reader_acquire(store);
    sqlite3_stmt *statement = db_statement(db, DB_AUDIT, LIST);
    sqlite3_bind_int64(statement, 1, below);
    bind_if_given(statement, 2, owner);
    bind_if_given(statement, 3, subject);
    bind_if_given(statement, 4, subject_id);
    sqlite3_bind_int(statement, 5, limit + 1);
    enum status status = db_step(db, statement, &row, error);
    while (status == STATUS_OK && row && list.n < (size_t)limit) {
        status = read_row(statement, &list.rows[list.n++])
                     ? db_step(db, statement, &row, error)
                     : error_set(error, STATUS_NO_MEMORY, "no memory for a line of the audit");
    }
    list.more = row;
    (void)sqlite3_reset(statement);
    store_reader_release(store, db);
    if (status != STATUS_OK) {
        audit_list_clear(&list);
        return status;
    }
    *ret_list = list;
    return STATUS_OK;
}

/* ---- writes ---- */

enum status audit_add(struct db *db, const char *subject, const char *subject_id,
                      const char *before, const char *after, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_AUDIT, ADD);
    db_bind_text(statement, 1, subject);
    db_bind_text(statement, 2, subject_id);
    bind_if_given(statement, 3, before);
    bind_if_given(statement, 4, after);
    return db_execute(db, statement, NULL, error);
}

struct add_arguments {
    const char *subject;
    const char *subject_id;
    const char *after;
};

static enum status add(struct db *db, void *arguments, struct error *error) {
    const struct add_arguments *a = arguments;
    return audit_add(db, a->subject, a->subject_id, NULL, a->after, error);
}

enum status audit_table_add(struct store *store, const char *subject, const char *subject_id,
                            const char *after, struct error *error) {
    struct add_arguments arguments = {subject, subject_id, after};
    return store_write(store, add, &arguments, error);
}

struct expire_arguments {
    int64_t before_ms;
    int n;
};

static enum status expire(struct db *db, void *arguments, struct error *error) {
    struct expire_arguments *a = arguments;
    sqlite3_stmt *statement = db_statement(db, DB_AUDIT, EXPIRE);
    sqlite3_bind_int64(statement, 1, a->before_ms);
    return db_execute(db, statement, &a->n, error);
}

enum status audit_table_expire(struct store *store, int64_t before_ms, int *ret_n,
                               struct error *error) {
    struct expire_arguments arguments = {before_ms, 0};
    TRY(store_write(store, expire, &arguments, error));
    *ret_n = arguments.n;
    return STATUS_OK;
}
