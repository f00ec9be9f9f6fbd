/* Table `sweep`. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/table/sweep_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/analyzer.h"
#include "core/base/cleanup.h"
#include "daemon/store/table/sweep_rows.h"

enum { INSERT, GET, LIST, PROGRESS, RUNS, DELETE, N_STATEMENTS };

#define COLUMNS                                                                                    \
    "id, name, owner, spec_json, created_ms,"                                                      \
    " EXISTS (SELECT 1 FROM note WHERE note.sweep_id = sweep.id)"

const struct statement_set sweep_statements = {
    N_STATEMENTS,
    {
        [INSERT] = ("INSERT INTO sweep (name, owner, spec_json, created_ms)"
                    " VALUES (?1, ?2, ?3, ?4)"),
        [GET] = ("SELECT " COLUMNS " FROM sweep WHERE id = ?1"),
        [LIST] = ("SELECT " COLUMNS " FROM sweep WHERE ?1 = 0 OR id < ?1"
                  " ORDER BY id DESC LIMIT ?2"),
        [PROGRESS] = ("SELECT state, count(*), sum(epochs_done), sum(epochs), sum(revision),"
                      " total(CAST(epochs_done AS REAL) * m * (depth - 2)),"
                      " total(CASE WHEN state IN ('queued', 'running')"
                      "  THEN CAST(epochs - epochs_done AS REAL) * m * (depth - 2) END),"
                      " total(train_seconds), sum(ranked_out),"
                      " sum(ranked_out * (epochs - epochs_done)), min(executor), max(executor)"
                      " FROM run WHERE sweep_id = ?1 GROUP BY state"),
        [RUNS] = "SELECT id FROM run WHERE sweep_id = ?1 ORDER BY id",
        [DELETE] = "DELETE FROM sweep WHERE id = ?1",
    },
};

void sweep_row_clear(struct sweep_row *row) {
    free(row->spec_json);
    memset(row, 0, sizeof(*row));
}

void sweep_list_clear(struct sweep_list *list) {
    for (size_t i = 0; i < list->n; i++) {
        sweep_row_clear(&list->rows[i]);
    }
    free(list->rows);
    memset(list, 0, sizeof(*list));
}

enum status sweep_add(struct db *db, const struct sweep_draft *draft, int64_t now_ms,
                      int64_t *ret_id, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_SWEEP, INSERT);
    db_bind_text(statement, 1, draft->name);
    db_bind_text(statement, 2, draft->owner ? draft->owner : "");
    db_bind_text(statement, 3, draft->spec_json);
    sqlite3_bind_int64(statement, 4, now_ms);
    TRY(db_execute(db, statement, NULL, error));
    *ret_id = sqlite3_last_insert_rowid(db->handle);
    return STATUS_OK;
}

ANALYZER_IS_WRONG(
    "-Wanalyzer-malloc-leak") /* it belongs to the list, which is cleared with its rows */
static enum status read_row(sqlite3_stmt *s, struct sweep_row *row, struct error *error) {
    row->id = sqlite3_column_int64(s, 0);
    db_column_text(s, 1, row->name, sizeof(row->name));
    db_column_text(s, 2, row->owner, sizeof(row->owner));
    row->spec_json = db_column_copy(s, 3);
    row->created_ms = sqlite3_column_int64(s, 4);
    row->has_note = sqlite3_column_int(s, 5) != 0;
    return row->spec_json ? STATUS_OK
                          : error_set(error, STATUS_NO_MEMORY, "no memory to read a sweep");
}
ANALYZER_GOES_ON

enum status sweep_read(struct db *db, int64_t id, struct sweep_row *row, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_SWEEP, GET);
    sqlite3_bind_int64(statement, 1, id);
    bool found = false;
    TRY(db_step(db, statement, &found, error));
    if (!found) {
        return error_set(error, STATUS_NOT_FOUND, "there is no sweep %lld", (long long)id);
    }
    enum status status = read_row(statement, row, error);
    (void)sqlite3_reset(statement);
    return status;
}

enum status sweep_table_get(struct store *store, int64_t id, struct sweep_row *ret_row,
                            struct error *error) {
    struct sweep_row row = {0};
    struct db *db = store_reader_acquire(store);
    enum status status = sweep_read(db, id, &row, error);
    store_reader_release(store, db);
    if (status == STATUS_OK) {
        *ret_row = row;
    }
    return status;
}

