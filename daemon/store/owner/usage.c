/* Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/owner/usage.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/decimal.h"
#include "daemon/store/db.h"
#include "daemon/store/table/setting_table.h"

enum {
    BEGIN,
    SET_CORES,
    RUNNING,
    CHARGED,
    ADD_HOUR,
    RECENT,
    SET_RECENT,
    CLEAR_RECENT,
    HOURS,
    FORGET_HOURS,
    FORGET_OWNERS,
    N_STATEMENTS
};

static const char SETTING_HALF_LIFE[] = "owners_half_life_s";

const struct statement_set usage_statements = {
    N_STATEMENTS,
    {
        [BEGIN] = "UPDATE run SET cores = ?2, charged_ms = ?3 WHERE id = ?1",
        [SET_CORES] = "UPDATE run SET cores = ?2 WHERE id = ?1",
        [RUNNING] = ("SELECT owner, cores, charged_ms FROM run WHERE id = ?1 AND state = 'running'"
                     " AND charged_ms IS NOT NULL"),
        [CHARGED] = "UPDATE run SET charged_ms = ?2 WHERE id = ?1",
        [ADD_HOUR] = ("INSERT INTO usage (owner, hour, core_seconds) VALUES (?1, ?2, ?3)"
                      " ON CONFLICT DO UPDATE SET core_seconds = core_seconds + ?3"),
        [RECENT] = "SELECT recent FROM owner WHERE name = ?1",
        [SET_RECENT] = "UPDATE owner SET recent = ?2 WHERE name = ?1",
        [CLEAR_RECENT] = "UPDATE owner SET recent = NULL",
        [HOURS] = "SELECT owner, hour, core_seconds FROM usage ORDER BY owner, hour",
        [FORGET_HOURS] = "DELETE FROM usage WHERE hour < ?1",
        [FORGET_OWNERS] = ("DELETE FROM owner WHERE NOT EXISTS (SELECT 1 FROM run WHERE"
                           " run.owner = owner.name) AND NOT EXISTS (SELECT 1 FROM usage WHERE"
                           " usage.owner = owner.name)"),
    },
};

static const int64_t HOUR_MS = 3600 * 1000;

/* A clock that was set forth by more than this charges no more. */
static const int64_t MOST_MS = 31 * 24 * 3600 * (int64_t)1000;

enum status usage_half_life(struct db *db, int *ret_half_life_s, struct error *error) {
    char text[16];
    enum status status = setting_read(db, SETTING_HALF_LIFE, text, sizeof(text), error);
    *ret_half_life_s = 0;
    if (status == STATUS_OK) {
        (void)text_to_int(text, 0, INT32_MAX, ret_half_life_s);
    }
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static double half_lives(int64_t unix_ms, int half_life_s) {
    return (double)unix_ms / 1000.0 / half_life_s;
}

/* The sum that forgets, with so much more of it at that time. */
static double with_more(double recent, double core_seconds, double at) {
    double before = isnan(recent) ? 0.0 : exp2(recent - at);
    return at + log2(before + core_seconds);
}

static enum status add_recent(struct db *db, const char *owner, double core_seconds, int64_t now_ms,
                              struct error *error) {
    int half_life_s = 0;
    TRY(usage_half_life(db, &half_life_s, error));
    if (half_life_s == 0 || !(core_seconds > 0)) {
        return STATUS_OK;
    }
    bool row = false;
    sqlite3_stmt *statement = db_statement(db, DB_USAGE, RECENT);
    db_bind_text(statement, 1, owner);
    TRY(db_step(db, statement, &row, error));
    double recent = row ? db_column_number(statement, 0) : (double)NAN;
    (void)sqlite3_reset(statement);
    statement = db_statement(db, DB_USAGE, SET_RECENT);
    db_bind_text(statement, 1, owner);
    db_bind_number(statement, 2, with_more(recent, core_seconds, half_lives(now_ms, half_life_s)));
    return db_execute(db, statement, NULL, error);
}

/* Each hour gets what was used in it. */
static enum status add_hours(struct db *db, const char *owner, int cores, int64_t from_ms,
                             int64_t to_ms, struct error *error) {
    while (from_ms < to_ms) {
        int64_t hour = from_ms / HOUR_MS;
        int64_t until_ms = (hour + 1) * HOUR_MS < to_ms ? (hour + 1) * HOUR_MS : to_ms;
        sqlite3_stmt *statement = db_statement(db, DB_USAGE, ADD_HOUR);
        db_bind_text(statement, 1, owner);
        sqlite3_bind_int64(statement, 2, hour);
        db_bind_number(statement, 3, (double)(until_ms - from_ms) / 1000.0 * cores);
        TRY(db_execute(db, statement, NULL, error));
        from_ms = until_ms;
    }
    return STATUS_OK;
}

enum status usage_charge_run(struct db *db, int64_t run_id, int64_t now_ms, struct error *error) {
    char owner[256];
    bool row = false;
    sqlite3_stmt *statement = db_statement(db, DB_USAGE, RUNNING);
    sqlite3_bind_int64(statement, 1, run_id);
    TRY(db_step(db, statement, &row, error));
    if (!row) {
        return STATUS_OK;
    }
    db_column_text(statement, 0, owner, sizeof(owner));
    int cores = sqlite3_column_int(statement, 1);
    int64_t from_ms = sqlite3_column_int64(statement, 2);
    (void)sqlite3_reset(statement);
    from_ms = now_ms - from_ms > MOST_MS ? now_ms - MOST_MS : from_ms;
    if (cores > 0) {
        TRY(add_hours(db, owner, cores, from_ms, now_ms, error));
    }
    TRY(add_recent(db, owner, (double)(now_ms - from_ms) / 1000.0 * cores, now_ms, error));
    statement = db_statement(db, DB_USAGE, CHARGED);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int64(statement, 2, now_ms);
    return db_execute(db, statement, NULL, error);
}

enum status usage_begin_run(struct db *db, int64_t run_id, int cores, int64_t now_ms,
                            struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_USAGE, BEGIN);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int(statement, 2, cores);
    sqlite3_bind_int64(statement, 3, now_ms);
    return db_execute(db, statement, NULL, error);
}

