/* Layer: daemon/store. Thread rule: see the header. */
#include "daemon/store/query/inspect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "daemon/store/db.h"
#include "daemon/store/migrate.h"

static void close_handle(sqlite3 **handle) {
    (void)sqlite3_close(*handle);
}

static void finalize(sqlite3_stmt **statement) {
    (void)sqlite3_finalize(*statement);
}

static enum status open_file(const char *path, int flags, sqlite3 **ret_handle,
                             struct error *error) {
    if (access(path, F_OK) != 0) {
        return error_set_errno(error, errno, "cannot find %s", path);
    }
    int code = sqlite3_open_v2(path, ret_handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK) {
        (void)sqlite3_busy_timeout(*ret_handle, 5000);
        /* Reads the head: a file of another kind is told here. */
        code = sqlite3_exec(*ret_handle, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    }
    return code == SQLITE_OK ? STATUS_OK : db_status(*ret_handle, code, path, error);
}

static enum status prepare(sqlite3 *handle, const char *sql, sqlite3_stmt **ret_statement,
                           struct error *error) {
    int code = sqlite3_prepare_v2(handle, sql, -1, ret_statement, NULL);
    return code == SQLITE_OK ? STATUS_OK : db_status(handle, code, "cannot be asked", error);
}

/* The one number that the statement gives. */
static enum status read_number(sqlite3 *handle, const char *sql, int64_t *ret_number,
                               struct error *error) {
    CLEANUP(finalize) sqlite3_stmt *statement = NULL;
    TRY(prepare(handle, sql, &statement, error));
    int code = sqlite3_step(statement);
    if (code != SQLITE_ROW) {
        return db_status(handle, code, "cannot be read", error);
    }
    *ret_number = sqlite3_column_int64(statement, 0);
    return STATUS_OK;
}

/* The first row of a PRAGMA that says what is wrong; "ok" or none: nothing is. */
static enum status check(sqlite3 *handle, const char *pragma, struct error *error) {
    CLEANUP(finalize) sqlite3_stmt *statement = NULL;
    TRY(prepare(handle, pragma, &statement, error));
    int code = sqlite3_step(statement);
    const char *text = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : "ok";
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        return db_status(handle, code, "cannot be checked", error);
    }
    return text && strcmp(text, "ok") == 0
               ? STATUS_OK
               : error_set(error, STATUS_CORRUPT, "is damaged: %.400s (%s)", text ? text : "?",
                           pragma);
}

static enum status read_version(sqlite3 *handle, struct inspection *found, struct error *error) {
    int64_t version = 0;
    int64_t n_histories = 0;
    TRY(read_number(handle, "PRAGMA user_version", &version, error));
    TRY(read_number(handle, "SELECT count(*) FROM sqlite_schema WHERE name IN ('run', 'migration')",
                    &n_histories, error));
    found->version = (int)version;
    found->newest = migrations_embedded_count;
    if (version < 1 || n_histories != 2) {
        return error_set(error, STATUS_CORRUPT, "is no database of cutoutd");
    }
    return version > migrations_embedded_count
               ? error_set(
                     error, STATUS_UNSUPPORTED,
                     "has version %d, and this program knows up to %d: it was used by a newer "
                     "cutoutd, which is the one to take",
                     (int)version, migrations_embedded_count)
               : STATUS_OK;
}

/* Versions before the second had no settings. */
static enum status read_instance(sqlite3 *handle, struct inspection *found, struct error *error) {
    CLEANUP(finalize) sqlite3_stmt *statement = NULL;
    int64_t has_settings = 0;
    TRY(read_number(handle, "SELECT count(*) FROM sqlite_schema WHERE name = 'setting'",
                    &has_settings, error));
    if (has_settings == 0) {
        return STATUS_OK;
    }
    TRY(prepare(handle, "SELECT value FROM setting WHERE name = 'instance'", &statement, error));
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        db_column_text(statement, 0, found->instance, sizeof(found->instance));
    }
    return code == SQLITE_ROW || code == SQLITE_DONE
               ? STATUS_OK
               : db_status(handle, code, "cannot read", error);
}

