/* Table `epoch`. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/table/epoch_table.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/store/table/epoch_columns.h"
#include "daemon/store/table/epoch_rows.h"

enum { WRITE, FORGET_ALL, LIST, N_STATEMENTS };

/* run comes first: it is looked up once. The run_id behind EPOCH_COLUMNS is for the comma. */
#define SELECT                                                                                     \
    "SELECT " EPOCH_COLUMNS "epoch.run_id FROM run CROSS JOIN epoch ON epoch.run_id = run.id"      \
    " WHERE run.id = ?1"

const struct statement_set epoch_statements = {
    N_STATEMENTS,
    {
        [WRITE] = ("INSERT OR REPLACE INTO epoch (" EPOCH_NAMES "run_id)"
                   " VALUES (" EPOCH_PLACES "?)"),
        [FORGET_ALL] = "DELETE FROM epoch WHERE run_id = ?1",
        [LIST] = (SELECT " AND epoch.epoch > ?2 ORDER BY epoch.epoch LIMIT ?3"),
    },
};

enum { FIRST_CAPACITY = 64 };

#define BIND_INT sqlite3_bind_int
#define BIND_INT64 sqlite3_bind_int64
#define BIND_REAL db_bind_number
#define BIND(column, sql, kind, member) BIND_##kind(statement, place++, row->member);

enum status epoch_write(struct db *db, int64_t run_id, const struct epoch_row *row,
                        struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_EPOCH, WRITE);
    int place = 1;
    EPOCH_COLUMN_LIST(BIND)
    sqlite3_bind_int64(statement, place, run_id);
    return db_execute(db, statement, NULL, error);
}

#define READ_INT sqlite3_column_int
#define READ_INT64 sqlite3_column_int64
#define READ_REAL db_column_number
#define READ(column, sql, kind, member) ret_row->member = READ_##kind(statement, first_column++);

void epoch_read_row(sqlite3_stmt *statement, int first_column, struct epoch_row *ret_row) {
    *ret_row = (struct epoch_row){.at_ms = 0};
    EPOCH_COLUMN_LIST(READ)
}

enum status epoch_forget_all(struct db *db, int64_t run_id, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_EPOCH, FORGET_ALL);
    sqlite3_bind_int64(statement, 1, run_id);
    return db_execute(db, statement, NULL, error);
}

static enum status append(struct epoch_list *list, size_t *capacity, sqlite3_stmt *statement,
                          struct error *error) {
    if (list->n == *capacity) {
        size_t larger = *capacity ? 2 * *capacity : FIRST_CAPACITY;
        struct epoch_row *rows = realloc(list->rows, larger * sizeof(*rows));
        if (!rows) {
            return error_set(error, STATUS_NO_MEMORY, "no memory for %zu epochs", larger);
        }
        list->rows = rows;
        *capacity = larger;
    }
    epoch_read_row(statement, 0, &list->rows[list->n++]);
    return STATUS_OK;
}

static enum status read_list(struct db *db, int64_t run_id, int after_epoch, int limit,
                             struct epoch_list *list, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_EPOCH, LIST);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int(statement, 2, after_epoch);
    sqlite3_bind_int(statement, 3, limit > 0 ? limit : -1);
    size_t capacity = 0;
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    while (row) {
        enum status status = append(list, &capacity, statement, error);
        if (status != STATUS_OK) {
            (void)sqlite3_reset(statement);
            return status;
        }
        TRY(db_step(db, statement, &row, error));
    }
    return STATUS_OK;
}

enum status epoch_read_all(struct db *db, int64_t run_id, struct epoch_list *list,
                           struct error *error) {
    return read_list(db, run_id, 0, 0, list, error);
}

enum status epoch_table_list(struct store *store, int64_t run_id, int after_epoch, int limit,
                             struct epoch_list *ret_list, struct error *error) {
    struct epoch_list list = {0};
    struct db *db = store_reader_acquire(store);
    enum status status = read_list(db, run_id, after_epoch, limit, &list, error);
    store_reader_release(store, db);
    if (status != STATUS_OK) {
        epoch_list_clear(&list);
        return status;
    }
    *ret_list = list;
    return STATUS_OK;
}

void epoch_list_clear(struct epoch_list *list) {
    free(list->rows);
    memset(list, 0, sizeof(*list));
}
