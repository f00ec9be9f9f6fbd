/* One connection: opening, prepared statements, results. Layer: daemon/store. Thread rule: see the
 * header. */
#include "daemon/store/db.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/analyzer.h"
#include "core/base/cleanup.h"

enum { BUSY_TIMEOUT_MS = 5000 };

/* Another program (the sqlite3 shell, a backup) may hold the file for a moment: hence the timeout.
 */
static const char pragmas_writer[] = "PRAGMA journal_mode = WAL;"
                                     "PRAGMA synchronous = FULL;"
                                     "PRAGMA foreign_keys = ON;"
                                     "PRAGMA trusted_schema = OFF;"
                                     "PRAGMA journal_size_limit = 67108864;";

/* The last one opens the log and the shared memory: a reader must not need descriptors later, when
 * there may be none. A reader never checkpoints: exactly one connection of the process does (SQLite
 * before 3.51.3 can lose commits when two do at the same moment). */
static const char pragmas_reader[] = "PRAGMA query_only = ON;"
                                     "PRAGMA trusted_schema = OFF;"
                                     "PRAGMA wal_autocheckpoint = 0;"
                                     "PRAGMA schema_version;";

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
    [DB_HALVING] = &halving_statements,
    [DB_HALVING_VIEW] = &halving_view_statements,
    [DB_OWNER] = &owner_statements,
    [DB_USAGE] = &usage_statements,
    [DB_TURN] = &turn_statements,
    [DB_AUDIT] = &audit_statements,
    [DB_ACTOR] = &actor_statements,
    [DB_WEBHOOK] = &webhook_statements,
    [DB_AFTER] = &after_statements,
    [DB_IDEMPOTENCY] = &idempotency_statements,
};

static bool means_no_space(int reason) {
    return reason == ENOSPC || reason == EDQUOT || reason == EFBIG;
}

static bool means_unreadable(int reason) {
    return reason == EIO || reason == ENXIO;
}

/* What the system said last of a file, and forgets it: it stands with the file until the system
 * says something else, which a whole read or write does not. A read behind the end does, and does
 * not touch the disk. */
static int take_reason(sqlite3_file *file) {
    static const sqlite3_int64 behind_any_end = (sqlite3_int64)1 << 46;
    int reason = 0;
    char byte;
    if (file && file->pMethods) {
        (void)file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &reason);
        if (reason != 0) {
            (void)file->pMethods->xRead(file, &byte, 1, behind_any_end);
        }
    }
    return reason;
}

/* Whether the system gave such a reason for the failure that is at hand. */
static bool system_said(sqlite3 *handle, bool (*means)(int reason)) {
    sqlite3_file *database = NULL;
    sqlite3_file *log = NULL;
    if (!handle) {
        return false;
    }
    (void)sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, &database);
    (void)sqlite3_file_control(handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    int of_database = take_reason(database);
    int of_log = take_reason(log);
    return means(of_log) || means(of_database);
}

enum status db_status(sqlite3 *handle, int code, const char *what, struct error *error) {
    const char *message = handle ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
    bool no_space = false;
    bool unreadable = false;
    enum status status = STATUS_INTERNAL;
    switch (code & 0xff) {
    case SQLITE_FULL:
        status = STATUS_NO_SPACE;
        break;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        /* It calls a full disk alone FULL; a quota and a limit on files are no space as well. */
        no_space = system_said(handle, means_no_space) ||
                   (handle && means_no_space(sqlite3_system_errno(handle)));
        status = no_space ? STATUS_NO_SPACE : STATUS_IO;
        break;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        status = STATUS_IO;
        break;
    case SQLITE_CORRUPT:
        /* It calls a file damaged that could not be read as well: nothing is known of that. */
        unreadable = system_said(handle, means_unreadable);
        status = unreadable ? STATUS_IO : STATUS_CORRUPT;
        break;
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
    const char *more = "";
    if (unreadable) {
        message = "it could not be read: input/output error";
        more = " (look at the disk, with `dmesg` and `cutoutd doctor`; nothing was changed)";
    } else if (no_space) {
        more = " (no space: the disk, a quota, or a limit on the size of files)";
    } else if (status == STATUS_CORRUPT) {
        more = DB_DAMAGE_REMEDY;
    }
    return error_set(error, status, "%s: %s%s", what, message, more);
}

/* Which of the files stands in the way, and what to do about it, where it is a matter of who may
 * use it: SQLite only says that it cannot open it. */
static void explain_access(const char *path, struct error *error) {
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; error && i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        char file[sizeof(error->message)];
        struct stat info;
        (void)snprintf(file, sizeof(file), "%s%s", path, suffixes[i]);
        if (stat(file, &info) == 0 && access(file, R_OK | W_OK) != 0) {
            (void)error_set(error, error->code,
                            "%s belongs to user %ld (mode %03o), and the daemon is user %ld, who "
                            "may not use it: chown --reference=%.*s %s*; a copy is brought in by "
                            "`cutoutd restore FILE`",
                            file, (long)info.st_uid, (unsigned)info.st_mode & 0777, (long)geteuid(),
                            (int)(strrchr(path, '/') - path) + 1, path, path);
            return;
        }
    }
}