static enum status inspect(sqlite3 *handle, struct inspection *found, struct error *error) {
    TRY(read_version(handle, found, error));
    TRY(check(handle, "PRAGMA integrity_check(1)", error));
    TRY(check(handle, "PRAGMA foreign_key_check", error));
    TRY(read_number(handle, "SELECT count(*) FROM run", &found->n_runs, error));
    TRY(read_number(
        handle, "SELECT count(*) FROM run WHERE state NOT IN ('succeeded', 'failed', 'canceled')",
        &found->n_unfinished, error));
    return read_instance(handle, found, error);
}

enum status inspect_database(const char *path, struct inspection *ret_inspection,
                             struct error *error) {
    CLEANUP(close_handle) sqlite3 *handle = NULL;
    struct inspection found = {.version = 0};
    TRY(open_file(path, SQLITE_OPEN_READONLY, &handle, error));
    enum status status = inspect(handle, &found, error);
    if (status != STATUS_OK) {
        error_prefix(error, "%s", path);
        return status;
    }
    *ret_inspection = found;
    return STATUS_OK;
}

enum status inspect_settle(const char *path, struct error *error) {
    CLEANUP(close_handle) sqlite3 *handle = NULL;
    TRY(open_file(path, SQLITE_OPEN_READWRITE, &handle, error));
    int code = sqlite3_exec(handle, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    return code == SQLITE_OK ? STATUS_OK : db_status(handle, code, path, error);
}

/* ---- lists ---- */

/* Makes room for one more of `size` bytes each; doubles. */
static void *grow(void *items, size_t n, size_t size) {
    bool full = n == 0 || (n >= 16 && (n & (n - 1)) == 0);
    size_t capacity = n < 16 ? 16 : 2 * n;
    return full ? realloc(items, capacity * size) : items;
}

enum status inspect_files(const char *path, struct inspect_file **ret_files, size_t *ret_n,
                          struct error *error) {
    static const char sql[] =
        "SELECT DISTINCT run_id, path, sha256 FROM checkpoint ORDER BY run_id, path";
    CLEANUP(close_handle) sqlite3 *handle = NULL;
    CLEANUP(finalize) sqlite3_stmt *statement = NULL;
    CLEANUP(free_pointer) struct inspect_file *files = NULL;
    size_t n = 0;
    TRY(open_file(path, SQLITE_OPEN_READONLY, &handle, error));
    TRY(prepare(handle, sql, &statement, error));
    int code = sqlite3_step(statement);
    for (; code == SQLITE_ROW; code = sqlite3_step(statement)) {
        struct inspect_file *grown = grow(files, n, sizeof(*files));
        if (!grown) {
            return error_set(error, STATUS_NO_MEMORY, "no memory for the list of checkpoints");
        }
        files = grown;
        files[n].run_id = sqlite3_column_int64(statement, 0);
        db_column_text(statement, 1, files[n].path, sizeof(files[n].path));
        db_column_text(statement, 2, files[n].sha256, sizeof(files[n].sha256));
        n++;
    }
    if (code != SQLITE_DONE) {
        return db_status(handle, code, path, error);
    }
    *ret_files = files;
    *ret_n = n;
    files = NULL;
    return STATUS_OK;
}

enum status inspect_runs(const char *path, int64_t **ret_ids, size_t *ret_n, struct error *error) {
    CLEANUP(close_handle) sqlite3 *handle = NULL;
    CLEANUP(finalize) sqlite3_stmt *statement = NULL;
    CLEANUP(free_pointer) int64_t *ids = NULL;
    size_t n = 0;
    TRY(open_file(path, SQLITE_OPEN_READONLY, &handle, error));
    TRY(prepare(handle, "SELECT id FROM run ORDER BY id", &statement, error));
    int code = sqlite3_step(statement);
    for (; code == SQLITE_ROW; code = sqlite3_step(statement)) {
        int64_t *grown = grow(ids, n, sizeof(*ids));
        if (!grown) {
            return error_set(error, STATUS_NO_MEMORY, "no memory for the list of runs");
        }
        ids = grown;
        ids[n++] = sqlite3_column_int64(statement, 0);
    }
    if (code != SQLITE_DONE) {
        return db_status(handle, code, path, error);
    }
    *ret_ids = ids;
    *ret_n = n;
    ids = NULL;
    return STATUS_OK;
}
