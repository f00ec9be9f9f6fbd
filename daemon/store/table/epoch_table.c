/* Table `epoch`. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/table/epoch_table.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/store/table/tables.h"

enum { PUT, FORGET_ALL, LIST, GET, N_STATEMENTS };

#define COLUMNS                                                                                    \
    "epoch, train_loss, train_accuracy, val_loss, val_accuracy, val_wrong, val_total, lr,"         \
    " seconds, images_per_second, at_ms"

const struct statement_set epoch_statements = {
    N_STATEMENTS,
    {
        [PUT] = ("INSERT OR REPLACE INTO epoch (" COLUMNS ", run_id)"
                 " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"),
        [FORGET_ALL] = "DELETE FROM epoch WHERE run_id = ?1",
        [LIST] = ("SELECT " COLUMNS " FROM epoch WHERE run_id = ?1 AND epoch > ?2"
                  " ORDER BY epoch LIMIT ?3"),
        [GET] = ("SELECT " COLUMNS " FROM epoch WHERE run_id = ?1 AND epoch = ?2"),
    },
};

enum { FIRST_CAPACITY = 64 };

static void bind_row(sqlite3_stmt *statement, const struct epoch_row *row) {
    sqlite3_bind_int(statement, 1, row->epoch);
    db_bind_number(statement, 2, row->train_loss);
    db_bind_number(statement, 3, row->train_accuracy);
    db_bind_number(statement, 4, row->val_loss);
    db_bind_number(statement, 5, row->val_accuracy);
    sqlite3_bind_int(statement, 6, row->val_wrong);
    sqlite3_bind_int(statement, 7, row->val_total);
    db_bind_number(statement, 8, row->lr);
    db_bind_number(statement, 9, row->seconds);
    db_bind_number(statement, 10, row->images_per_second);
    sqlite3_bind_int64(statement, 11, row->at_ms);
}

static void read_row(sqlite3_stmt *statement, struct epoch_row *row) {
    row->epoch = sqlite3_column_int(statement, 0);
    row->train_loss = db_column_number(statement, 1);
    row->train_accuracy = db_column_number(statement, 2);
    row->val_loss = db_column_number(statement, 3);
    row->val_accuracy = db_column_number(statement, 4);
    row->val_wrong = sqlite3_column_int(statement, 5);
    row->val_total = sqlite3_column_int(statement, 6);
    row->lr = db_column_number(statement, 7);
    row->seconds = db_column_number(statement, 8);
    row->images_per_second = db_column_number(statement, 9);
    row->at_ms = sqlite3_column_int64(statement, 10);
}

enum status epoch_put(struct db *db, int64_t run_id, const struct epoch_row *row,
                      struct error *error) {
    /* First, because it is what notices that there is no such run. */
    TRY(run_touch(db, run_id, row->at_ms, error));
    sqlite3_stmt *statement = db_statement(db, DB_EPOCH, PUT);
    bind_row(statement, row);
    sqlite3_bind_int64(statement, 12, run_id);
    TRY(db_execute(db, statement, NULL, error));
    TRY(run_note_epoch(db, run_id, error));
    return event_add_epoch(db, run_id, row->epoch, row->at_ms, error);
}

struct put_arguments {
    int64_t run_id;
    const struct epoch_row *row;
};

static enum status put(struct db *db, void *arguments, struct error *error) {
    const struct put_arguments *a = arguments;
    return epoch_put(db, a->run_id, a->row, error);
}

enum status epoch_table_put(struct store *store, int64_t run_id, const struct epoch_row *row,
                            struct error *error) {
    struct put_arguments arguments = {run_id, row};
    return store_write(store, put, &arguments, error);
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
    read_row(statement, &list->rows[list->n++]);
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

static enum status get(struct db *db, int64_t run_id, int epoch, struct epoch_row *ret_row,
                       struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_EPOCH, GET);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int(statement, 2, epoch);
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    if (!row) {
        return error_set(error, STATUS_NOT_FOUND, "run %lld has no epoch %d", (long long)run_id,
                         epoch);
    }
    read_row(statement, ret_row);
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

enum status epoch_table_get(struct store *store, int64_t run_id, int epoch,
                            struct epoch_row *ret_row, struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = get(db, run_id, epoch, ret_row, error);
    store_reader_release(store, db);
    return status;
}

void epoch_list_clear(struct epoch_list *list) {
    free(list->rows);
    memset(list, 0, sizeof(*list));
}
