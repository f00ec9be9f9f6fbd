/* Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/query/upkeep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "daemon/store/table/run_rows.h"

enum { OLDEST_QUEUED, LAST_RUN_ID, LIST_RUNS, LIST_FINISHED, FORGET_LAST, N_STATEMENTS };

/* A clock that was not set (before 2020), or went back while the run was trained, says nothing of
 * age. */
#define FINISHED                                                                                   \
    " state IN ('succeeded', 'failed', 'canceled') AND max(finished_ms, created_ms) < ?1"          \
    " AND finished_ms > 1577836800000"                                                             \
    " AND EXISTS (SELECT 1 FROM checkpoint WHERE run_id = run.id AND kind = 'last')"

const struct statement_set upkeep_statements = {
    N_STATEMENTS,
    {
        [OLDEST_QUEUED] = "SELECT min(created_ms) FROM run WHERE state = 'queued'",
        [LAST_RUN_ID] = "SELECT seq FROM sqlite_sequence WHERE name = 'run'",
        /* Without an order: it walks the smallest index instead of the table. */
        [LIST_RUNS] = "SELECT id FROM run",
        [LIST_FINISHED] = "SELECT id FROM run WHERE" FINISHED " ORDER BY id",
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

/* ---- copies ---- */

void upkeep_path(struct store *store, char *ret_path, size_t size) {
    struct db *db = store_reader_acquire(store);
    (void)snprintf(ret_path, size, "%s", sqlite3_db_filename(db->handle, "main"));
    store_reader_release(store, db);
}

static void close_handle(sqlite3 **handle) {
    (void)sqlite3_close(*handle);
}

static enum status open_handle(const char *path, int flags, sqlite3 **ret_handle,
                               struct error *error) {
    int code = sqlite3_open_v2(path, ret_handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
    return code == SQLITE_OK ? STATUS_OK : db_status(*ret_handle, code, path, error);
}

static bool must_stop(const atomic_bool *stop) {
    return stop && atomic_load(stop);
}

static enum status stopped(struct error *error) {
    return error_set(error, STATUS_BUSY, "the copy was given up: the daemon is stopping");
}

/* All steps within one read transaction, which sees one state, whoever writes meanwhile. */
static enum status copy_pages(sqlite3 *source, sqlite3 *target, const atomic_bool *stop,
                              struct error *error) {
    enum { PAGES_A_STEP = 256 };
    int begun = sqlite3_exec(source, "BEGIN; SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    if (begun != SQLITE_OK) {
        return db_status(source, begun, "cannot begin to read", error);
    }
    sqlite3_backup *backup = sqlite3_backup_init(target, "main", source, "main");
    if (!backup) {
        return db_status(target, sqlite3_errcode(target), "cannot begin the copy", error);
    }
    int code = SQLITE_OK;
    while (code == SQLITE_OK && !must_stop(stop)) {
        code = sqlite3_backup_step(backup, PAGES_A_STEP);
    }
    int finish_code = sqlite3_backup_finish(backup);
    if (code == SQLITE_OK) {
        return stopped(error);
    }
    if (code != SQLITE_DONE || finish_code != SQLITE_OK) {
        int reason = code != SQLITE_DONE ? code : finish_code;
        return error_set(error, (reason & 0xff) == SQLITE_FULL ? STATUS_NO_SPACE : STATUS_IO,
                         "cannot copy the database: %s", sqlite3_errstr(reason));
    }
    return STATUS_OK;
}

static int interrupts(void *user) {
    return must_stop(*(const atomic_bool *const *)user);
}

static enum status check(sqlite3 *target, const char *path, const atomic_bool *stop,
                         struct error *error) {
    enum { INSTRUCTIONS_A_STEP = 100000 };
    sqlite3_progress_handler(target, INSTRUCTIONS_A_STEP, interrupts, (void *)&stop);
    sqlite3_stmt *statement = NULL;
    char text[256] = "";
    int code = sqlite3_prepare_v2(target, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
        db_column_text(statement, 0, text, sizeof(text));
    }
    (void)sqlite3_finalize(statement);
    sqlite3_progress_handler(target, 0, NULL, NULL);
    if (must_stop(stop)) {
        return stopped(error);
    }
    return strcmp(text, "ok") == 0
               ? STATUS_OK
               : error_set(error, STATUS_CORRUPT, "the copy %s is damaged: %s", path, text);
}

static enum status sync_file(const char *path, struct error *error) {
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? STATUS_OK
                                     : error_set_errno(error, errno, "cannot sync %s", path);
}

static enum status copy_and_check(const char *source_path, const char *target_path,
                                  const atomic_bool *stop, struct error *error) {
    CLEANUP(close_handle) sqlite3 *source = NULL;
    CLEANUP(close_handle) sqlite3 *target = NULL;
    TRY(open_handle(source_path, SQLITE_OPEN_READONLY, &source, error));
    TRY(open_handle(target_path, SQLITE_OPEN_READWRITE, &target, error));
    /* Only the store's writer moves what is in the log into the database. */
    (void)sqlite3_exec(source, "PRAGMA wal_autocheckpoint = 0", NULL, NULL, NULL);
    (void)sqlite3_busy_timeout(source, 5000);
    TRY(copy_pages(source, target, stop, error));
    /* One file, without a log beside it. */
    int code = sqlite3_exec(target, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    if (code != SQLITE_OK) {
        return db_status(target, code, target_path, error);
    }
    return check(target, target_path, stop, error);
}

enum status upkeep_copy(const char *source, const char *target, const atomic_bool *stop,
                        struct error *error) {
    int fd = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0) {
        return errno == EEXIST ? error_set(error, STATUS_CONFLICT, "%s exists already", target)
                               : error_set_errno(error, errno, "cannot create %s", target);
    }
    (void)close(fd);
    enum status status = copy_and_check(source, target, stop, error);
    if (status == STATUS_OK) {
        status = sync_file(target, error);
    }
    if (status != STATUS_OK) {
        (void)unlink(target);
    }
    return status;
}

static void finalize(sqlite3_stmt **statement) {
    (void)sqlite3_finalize(*statement);
}

/* Makes room for one more of `size` bytes each; doubles. */
static void *grow(void *items, size_t n, size_t size) {
    bool full = n == 0 || (n >= 16 && (n & (n - 1)) == 0);
    size_t capacity = n < 16 ? 16 : 2 * n;
    return full ? realloc(items, capacity * size) : items;
}

enum status upkeep_list_files(const char *path, struct upkeep_file **ret_files, size_t *ret_n,
                              struct error *error) {
    static const char sql[] = "SELECT DISTINCT run_id, path FROM checkpoint ORDER BY run_id, path";
    CLEANUP(close_handle) sqlite3 *handle = NULL;
    CLEANUP(finalize) sqlite3_stmt *statement = NULL;
    CLEANUP(free_pointer) struct upkeep_file *files = NULL;
    size_t n = 0;
    TRY(open_handle(path, SQLITE_OPEN_READONLY, &handle, error));
    int code = sqlite3_prepare_v2(handle, sql, -1, &statement, NULL);
    while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct upkeep_file *grown = grow(files, n, sizeof(*files));
        if (!grown) {
            return error_set(error, STATUS_NO_MEMORY, "no memory for the list of checkpoints");
        }
        files = grown;
        files[n].run_id = sqlite3_column_int64(statement, 0);
        db_column_text(statement, 1, files[n].path, sizeof(files[n].path));
        n++;
        code = SQLITE_OK;
    }
    if (code != SQLITE_DONE) {
        return db_status(handle, code, path, error);
    }
    *ret_files = files;
    *ret_n = n;
    files = NULL;
    return STATUS_OK;
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
    bool done;
};

static enum status forget_last(struct db *db, void *arguments, struct error *error) {
    struct forget_arguments *a = arguments;
    sqlite3_stmt *statement = db_statement(db, DB_UPKEEP, FORGET_LAST);
    int changes = 0;
    sqlite3_bind_int64(statement, 1, a->before_ms);
    sqlite3_bind_int64(statement, 2, a->run_id);
    TRY(db_execute(db, statement, &changes, error));
    a->done = changes > 0;
    return a->done ? run_touch(db, a->run_id, a->now_ms, error) : STATUS_OK;
}

enum status upkeep_forget_last(struct store *store, int64_t run_id, int64_t before_ms,
                               int64_t now_ms, bool *ret_done, struct error *error) {
    struct forget_arguments arguments = {run_id, before_ms, now_ms, false};
    TRY(store_write(store, forget_last, &arguments, error));
    *ret_done = arguments.done;
    return STATUS_OK;
}
