/* Migrations: one transaction each, a history with digests. Layer: daemon/store. Thread rule: see
 * the header. */
#include "daemon/store/migrate.h"

#include <stdio.h>
#include <string.h>

#include "core/base/sha256.h"
#include "daemon/store/db.h"

static const char history_table[] =
    "CREATE TABLE IF NOT EXISTS migration (version INTEGER PRIMARY KEY, name TEXT NOT NULL,"
    " sha256 TEXT NOT NULL, applied_ms INTEGER NOT NULL) STRICT";
static const char owner_read[] =
    "SELECT count(*) = 0 OR total(name = 'migration') > 0 FROM sqlite_schema WHERE type = 'table'";
static const char history_read[] = "SELECT name, sha256 FROM migration WHERE version = ?1";
static const char history_add[] =
    "INSERT INTO migration (version, name, sha256, applied_ms)"
    " VALUES (?1, ?2, ?3, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))";

static void finalize(sqlite3_stmt **statement) {
    (void)sqlite3_finalize(*statement);
}

#define CLEANUP_STATEMENT __attribute__((cleanup(finalize)))

static enum status execute(sqlite3 *handle, const char *sql, const char *what,
                           struct error *error) {
    int code = sqlite3_exec(handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? STATUS_OK : db_status(handle, code, what, error);
}

static void digest(const struct migration *migration, char ret_hex[SHA256_HEX_SIZE]) {
    struct sha256 sha;
    sha256_begin(&sha);
    sha256_update(&sha, migration->sql, strlen(migration->sql));
    sha256_end(&sha, ret_hex);
}

static enum status read_version(sqlite3 *handle, int *ret_version, struct error *error) {
    CLEANUP_STATEMENT sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(handle, "PRAGMA user_version", -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code != SQLITE_ROW) {
        return db_status(handle, code, "cannot read the version of the database", error);
    }
    *ret_version = sqlite3_column_int(statement, 0);
    return STATUS_OK;
}

/* The database had this migration: it must have been the same text. */
static enum status check_applied(sqlite3 *handle, const struct migration *migration,
                                 struct error *error) {
    CLEANUP_STATEMENT sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(handle, history_read, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        sqlite3_bind_int(statement, 1, migration->version);
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_DONE) {
        return error_set(error, STATUS_CORRUPT,
                         "the database says it is past migration %s but has no record of it: it is "
                         "damaged" DB_DAMAGE_REMEDY,
                         migration->name);
    }
    if (code != SQLITE_ROW) {
        return db_status(handle, code, "cannot read the history of migrations", error);
    }
    char expected[SHA256_HEX_SIZE];
    digest(migration, expected);
    char stored[SHA256_HEX_SIZE];
    db_column_text(statement, 1, stored, sizeof(stored));
    if (strcmp(stored, expected) != 0) {
        return error_set(error, STATUS_CORRUPT,
                         "migration %s was changed after this database had it (sha256 %.12s there, "
                         "%.12s in this program); use the program that made it",
                         migration->name, stored, expected);
    }
    return STATUS_OK;
}

static enum status record(sqlite3 *handle, const struct migration *migration, struct error *error) {
    char hex[SHA256_HEX_SIZE];
    digest(migration, hex);
    CLEANUP_STATEMENT sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(handle, history_add, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        sqlite3_bind_int(statement, 1, migration->version);
        sqlite3_bind_text(statement, 2, migration->name, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 3, hex, -1, SQLITE_STATIC);
        code = sqlite3_step(statement);
    }
    if (code != SQLITE_DONE) {
        return db_status(handle, code, "cannot record the migration", error);
    }
    /* PRAGMA takes no parameters. user_version is part of the transaction. */
    char pragma[64];
    (void)snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d", migration->version);
    return execute(handle, pragma, "cannot set the version of the database", error);
}

static enum status apply_body(sqlite3 *handle, const struct migration *migration,
                              struct error *error) {
    TRY(execute(handle, history_table, "cannot make the history of migrations", error));
    TRY(execute(handle, migration->sql, migration->name, error));
    return record(handle, migration, error);
}

static enum status apply(sqlite3 *handle, const struct migration *migration, struct error *error) {
    TRY(execute(handle, "BEGIN IMMEDIATE", "cannot begin a migration", error));
    enum status status = apply_body(handle, migration, error);
    if (status == STATUS_OK) {
        status = execute(handle, "COMMIT", "cannot commit a migration", error);
    }
    if (status != STATUS_OK && !sqlite3_get_autocommit(handle)) {
        (void)sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
    }
    return status;
}

/* Whether it has no tables at all, or this program's history of them. */
static enum status check_ours(sqlite3 *handle, struct error *error) {
    CLEANUP_STATEMENT sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(handle, owner_read, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code != SQLITE_ROW) {
        return db_status(handle, code, "cannot read what is in the database", error);
    }
    return sqlite3_column_int(statement, 0) != 0
               ? STATUS_OK
               : error_set(error, STATUS_UNSUPPORTED,
                           "it is a database of another program, and nothing was changed; move it "
                           "away, or set another state_dir");
}

enum status migrate_check(sqlite3 *handle, int n_migrations, struct error *error) {
    int version = 0;
    TRY(read_version(handle, &version, error));
    TRY(check_ours(handle, error));
    return version <= n_migrations
               ? STATUS_OK
               : error_set(error, STATUS_UNSUPPORTED,
                           "the database has version %d, this program knows up to %d: it was used "
                           "by a newer cutoutd, which is the one to run; nothing was changed",
                           version, n_migrations);
}

enum status migrate_is_due(sqlite3 *handle, int n_migrations, bool *ret_due, int *ret_version,
                           struct error *error) {
    TRY(read_version(handle, ret_version, error));
    *ret_due = *ret_version > 0 && *ret_version < n_migrations;
    return STATUS_OK;
}

enum status migrate_apply(sqlite3 *handle, const struct migration *migrations, int n_migrations,
                          struct error *error) {
    int version = 0;
    TRY(migrate_check(handle, n_migrations, error));
    TRY(read_version(handle, &version, error));
    for (int i = 0; i < n_migrations; i++) {
        if (migrations[i].version <= version) {
            TRY(check_applied(handle, &migrations[i], error));
        } else {
            TRY(apply(handle, &migrations[i], error));
        }
    }
    return STATUS_OK;
}
