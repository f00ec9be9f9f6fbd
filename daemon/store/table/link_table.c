/* Table `link`. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/table/link_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "daemon/store/db.h"

enum { ADD, COUNT, EXPIRE, GET, DELETE, LIST, N_STATEMENTS };

#define COLUMNS "id, sweep_id, sha256, owner, created_ms, expires_ms"

const struct statement_set link_statements = {
    N_STATEMENTS,
    {
        [ADD] = ("INSERT INTO link (sweep_id, sha256, owner, created_ms, expires_ms)"
                 " SELECT id, ?2, ?3, ?4, ?5 FROM sweep WHERE id = ?1"),
        [COUNT] = "SELECT count(*) FROM link WHERE sweep_id = ?1",
        [EXPIRE] = "DELETE FROM link WHERE expires_ms <= ?1",
        [GET] = ("SELECT " COLUMNS " FROM link WHERE id = ?1"),
        [DELETE] = "DELETE FROM link WHERE id = ?1",
        [LIST] = ("SELECT " COLUMNS " FROM link WHERE (?1 = 0 OR sweep_id = ?1)"
                  " AND expires_ms > ?2 ORDER BY id"),
    },
};

void link_list_clear(struct link_list *list) {
    free(list->rows);
    *list = (struct link_list){0};
}

static void read_row(sqlite3_stmt *statement, struct link_row *row) {
    memset(row, 0, sizeof(*row));
    row->id = sqlite3_column_int64(statement, 0);
    row->sweep_id = sqlite3_column_int64(statement, 1);
    db_column_text(statement, 2, row->sha256, sizeof(row->sha256));
    db_column_text(statement, 3, row->owner, sizeof(row->owner));
    row->created_ms = sqlite3_column_int64(statement, 4);
    row->expires_ms = sqlite3_column_int64(statement, 5);
}

static enum status read_list(struct db *db, int64_t sweep_id, int64_t now_ms,
                             struct link_list *list, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_LINK, LIST);
    sqlite3_bind_int64(statement, 1, sweep_id);
    sqlite3_bind_int64(statement, 2, now_ms);
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    while (row) {
        struct link_row *rows = realloc(list->rows, (list->n + 1) * sizeof(*rows));
        if (!rows) {
            (void)sqlite3_reset(statement);
            return error_set(error, STATUS_NO_MEMORY, "no memory for a list of links");
        }
        list->rows = rows;
        read_row(statement, &rows[list->n++]);
        TRY(db_step(db, statement, &row, error));
    }
    return STATUS_OK;
}

enum status link_table_list(struct store *store, int64_t sweep_id, int64_t now_ms,
                            struct link_list *ret_list, struct error *error) {
    struct link_list list = {0};
    struct db *db = store_reader_acquire(store);
    enum status status = read_list(db, sweep_id, now_ms, &list, error);
    store_reader_release(store, db);
    if (status != STATUS_OK) {
        link_list_clear(&list);
        return status;
    }
    *ret_list = list;
    return STATUS_OK;
}

struct add_arguments {
    const struct link_row *row;
    int most;
    int64_t id;
};

static enum status check_room(struct db *db, const struct add_arguments *a, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_LINK, COUNT);
    sqlite3_bind_int64(statement, 1, a->row->sweep_id);
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    int n = sqlite3_column_int(statement, 0);
    (void)sqlite3_reset(statement);
    return n < a->most ? STATUS_OK
                       : error_set(error, STATUS_CONFLICT,
                                   "sweep %" PRId64 " has %d links already: withdraw one of them",
                                   a->row->sweep_id, n);
}

static enum status add(struct db *db, void *arguments, struct error *error) {
    struct add_arguments *a = arguments;
    int changes = 0;
    sqlite3_stmt *statement = db_statement(db, DB_LINK, EXPIRE);
    sqlite3_bind_int64(statement, 1, a->row->created_ms);
    TRY(db_execute(db, statement, NULL, error));
    TRY(check_room(db, a, error));
    statement = db_statement(db, DB_LINK, ADD);
    sqlite3_bind_int64(statement, 1, a->row->sweep_id);
    db_bind_text(statement, 2, a->row->sha256);
    db_bind_text(statement, 3, a->row->owner);
    sqlite3_bind_int64(statement, 4, a->row->created_ms);
    sqlite3_bind_int64(statement, 5, a->row->expires_ms);
    TRY(db_execute(db, statement, &changes, error));
    a->id = sqlite3_last_insert_rowid(db->handle);
    return changes > 0
               ? STATUS_OK
               : error_set(error, STATUS_NOT_FOUND, "there is no sweep %" PRId64, a->row->sweep_id);
}

enum status link_table_add(struct store *store, const struct link_row *row, int most,
                           int64_t *ret_id, struct error *error) {
    struct add_arguments arguments = {row, most, 0};
    TRY(store_write(store, add, &arguments, error));
    *ret_id = arguments.id;
    return STATUS_OK;
}

static enum status no_link(int64_t id, struct error *error) {
    return error_set(error, STATUS_NOT_FOUND, "there is no link %" PRId64, id);
}

static enum status read_link(struct db *db, int64_t id, struct link_row *ret_row,
                             struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_LINK, GET);
    sqlite3_bind_int64(statement, 1, id);
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    if (!row) {
        return no_link(id, error);
    }
    read_row(statement, ret_row);
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

enum status link_table_get(struct store *store, int64_t id, struct link_row *ret_row,
                           struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = read_link(db, id, ret_row, error);
    store_reader_release(store, db);
    return status;
}

static enum status delete_link(struct db *db, void *arguments, struct error *error) {
    int64_t id = *(int64_t *)arguments;
    int changes = 0;
    sqlite3_stmt *statement = db_statement(db, DB_LINK, DELETE);
    sqlite3_bind_int64(statement, 1, id);
    TRY(db_execute(db, statement, &changes, error));
    return changes > 0 ? STATUS_OK : no_link(id, error);
}

enum status link_table_delete(struct store *store, int64_t id, struct error *error) {
    return store_write(store, delete_link, &id, error);
}
