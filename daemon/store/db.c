/* One connection: opening, prepared statements, results. Layer: daemon/store. Thread rule: see the
 * header. */
#include "daemon/store/db.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BUSY_TIMEOUT_MS = 5000 };

/* Another program (the sqlite3 shell, a backup) may hold the file for a moment: hence the timeout.
 */
static const char pragmas_writer[] = "PRAGMA journal_mode = WAL;"
                                     "PRAGMA synchronous = FULL;"
                                     "PRAGMA foreign_keys = ON;"
                                     "PRAGMA trusted_schema = OFF;"
                                     "PRAGMA journal_size_limit = 67108864;";

/* A reader never checkpoints: exactly one connection of the process does (SQLite before 3.51.3 can
 * lose commits when two do at the same moment). */
static const char pragmas_reader[] = "PRAGMA query_only = ON;"
                                     "PRAGMA trusted_schema = OFF;"
                                     "PRAGMA wal_autocheckpoint = 0;";

static const struct statement_set *const statement_sets[DB_TABLE_COUNT] = {
    [DB_RUN] = &run_statements,
    [DB_EPOCH] = &epoch_statements,
    [DB_CHECKPOINT] = &checkpoint_statements,
    [DB_EVENT] = &event_statements,
    [DB_SETTING] = &setting_statements,
    [DB_WATCH] = &watch_statements,
    [DB_SWEEP] = &sweep_statements,
    [DB_FORK] = &fork_statements,
    [DB_PROGRESS] = &progress_statements,
    [DB_QUEUE] = &queue_statements,
    [DB_EVENT_LIST] = &event_list_statements,
    [DB_UPKEEP] = &upkeep_statements,
    [DB_NOTE] = &note_statements,
    [DB_OLD_ROWS] = &old_rows_statements,
    [DB_CONFUSION] = &confusion_statements,
    [DB_LINK] = &link_statements,
    [DB_AFTER] = &after_statements,
    [DB_IDEMPOTENCY] = &idempotency_statements,
};

enum status db_status(sqlite3 *handle, int code, const char *what, struct error *error) {
    const char *message = handle ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
    enum status status = STATUS_INTERNAL;
    switch (code & 0xff) {
    case SQLITE_FULL:
        status = STATUS_NO_SPACE;
        break;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
        status = STATUS_IO;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        status = STATUS_CORRUPT;
        break;
    case SQLITE_NOMEM:
        status = STATUS_NO_MEMORY;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        status = STATUS_BUSY;
        break;
    default:
        break;
    }
    return error_set(error, status, "%s: %s", what, message);
}

enum status db_open(struct db *db, const char *path, bool writer, struct error *error) {
    memset(db, 0, sizeof(*db));
    int flags = SQLITE_OPEN_NOMUTEX |
                (writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
    int code = sqlite3_open_v2(path, &db->handle, flags, NULL);
    if (code == SQLITE_OK) {
        (void)sqlite3_extended_result_codes(db->handle, 1);
        (void)sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
        code = sqlite3_exec(db->handle, writer ? pragmas_writer : pragmas_reader, NULL, NULL, NULL);
    }
    if (code != SQLITE_OK) {
        enum status status = db_status(db->handle, code, path, error);
        db_close(db);
        return status;
    }
    return STATUS_OK;
}

static enum status check_identity(const char *path, struct file_identity *known,
                                  struct error *error) {
    struct stat info;
    bool there = stat(path, &info) == 0;
    if (there && known->ino == 0) {
        *known = (struct file_identity){info.st_dev, info.st_ino};
    }
    return there && known->dev == info.st_dev && known->ino == info.st_ino
               ? STATUS_OK
               : error_set(error, STATUS_IO,
                           "%s was removed or replaced while the daemon uses it: nothing can be "
                           "stored; put it back, or stop the daemon and restore a backup",
                           path);
}

enum status db_check_in_place(struct db *db, struct error *error) {
    const char *path = sqlite3_db_filename(db->handle, "main");
    if (!path || !path[0]) {
        return STATUS_OK; /* in memory */
    }
    TRY(check_identity(path, &db->database, error));
    return check_identity(sqlite3_filename_wal(path), &db->wal, error);
}

enum status db_prepare(struct db *db, struct error *error) {
    for (int table = 0; table < DB_TABLE_COUNT; table++) {
        const struct statement_set *set = statement_sets[table];
        for (int i = 0; i < set->n; i++) {
            int code = sqlite3_prepare_v3(db->handle, set->sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                          &db->statements[table][i], NULL);
            if (code != SQLITE_OK) {
                return db_status(db->handle, code, set->sql[i], error);
            }
        }
    }
    return STATUS_OK;
}

void db_close(struct db *db) {
    for (int table = 0; table < DB_TABLE_COUNT; table++) {
        for (int i = 0; i < DB_MAX_STATEMENTS; i++) {
            (void)sqlite3_finalize(db->statements[table][i]);
        }
    }
    (void)sqlite3_close(db->handle);
    run_ids_clear(&db->touched);
    memset(db, 0, sizeof(*db));
}

sqlite3_stmt *db_statement(struct db *db, enum db_table table, int index) {
    sqlite3_stmt *statement = db->statements[table][index];
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    return statement;
}

enum status db_step(struct db *db, sqlite3_stmt *statement, bool *ret_row, struct error *error) {
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *ret_row = true;
        return STATUS_OK;
    }
    if (code == SQLITE_DONE) {
        (void)sqlite3_reset(statement);
        *ret_row = false;
        return STATUS_OK;
    }
    enum status status = db_status(db->handle, code, "database", error);
    (void)sqlite3_reset(statement);
    return status;
}

enum status db_execute(struct db *db, sqlite3_stmt *statement, int *ret_changes,
                       struct error *error) {
    bool row = true;
    while (row) {
        TRY(db_step(db, statement, &row, error));
    }
    if (ret_changes) {
        *ret_changes = sqlite3_changes(db->handle);
    }
    return STATUS_OK;
}

void db_bind_text(sqlite3_stmt *statement, int index, const char *text) {
    (void)sqlite3_bind_text(statement, index, text, -1, SQLITE_TRANSIENT);
}

void db_bind_number(sqlite3_stmt *statement, int index, double number) {
    if (isfinite(number)) {
        (void)sqlite3_bind_double(statement, index, number);
    } else {
        (void)sqlite3_bind_null(statement, index);
    }
}

double db_column_number(sqlite3_stmt *statement, int column) {
    return sqlite3_column_type(statement, column) == SQLITE_NULL
               ? (double)NAN
               : sqlite3_column_double(statement, column);
}

void db_column_text(sqlite3_stmt *statement, int column, char *text, size_t size) {
    const char *value = (const char *)sqlite3_column_text(statement, column);
    (void)snprintf(text, size, "%s", value ? value : "");
}

void run_ids_clear(struct run_ids *list) {
    free(list->ids);
    memset(list, 0, sizeof(*list));
}

void db_touch(struct db *db, int64_t run_id) {
    struct run_ids *list = &db->touched;
    if (list->n > 0 && list->ids[list->n - 1] == run_id) {
        return;
    }
    if (list->n == list->capacity) {
        size_t larger = list->capacity ? 2 * list->capacity : 4;
        int64_t *ids = reallocarray(list->ids, larger, sizeof(*ids));
        if (!ids) {
            list->failed = true;
            return;
        }
        list->ids = ids;
        list->capacity = larger;
    }
    list->ids[list->n++] = run_id;
}