enum status usage_set_cores(struct db *db, int64_t run_id, int cores, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_USAGE, SET_CORES);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int(statement, 2, cores);
    return db_execute(db, statement, NULL, error);
}

/* ---- another half-life ---- */

struct half_life_arguments {
    int half_life_s;
    int64_t now_ms;
};

/* An hour counts as if all of it had been used at its middle. */
static enum status sum_again(struct db *db, int half_life_s, struct error *error) {
    static const double half = 0.5;
    bool row = false;
    sqlite3_stmt *hours = db_statement(db, DB_USAGE, HOURS);
    TRY(db_step(db, hours, &row, error));
    while (row) {
        char owner[256];
        double recent = (double)NAN;
        db_column_text(hours, 0, owner, sizeof(owner));
        const char *same = owner;
        while (row && !strcmp(same, owner)) {
            double at = ((double)sqlite3_column_int64(hours, 1) + half) * 3600.0 / half_life_s;
            recent = with_more(recent, sqlite3_column_double(hours, 2), at);
            TRY(db_step(db, hours, &row, error));
            same = row ? db_column_bytes(hours, 0) : "";
        }
        sqlite3_stmt *statement = db_statement(db, DB_USAGE, SET_RECENT);
        db_bind_text(statement, 1, owner);
        db_bind_number(statement, 2, recent);
        TRY(db_execute(db, statement, NULL, error));
    }
    return STATUS_OK;
}

static enum status set_half_life(struct db *db, void *arguments, struct error *error) {
    const struct half_life_arguments *a = arguments;
    char text[16];
    int before = 0;
    TRY(usage_half_life(db, &before, error));
    if (before == a->half_life_s) {
        return STATUS_OK;
    }
    (void)snprintf(text, sizeof(text), "%d", a->half_life_s);
    TRY(setting_write(db, SETTING_HALF_LIFE, text, error));
    TRY(db_execute(db, db_statement(db, DB_USAGE, CLEAR_RECENT), NULL, error));
    return a->half_life_s > 0 ? sum_again(db, a->half_life_s, error) : STATUS_OK;
}

enum status usage_set_half_life(struct store *store, int half_life_s, int64_t now_ms,
                                struct error *error) {
    struct half_life_arguments arguments = {half_life_s, now_ms};
    return store_write(store, set_half_life, &arguments, error);
}

static enum status forget(struct db *db, void *arguments, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_USAGE, FORGET_HOURS);
    sqlite3_bind_int64(statement, 1, *(int64_t *)arguments / HOUR_MS);
    TRY(db_execute(db, statement, NULL, error));
    return db_execute(db, db_statement(db, DB_USAGE, FORGET_OWNERS), NULL, error);
}

enum status usage_forget(struct store *store, int64_t before_ms, struct error *error) {
    return store_write(store, forget, &before_ms, error);
}