static enum status read_list(struct db *db, int64_t before_id, int limit, struct sweep_list *list,
                             struct error *error) {
    list->rows = calloc((size_t)limit, sizeof(*list->rows));
    if (!list->rows) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a list of %d sweeps", limit);
    }
    sqlite3_stmt *statement = db_statement(db, DB_SWEEP, LIST);
    sqlite3_bind_int64(statement, 1, before_id);
    /* One more than asked for tells whether there are more. */
    sqlite3_bind_int64(statement, 2, (int64_t)limit + 1);
    bool row = false;
    enum status status = db_step(db, statement, &row, error);
    while (status == STATUS_OK && row && list->n < (size_t)limit) {
        status = read_row(statement, &list->rows[list->n], error);
        if (status == STATUS_OK) {
            list->n++;
            status = db_step(db, statement, &row, error);
        }
    }
    list->more = status == STATUS_OK && row;
    (void)sqlite3_reset(statement);
    return status;
}

enum status sweep_table_list(struct store *store, int64_t before_id, int limit,
                             struct sweep_list *ret_list, struct error *error) {
    struct sweep_list list = {0};
    struct db *db = store_reader_acquire(store);
    enum status status = read_list(db, before_id, limit, &list, error);
    store_reader_release(store, db);
    if (status != STATUS_OK) {
        sweep_list_clear(&list);
        return status;
    }
    *ret_list = list;
    return STATUS_OK;
}

static void note_executor(sqlite3_stmt *s, int column, struct sweep_progress *progress) {
    char name[RUN_EXECUTOR_SIZE];
    db_column_text(s, column, name, sizeof(name));
    if (progress->executor[0] && strcmp(progress->executor, name) != 0) {
        progress->mixed = true;
    }
    (void)snprintf(progress->executor, sizeof(progress->executor), "%s", name);
}

static enum status read_progress(struct db *db, int64_t id, struct sweep_progress *progress,
                                 struct error *error) {
    sqlite3_stmt *s = db_statement(db, DB_SWEEP, PROGRESS);
    sqlite3_bind_int64(s, 1, id);
    bool row = false;
    TRY(db_step(db, s, &row, error));
    while (row) {
        char name[16];
        enum run_state state;
        db_column_text(s, 0, name, sizeof(name));
        if (run_state_from_name(name, &state)) {
            progress->by_state[state] = sqlite3_column_int64(s, 1);
        }
        progress->n_runs += sqlite3_column_int64(s, 1);
        progress->epochs_done += sqlite3_column_int64(s, 2);
        progress->epochs_total += sqlite3_column_int64(s, 3);
        progress->revision_sum += sqlite3_column_int64(s, 4);
        progress->work_done += sqlite3_column_double(s, 5);
        progress->work_left += sqlite3_column_double(s, 6);
        progress->train_seconds += sqlite3_column_double(s, 7);
        progress->n_ranked_out += sqlite3_column_int64(s, 8);
        progress->epochs_saved += sqlite3_column_int64(s, 9);
        note_executor(s, 10, progress);
        note_executor(s, 11, progress);
        TRY(db_step(db, s, &row, error));
    }
    return STATUS_OK;
}

enum status sweep_table_progress(struct store *store, int64_t id,
                                 struct sweep_progress *ret_progress, struct error *error) {
    struct sweep_progress progress = {0};
    struct db *db = store_reader_acquire(store);
    enum status status = read_progress(db, id, &progress, error);
    store_reader_release(store, db);
    if (status == STATUS_OK) {
        *ret_progress = progress;
    }
    return status;
}

enum { FIRST_CAPACITY = 32 };

enum status sweep_read_runs(struct db *db, int64_t sweep_id, int64_t **ret_ids, size_t *ret_n,
                            struct error *error) {
    CLEANUP(free_pointer) int64_t *ids = NULL;
    size_t n = 0;
    size_t capacity = 0;
    sqlite3_stmt *statement = db_statement(db, DB_SWEEP, RUNS);
    sqlite3_bind_int64(statement, 1, sweep_id);
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    while (row) {
        if (n == capacity) {
            capacity = capacity ? 2 * capacity : FIRST_CAPACITY;
            int64_t *larger = realloc(ids, capacity * sizeof(*larger));
            if (!larger) {
                (void)sqlite3_reset(statement);
                return error_set(error, STATUS_NO_MEMORY, "no memory for %zu runs", capacity);
            }
            ids = larger;
        }
        ids[n++] = sqlite3_column_int64(statement, 0);
        TRY(db_step(db, statement, &row, error));
    }
    *ret_ids = ids;
    *ret_n = n;
    ids = NULL;
    return STATUS_OK;
}

enum status sweep_table_runs(struct store *store, int64_t id, int64_t **ret_ids, size_t *ret_n,
                             struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = sweep_read_runs(db, id, ret_ids, ret_n, error);
    store_reader_release(store, db);
    return status;
}

enum status sweep_remove(struct db *db, int64_t id, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_SWEEP, DELETE);
    sqlite3_bind_int64(statement, 1, id);
    return db_execute(db, statement, NULL, error);
}
