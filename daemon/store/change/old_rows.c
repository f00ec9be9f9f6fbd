/* Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/change/old_rows.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/base/decimal.h"
#include "daemon/store/db.h"
#include "daemon/store/table/setting_table.h"

enum { LAST_OLD_EVENT, DELETE_EVENTS, REWRITE_CONFIGS, N_STATEMENTS };

/* About ten milliseconds each. */
enum { EVENTS_A_STEP = 1000, CONFIGS_A_STEP = 500 };

const struct statement_set old_rows_statements = {
    N_STATEMENTS,
    {
        /* Of the oldest ?2 events, the last before the first that is to stay; NULL: there is none.
         */
        [LAST_OLD_EVENT] =
            ("WITH oldest AS MATERIALIZED (SELECT id, at_ms FROM event ORDER BY id LIMIT ?2)"
             " SELECT max(id) FROM oldest WHERE id < coalesce("
             " (SELECT min(id) FROM oldest WHERE at_ms >= ?1), 9223372036854775807)"),
        [DELETE_EVENTS] = "DELETE FROM event WHERE id <= ?1",
        [REWRITE_CONFIGS] =
            ("UPDATE run SET config_json = json_remove(config_json, '$.name', '$.priority',"
             " '$.labels') WHERE id > ?1 AND id <= ?2"),
    },
};

static enum status write_number(struct db *db, const char *name, int64_t number,
                                struct error *error) {
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRId64, number);
    return setting_write(db, name, text, error);
}

struct expiry {
    int64_t before_ms;
    int n;
};

static enum status delete_events(struct db *db, void *arguments, struct error *error) {
    struct expiry *a = arguments;
    bool row = false;
    sqlite3_stmt *statement = db_statement(db, DB_OLD_ROWS, LAST_OLD_EVENT);
    sqlite3_bind_int64(statement, 1, a->before_ms);
    sqlite3_bind_int(statement, 2, EVENTS_A_STEP);
    TRY(db_step(db, statement, &row, error));
    int64_t last = row ? sqlite3_column_int64(statement, 0) : 0;
    (void)sqlite3_reset(statement);
    if (last == 0) {
        a->n = 0;
        return STATUS_OK;
    }
    statement = db_statement(db, DB_OLD_ROWS, DELETE_EVENTS);
    sqlite3_bind_int64(statement, 1, last);
    TRY(db_execute(db, statement, &a->n, error));
    TRY(write_number(db, SETTING_EVENTS_GONE_UPTO, last, error));
    return write_number(db, SETTING_EVENTS_GONE_BEFORE, a->before_ms, error);
}

enum status old_events_delete(struct store *store, int64_t before_ms, int *ret_n,
                              struct error *error) {
    struct expiry arguments = {.before_ms = before_ms};
    TRY(store_write(store, delete_events, &arguments, error));
    *ret_n = arguments.n;
    return STATUS_OK;
}

static enum status rewrite_configs(struct db *db, void *arguments, struct error *error) {
    bool *more = arguments;
    char text[24];
    int64_t upto = 0;
    *more = false;
    enum status status = setting_read(db, SETTING_CONFIG_REWRITE_UPTO, text, sizeof(text), error);
    if (status == STATUS_NOT_FOUND) {
        return STATUS_OK;
    }
    TRY(status);
    if (!text_to_id(text, INT64_MAX, &upto)) {
        return STATUS_OK;
    }
    int64_t above = upto > CONFIGS_A_STEP ? upto - CONFIGS_A_STEP : 0;
    sqlite3_stmt *statement = db_statement(db, DB_OLD_ROWS, REWRITE_CONFIGS);
    sqlite3_bind_int64(statement, 1, above);
    sqlite3_bind_int64(statement, 2, upto);
    TRY(db_execute(db, statement, NULL, error));
    *more = above > 0;
    return write_number(db, SETTING_CONFIG_REWRITE_UPTO, above, error);
}

enum status old_configs_rewrite(struct store *store, bool *ret_more, struct error *error) {
    return store_write(store, rewrite_configs, ret_more, error);
}
