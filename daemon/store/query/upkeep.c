/* Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/query/upkeep.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/cleanup.h"
#include "daemon/store/table/checkpoint_rows.h"
#include "daemon/store/table/run_rows.h"

enum { OLDEST_QUEUED, LAST_RUN_ID, LIST_RUNS, LIST_FINISHED, FORGET_LAST, N_STATEMENTS };

/* A clock that went back while the run was trained says nothing of its age. A run that went on from
 * an earlier checkpoint, and ended before it was better than ever, has no best one: the last is all
 * that there is of it. */
#define FINISHED                                                                                   \
    " state IN ('succeeded', 'failed', 'canceled') AND max(finished_ms, created_ms) <= ?1"         \
    " AND EXISTS (SELECT 1 FROM checkpoint WHERE run_id = run.id AND kind = 'last')"               \
    " AND (best_epoch IS NULL OR EXISTS (SELECT 1 FROM checkpoint WHERE run_id = run.id"           \
    "  AND kind = 'best'))"

const struct statement_set upkeep_statements = {
    N_STATEMENTS,
    {
        [OLDEST_QUEUED] = "SELECT min(created_ms) FROM run WHERE state = 'queued'",
        [LAST_RUN_ID] = "SELECT seq FROM sqlite_sequence WHERE name = 'run'",
        /* Without an order: it walks the smallest index instead of the table. */
        [LIST_RUNS] = "SELECT id FROM run",
        [LIST_FINISHED] = ("SELECT id FROM run WHERE" FINISHED " ORDER BY id"),
        [FORGET_LAST] = ("DELETE FROM checkpoint WHERE run_id = ?2 AND kind = 'last'"
                         " AND EXISTS (SELECT 1 FROM run WHERE id = ?2 AND" FINISHED ")"),
    },
};

/* ---- age ---- */

/* The statement's one number; 0: it has none. */
static enum status read_number(struct db *db, int index, int64_t *ret_number, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_UPKEEP, index);
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    *ret_number = row ? sqlite3_column_int64(statement, 0) : 0;
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

enum status upkeep_oldest_queued(struct store *store, int64_t *ret_created_ms,
                                 struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = read_number(db, OLDEST_QUEUED, ret_created_ms, error);
    store_reader_release(store, db);
    return status;
}

enum status upkeep_last_run_id(struct store *store, int64_t *ret_id, struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = read_number(db, LAST_RUN_ID, ret_id, error);
    store_reader_release(store, db);
    return status;
}

void upkeep_path(struct store *store, char *ret_path, size_t size) {
    struct db *db = store_reader_acquire(store);
    (void)snprintf(ret_path, size, "%s", sqlite3_db_filename(db->handle, "main"));
    store_reader_release(store, db);
}

/* Makes room for one more of `size` bytes each; doubles. */
static void *grow(void *items, size_t n, size_t size) {
    bool full = n == 0 || (n >= 16 && (n & (n - 1)) == 0);
    size_t capacity = n < 16 ? 16 : 2 * n;
    return full ? realloc(items, capacity * size) : items;
}

/* ---- lists of runs ---- */

static enum status read_ids(struct db *db, sqlite3_stmt *statement, int64_t **ids, size_t *n,
                            struct error *error) {
    for (;;) {
        bool row = false;
        TRY(db_step(db, statement, &row, error));
        if (!row) {
            return STATUS_OK;
        }
        int64_t *grown = grow(*ids, *n, sizeof(**ids));
        if (!grown) {
            (void)sqlite3_reset(statement);
            return error_set(error, STATUS_NO_MEMORY, "no memory for a list of runs");
        }
        *ids = grown;
        (*ids)[(*n)++] = sqlite3_column_int64(statement, 0);
    }
}

/* before_ms: of a statement that has a place for it. */
static enum status list_runs(struct store *store, int index, int64_t before_ms, int64_t **ret_ids,
                             size_t *ret_n, struct error *error) {
    int64_t *ids = NULL;
    size_t n = 0;
    struct db *db = store_reader_acquire(store);
    sqlite3_stmt *statement = db_statement(db, DB_UPKEEP, index);
    (void)sqlite3_bind_int64(statement, 1, before_ms);
    enum status status = read_ids(db, statement, &ids, &n, error);
    store_reader_release(store, db);
    if (status != STATUS_OK) {
        free(ids);
        return status;
    }
    *ret_ids = ids;
    *ret_n = n;
    return STATUS_OK;
}

static int by_id(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

enum status upkeep_list_runs(struct store *store, int64_t **ret_ids, size_t *ret_n,
                             struct error *error) {
    TRY(list_runs(store, LIST_RUNS, 0, ret_ids, ret_n, error));
    if (*ret_n > 0) {
        qsort(*ret_ids, *ret_n, sizeof(**ret_ids), by_id);
    }
    return STATUS_OK;
}

enum status upkeep_list_finished(struct store *store, int64_t before_ms, int64_t **ret_ids,
                                 size_t *ret_n, struct error *error) {
    return list_runs(store, LIST_FINISHED, before_ms, ret_ids, ret_n, error);
}

/* ---- what is old enough to go ---- */

struct forget_arguments {
    int64_t run_id;
    int64_t before_ms;
    int64_t now_ms;
    upkeep_files *files;
    void *user;
    bool done;
};

static enum status forget_last(struct db *db, void *arguments, struct error *error) {
    struct forget_arguments *a = arguments;
    CLEANUP(checkpoint_list_clear) struct checkpoint_list kept = {0};
    sqlite3_stmt *statement = db_statement(db, DB_UPKEEP, FORGET_LAST);
    int changes = 0;
    sqlite3_bind_int64(statement, 1, a->before_ms);
    sqlite3_bind_int64(statement, 2, a->run_id);
    TRY(db_execute(db, statement, &changes, error));
    a->done = changes > 0;
    if (!a->done) {
        return STATUS_OK;
    }
    TRY(run_touch(db, a->run_id, a->now_ms, error));
    TRY(checkpoint_read_list(db, a->run_id, &kept, error));
    return a->files(a->user, a->run_id, &kept, error);
}

enum status upkeep_forget_last(struct store *store, int64_t run_id, int64_t before_ms,
                               int64_t now_ms, upkeep_files *files, void *user, bool *ret_done,
                               struct error *error) {
    struct forget_arguments arguments = {run_id, before_ms, now_ms, files, user, false};
    TRY(store_write(store, forget_last, &arguments, error));
    *ret_done = arguments.done;
    return STATUS_OK;
}