static const char *const moves[DB_MOVES] = {
    [DB_BEGIN] = "BEGIN",
    [DB_BEGIN_IMMEDIATE] = "BEGIN IMMEDIATE",
    [DB_SAVEPOINT] = "SAVEPOINT body",
    [DB_ROLLBACK_TO] = "ROLLBACK TO body",
    [DB_RELEASE] = "RELEASE body",
    [DB_COMMIT] = "COMMIT",
    [DB_ROLLBACK] = "ROLLBACK",
};

enum status db_open(struct db *db, const char *path, bool writer, struct error *error) {
    memset(db, 0, sizeof(*db));
    int flags = SQLITE_OPEN_NOMUTEX |
                (writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
    int code = sqlite3_open_v2(path, &db->handle, flags, NULL);
    if (code == SQLITE_OK) {
        (void)sqlite3_extended_result_codes(db->handle, 1);
        (void)sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
        code = writer ? SQLITE_OK : sqlite3_exec(db->handle, pragmas_reader, NULL, NULL, NULL);
    }
    for (int i = 0; code == SQLITE_OK && i < DB_MOVES; i++) {
        code = sqlite3_prepare_v3(db->handle, moves[i], -1, SQLITE_PREPARE_PERSISTENT,
                                  &db->moves[i], NULL);
    }
    if (code != SQLITE_OK) {
        enum status status = db_status(db->handle, code, path, error);
        if (status == STATUS_IO && strchr(path, '/')) {
            explain_access(path, error);
        }
        db_close(db);
        return status;
    }
    return STATUS_OK;
}

enum status db_begin_writing(struct db *db, struct error *error) {
    int code = sqlite3_exec(db->handle, pragmas_writer, NULL, NULL, NULL);
    return code == SQLITE_OK ? STATUS_OK
                             : db_status(db->handle, code, "cannot begin to write", error);
}

enum status db_settle(struct db *db, struct error *error) {
    int code = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return code == SQLITE_OK
               ? STATUS_OK
               : db_status(db->handle, code, "cannot put the log into the database", error);
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

static int prepare(struct db *db, int table, int index) {
    return sqlite3_prepare_v3(db->handle, statement_sets[table]->sql[index], -1,
                              SQLITE_PREPARE_PERSISTENT, &db->statements[table][index], NULL);
}

enum status db_prepare(struct db *db, struct error *error) {
    for (int table = 0; table < DB_TABLE_COUNT; table++) {
        const struct statement_set *set = statement_sets[table];
        for (int i = 0; i < set->n; i++) {
            int code = prepare(db, table, i);
            if ((code & 0xff) == SQLITE_ERROR) { /* the file's tables or triggers are others */
                return error_set(error, STATUS_CORRUPT,
                                 "its tables are not those of this program (%s): it is damaged, or "
                                 "was changed by hand%s",
                                 sqlite3_errmsg(db->handle), DB_DAMAGE_REMEDY);
            }
            if (code != SQLITE_OK) {
                return db_status(db->handle, code, set->sql[i], error);
            }
        }
    }
    return STATUS_OK;
}

void db_close(struct db *db) {
    for (int i = 0; i < DB_MOVES; i++) {
        (void)sqlite3_finalize(db->moves[i]);
    }
    for (int table = 0; table < DB_TABLE_COUNT; table++) {
        for (int i = 0; i < DB_MAX_STATEMENTS; i++) {
            (void)sqlite3_finalize(db->statements[table][i]);
        }
    }
    for (int i = 0; i < DB_KEPT_STATEMENTS; i++) {
        (void)sqlite3_finalize(db->kept[i].statement);
        free(db->kept[i].sql);
    }
    (void)sqlite3_close(db->handle);
    run_ids_clear(&db->touched);
    memset(db, 0, sizeof(*db));
}

enum status db_move(struct db *db, enum db_move move, struct error *error) {
    sqlite3_stmt *statement = db->moves[move];
    int code = sqlite3_step(statement);
    enum status status =
        code == SQLITE_DONE ? STATUS_OK : db_status(db->handle, code, moves[move], error);
    (void)sqlite3_reset(statement);
    return status;
}

enum status db_begin_reading(struct db *db, struct error *error) {
    return db_move(db, DB_BEGIN, error);
}

void db_end_reading(struct db *db) {
    if (db_move(db, DB_COMMIT, NULL) != STATUS_OK) {
        (void)db_move(db, DB_ROLLBACK, NULL);
    }
}

sqlite3_stmt *db_statement(struct db *db, enum db_table table, int index) {
    if (!db->statements[table][index]) {
        db->prepare_code = prepare(db, (int)table, index);
    }
    sqlite3_stmt *statement = db->statements[table][index];
    if (statement) {
        (void)sqlite3_reset(statement);
        (void)sqlite3_clear_bindings(statement);
    }
    return statement;
}

/* The one with this text, or the one that was used longest ago. */
static struct kept_statement *find_kept(struct db *db, const char *sql) {
    struct kept_statement *oldest = &db->kept[0];
    for (int i = 0; i < DB_KEPT_STATEMENTS; i++) {
        struct kept_statement *kept = &db->kept[i];
        if (kept->sql && strcmp(kept->sql, sql) == 0) {
            return kept;
        }
        oldest = kept->used < oldest->used ? kept : oldest;
    }
    return oldest;
}

ANALYZER_IS_WRONG("-Wanalyzer-malloc-leak") /* db_close frees what is kept */
static enum status keep(struct db *db, const char *sql, struct kept_statement *kept,
                        struct error *error) {
    CLEANUP(free_pointer) char *text = strdup(sql);
    sqlite3_stmt *statement = NULL;
    if (!text) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a statement");
    }
    int code = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
    if (code != SQLITE_OK) {
        return db_status(db->handle, code, sql, error);
    }
    (void)sqlite3_finalize(kept->statement);
    free(kept->sql);
    kept->sql = text;
    kept->statement = statement;
    text = NULL;
    return STATUS_OK;
}
ANALYZER_GOES_ON

enum status db_statement_of(struct db *db, const char *sql, sqlite3_stmt **ret_statement,
                            struct error *error) {
    struct kept_statement *kept = find_kept(db, sql);
    if (!kept->sql || strcmp(kept->sql, sql) != 0) {
        TRY(keep(db, sql, kept, error));
    }
    kept->used = ++db->kept_uses;
    (void)sqlite3_reset(kept->statement);
    (void)sqlite3_clear_bindings(kept->statement);
    *ret_statement = kept->statement;
    return STATUS_OK;
}

/* A text that could not be copied is NULL for SQLite: the statement must not run with it. Why there
 * is no statement, db_step says. Binding and stepping are one thread's. */
static _Thread_local bool binding_failed;

enum status db_step(struct db *db, sqlite3_stmt *statement, bool *ret_row, struct error *error) {
    if (binding_failed) {
        binding_failed = false;
        (void)sqlite3_reset(statement);
        return error_set(error, STATUS_NO_MEMORY, "database: no memory for a value");
    }
    int code = statement ? sqlite3_step(statement) : db->prepare_code;
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
    int code = sqlite3_bind_text(statement, index, text, -1, SQLITE_TRANSIENT);
    binding_failed = binding_failed || (statement && code != SQLITE_OK);
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
    const char *bytes = db_column_bytes(statement, column);
    size_t n = strnlen(bytes, (size_t)sqlite3_column_bytes(statement, column));
    n = n < size ? n : size - 1;
    memcpy(text, bytes, n);
    text[n] = '\0';
}

/* As a blob a text is given as it lies there: sqlite3_column_text would copy it to put the NUL
 * behind it, and be NULL without memory. */
const char *db_column_bytes(sqlite3_stmt *statement, int column) {
    const char *bytes = sqlite3_column_blob(statement, column);
    return bytes ? bytes : "";
}

char *db_column_copy(sqlite3_stmt *statement, int column) {
    const char *bytes = db_column_bytes(statement, column);
    return strndup(bytes, (size_t)sqlite3_column_bytes(statement, column));
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
