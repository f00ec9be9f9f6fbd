/* Table `epoch`. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/table/epoch_table.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/store/table/epoch_columns.h"
#include "daemon/store/table/epoch_rows.h"

enum { WRITE, FORGET_ALL, LIST, OF_RUN, N_STATEMENTS };

const struct statement_set epoch_statements = {
    N_STATEMENTS,
    {
        [WRITE] = ("INSERT OR REPLACE INTO epoch (" EPOCH_NAMES "run_id)"
                   " VALUES (" EPOCH_PLACES "?)"),
        [FORGET_ALL] = "DELETE FROM epoch WHERE run_id = ?1",
        /* Without the run, of which SQLite would take the columns out anew for each epoch. The
         * run_id is for the comma before it. */
        [LIST] = ("SELECT " EPOCH_COLUMNS "run_id FROM epoch"
                  " WHERE run_id = ?1 AND epoch > ?2 ORDER BY epoch LIMIT ?3"),
        [OF_RUN] = ("SELECT " EPOCH_RUN_COLUMNS " FROM run WHERE id = ?1"),
    },
};

enum { FIRST_CAPACITY = 64 };

#define BIND_INT sqlite3_bind_int
#define BIND_INT64 sqlite3_bind_int64
#define BIND_OF_RUN sqlite3_bind_int
#define BIND_OF_RUN64 sqlite3_bind_int64
#define BIND_REAL db_bind_number
#define BIND(column, kind, member) BIND_##kind(statement, place++, row->member);

enum status epoch_write(struct db *db, int64_t run_id, const struct epoch_row *row,
                        struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_EPOCH, WRITE);
    int place = 1;
    EPOCH_COLUMN_LIST(BIND)
    sqlite3_bind_int64(statement, place, run_id);
    return db_execute(db, statement, NULL, error);
}

static int64_t read_as_run(sqlite3_stmt *statement, int column) {
    return sqlite3_column_type(statement, column) == SQLITE_NULL
               ? EPOCH_AS_RUN
               : sqlite3_column_int64(statement, column);
}

#define READ_INT sqlite3_column_int
#define READ_INT64 sqlite3_column_int64
#define READ_OF_RUN (int)read_as_run
#define READ_OF_RUN64 read_as_run
#define READ_REAL db_column_number
#define READ(column, kind, member) ret_row->member = READ_##kind(statement, first_column++);

static void read_columns(sqlite3_stmt *statement, int first_column, struct epoch_row *ret_row) {
    *ret_row = (struct epoch_row){.at_ms = 0};
    EPOCH_COLUMN_LIST(READ)
}

/* EPOCH_RUN_COLUMNS begin at this column. */
static void complete(sqlite3_stmt *statement, int first_column, struct epoch_row *row) {
    if (row->report.images == EPOCH_AS_RUN) {
        row->report.images = sqlite3_column_int64(statement, first_column);
    }
    if (row->report.steps == EPOCH_AS_RUN) {
        row->report.steps = sqlite3_column_int(statement, first_column + 1);
    }
}

void epoch_read_row(sqlite3_stmt *statement, int first_column, struct epoch_row *ret_row) {
    read_columns(statement, first_column, ret_row);
    complete(statement, first_column + EPOCH_COLUMN_COUNT, ret_row);
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
    read_columns(statement, 0, &list->rows[list->n++]);
    return STATUS_OK;
}

static bool is_complete(const struct epoch_list *list) {
    for (size_t i = 0; i < list->n; i++) {
        if (list->rows[i].report.images == EPOCH_AS_RUN ||
            list->rows[i].report.steps == EPOCH_AS_RUN) {
            return false;
        }
    }
    return true;
}

static enum status complete_list(struct db *db, int64_t run_id, struct epoch_list *list,
                                 struct error *error) {
    if (is_complete(list)) {
        return STATUS_OK;
    }
    sqlite3_stmt *statement = db_statement(db, DB_EPOCH, OF_RUN);
    sqlite3_bind_int64(statement, 1, run_id);
    bool row = false; /* without one its columns read as 0 */
    TRY(db_step(db, statement, &row, error));
    for (size_t i = 0; i < list->n; i++) {
        complete(statement, 0, &list->rows[i]);
    }
    (void)sqlite3_reset(statement);
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
    return complete_list(db, run_id, list, error);
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
