/* Table `checkpoint`. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/table/checkpoint_table.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/store/table/checkpoint_rows.h"

enum {
    ADD,
    FORGET_PATH,
    FORGET_NEWER,
    FORGET_OLDER_BEST,
    FORGET_OLDER_LAST,
    FORGET_ALL,
    LIST,
    N_STATEMENTS
};

const struct statement_set checkpoint_statements = {
    N_STATEMENTS,
    {
        [ADD] = ("INSERT INTO checkpoint (run_id, kind, path, sha256, n_bytes, epochs_done, step,"
                 " at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"),
        [FORGET_PATH] = "DELETE FROM checkpoint WHERE run_id = ?1 AND kind = ?2 AND path = ?3",
        [FORGET_NEWER] = ("DELETE FROM checkpoint WHERE run_id = ?1 AND id >"
                          " (SELECT max(id) FROM checkpoint WHERE run_id = ?1 AND path = ?2)"),
        [FORGET_OLDER_BEST] =
            ("DELETE FROM checkpoint WHERE run_id = ?1 AND kind = 'best' AND id <>"
             " (SELECT max(id) FROM checkpoint WHERE run_id = ?1"
             " AND kind = 'best')"),
        [FORGET_OLDER_LAST] = ("DELETE FROM checkpoint WHERE run_id = ?1 AND kind = 'last'"
                               " AND id NOT IN (SELECT id FROM checkpoint WHERE run_id = ?1"
                               " AND kind = 'last' ORDER BY id DESC LIMIT 2)"),
        [FORGET_ALL] = "DELETE FROM checkpoint WHERE run_id = ?1",
        [LIST] = ("SELECT id, kind, path, sha256, n_bytes, epochs_done, step, at_ms FROM checkpoint"
                  " WHERE run_id = ?1 ORDER BY id DESC"),
    },
};

/* best, last and the one before last */
enum { MAX_ROWS = 8 };

const char *checkpoint_kind_name(enum checkpoint_kind kind) {
    switch (kind) {
    case CHECKPOINT_LAST:
        return "last";
    case CHECKPOINT_BEST:
        return "best";
    }
    return "unknown";
}

static enum status forget(struct db *db, int index, int64_t run_id, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_CHECKPOINT, index);
    sqlite3_bind_int64(statement, 1, run_id);
    return db_execute(db, statement, NULL, error);
}

enum status checkpoint_forget_all(struct db *db, int64_t run_id, struct error *error) {
    return forget(db, FORGET_ALL, run_id, error);
}

enum status checkpoint_forget_newer(struct db *db, int64_t run_id, const char *path,
                                    struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_CHECKPOINT, FORGET_NEWER);
    sqlite3_bind_int64(statement, 1, run_id);
    db_bind_text(statement, 2, path);
    return db_execute(db, statement, NULL, error);
}

/* The same path again is a newer file, so it gets a newer id. */
static enum status forget_path(struct db *db, int64_t run_id, const struct checkpoint_row *row,
                               struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_CHECKPOINT, FORGET_PATH);
    sqlite3_bind_int64(statement, 1, run_id);
    db_bind_text(statement, 2, checkpoint_kind_name(row->kind));
    db_bind_text(statement, 3, row->path);
    return db_execute(db, statement, NULL, error);
}

static enum status add(struct db *db, int64_t run_id, const struct checkpoint_row *row,
                       struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_CHECKPOINT, ADD);
    sqlite3_bind_int64(statement, 1, run_id);
    db_bind_text(statement, 2, checkpoint_kind_name(row->kind));
    db_bind_text(statement, 3, row->path);
    db_bind_text(statement, 4, row->sha256);
    sqlite3_bind_int64(statement, 5, row->n_bytes);
    sqlite3_bind_int(statement, 6, row->epochs_done);
    sqlite3_bind_int(statement, 7, row->step);
    sqlite3_bind_int64(statement, 8, row->at_ms);
    return db_execute(db, statement, NULL, error);
}

enum status checkpoint_add(struct db *db, int64_t run_id, const struct checkpoint_row *row,
                           struct error *error) {
    TRY(forget_path(db, run_id, row, error));
    TRY(add(db, run_id, row, error));
    TRY(forget(db, FORGET_OLDER_BEST, run_id, error));
    return forget(db, FORGET_OLDER_LAST, run_id, error);
}

static void read_row(sqlite3_stmt *statement, struct checkpoint_row *row) {
    char kind[16];
    memset(row, 0, sizeof(*row));
    row->id = sqlite3_column_int64(statement, 0);
    db_column_text(statement, 1, kind, sizeof(kind));
    row->kind = strcmp(kind, "best") == 0 ? CHECKPOINT_BEST : CHECKPOINT_LAST;
    db_column_text(statement, 2, row->path, sizeof(row->path));
    db_column_text(statement, 3, row->sha256, sizeof(row->sha256));
    row->n_bytes = sqlite3_column_int64(statement, 4);
    row->epochs_done = sqlite3_column_int(statement, 5);
    row->step = sqlite3_column_int(statement, 6);
    row->at_ms = sqlite3_column_int64(statement, 7);
}

enum status checkpoint_read_list(struct db *db, int64_t run_id, struct checkpoint_list *list,
                                 struct error *error) {
    list->rows = calloc(MAX_ROWS, sizeof(*list->rows));
    if (!list->rows) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a list of checkpoints");
    }
    sqlite3_stmt *statement = db_statement(db, DB_CHECKPOINT, LIST);
    sqlite3_bind_int64(statement, 1, run_id);
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    while (row && list->n < MAX_ROWS) {
        read_row(statement, &list->rows[list->n++]);
        TRY(db_step(db, statement, &row, error));
    }
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

enum status checkpoint_table_list(struct store *store, int64_t run_id,
                                  struct checkpoint_list *ret_list, struct error *error) {
    struct checkpoint_list list = {0};
    struct db *db = store_reader_acquire(store);
    enum status status = checkpoint_read_list(db, run_id, &list, error);
    store_reader_release(store, db);
    if (status != STATUS_OK) {
        checkpoint_list_clear(&list);
        return status;
    }
    *ret_list = list;
    return STATUS_OK;
}

void checkpoint_list_clear(struct checkpoint_list *list) {
    free(list->rows);
    memset(list, 0, sizeof(*list));
}

const struct checkpoint_row *checkpoint_list_newest(const struct checkpoint_list *list,
                                                    enum checkpoint_kind kind) {
    for (size_t i = 0; i < list->n; i++) {
        if (list->rows[i].kind == kind) {
            return &list->rows[i];
        }
    }
    return NULL;
}

bool checkpoint_list_names(const struct checkpoint_list *list, const char *path) {
    for (size_t i = 0; i < list->n; i++) {
        if (!strcmp(list->rows[i].path, path)) {
            return true;
        }
    }
    return false;
}
