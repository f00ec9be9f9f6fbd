/* Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/owner/owner_list.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/db.h"
#include "daemon/store/owner/owner_rows.h"
#include "daemon/store/owner/usage.h"

enum { LIST, USED, RUNNING_USE, COUNTS, RUNNING, DISK, N_STATEMENTS };

const struct statement_set owner_statements = {
    N_STATEMENTS,
    {
        [LIST] = ("SELECT name, queued, held, running, recent, disk FROM owner"
                  " WHERE ?1 IS NULL OR name > ?1 ORDER BY name LIMIT ?2"),
        [USED] = ("SELECT total(core_seconds) FILTER (WHERE hour > ?2 - 24),"
                  " total(core_seconds) FILTER (WHERE hour > ?2 - 7 * 24), total(core_seconds)"
                  " FROM usage WHERE owner = ?1 AND hour > ?2 - 30 * 24"),
        [RUNNING_USE] =
            ("SELECT total(max(?2 - charged_ms, 0) * cores) / 1000.0 FROM run INDEXED BY run_next"
             " WHERE state = 'running' AND owner = ?1"),
        [COUNTS] = "SELECT queued + held FROM owner WHERE name = ?1",
        [RUNNING] = "SELECT running FROM owner WHERE name = ?1",
        [DISK] = "SELECT disk FROM owner WHERE name = ?1",
    },
};

static const int64_t HOUR_MS = 3600 * 1000;

void owner_list_clear(struct owner_list *list) {
    free(list->rows);
    memset(list, 0, sizeof(*list));
}

static void read_row(sqlite3_stmt *statement, int half_life_s, int64_t now_ms,
                     struct owner_row *row) {
    db_column_text(statement, 0, row->name, sizeof(row->name));
    row->n_queued = sqlite3_column_int64(statement, 1);
    row->n_held = sqlite3_column_int64(statement, 2);
    row->n_running = sqlite3_column_int64(statement, 3);
    double recent = db_column_number(statement, 4);
    row->n_disk_bytes = sqlite3_column_int64(statement, 5);
    row->recent = half_life_s > 0 && !isnan(recent)
                      ? exp2(recent - (double)now_ms / 1000.0 / half_life_s)
                      : 0.0;
}

static enum status read_use(struct db *db, int half_life_s, int64_t now_ms, struct owner_row *row,
                            struct error *error) {
    bool found = false;
    sqlite3_stmt *statement = db_statement(db, DB_OWNER, USED);
    db_bind_text(statement, 1, row->name);
    sqlite3_bind_int64(statement, 2, now_ms / HOUR_MS);
    TRY(db_step(db, statement, &found, error));
    row->day = sqlite3_column_double(statement, 0);
    row->week = sqlite3_column_double(statement, 1);
    row->month = sqlite3_column_double(statement, 2);
    (void)sqlite3_reset(statement);
    if (row->n_running == 0) {
        return STATUS_OK;
    }
    statement = db_statement(db, DB_OWNER, RUNNING_USE);
    db_bind_text(statement, 1, row->name);
    sqlite3_bind_int64(statement, 2, now_ms);
    TRY(db_step(db, statement, &found, error));
    double uncharged = sqlite3_column_double(statement, 0);
    (void)sqlite3_reset(statement);
    row->day += uncharged;
    row->week += uncharged;
    row->month += uncharged;
    row->recent += half_life_s > 0 ? uncharged : 0.0;
    return STATUS_OK;
}

static enum status read_list(struct db *db, const char *after, int limit, int64_t now_ms,
                             struct owner_list *list, struct error *error) {
    int half_life_s = 0;
    bool row = false;
    TRY(usage_half_life(db, &half_life_s, error));
    sqlite3_stmt *statement = db_statement(db, DB_OWNER, LIST);
    if (after) {
        db_bind_text(statement, 1, after);
    }
    sqlite3_bind_int(statement, 2, limit + 1);
    TRY(db_step(db, statement, &row, error));
    while (row && list->n < (size_t)limit) {
        read_row(statement, half_life_s, now_ms, &list->rows[list->n++]);
        TRY(db_step(db, statement, &row, error));
    }
    list->more = row;
    (void)sqlite3_reset(statement);
    for (size_t i = 0; i < list->n; i++) {
        TRY(read_use(db, half_life_s, now_ms, &list->rows[i], error));
    }
    return STATUS_OK;
}

enum status owner_list_read(struct store *store, const char *after, int limit, int64_t now_ms,
                            struct owner_list *ret_list, struct error *error) {
    struct owner_list list = {.rows = calloc((size_t)limit, sizeof(*list.rows))};
    if (!list.rows) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for %d owners", limit);
    }
    struct db *db = store_reader_acquire(store);
    enum status status = read_list(db, after, limit, now_ms, &list, error);
    store_reader_release(store, db);
    if (status != STATUS_OK) {
        owner_list_clear(&list);
        return status;
    }
    *ret_list = list;
    return STATUS_OK;
}

/* 0 where there is no row. */
static enum status read_number(struct db *db, int index, const char *owner, int64_t *ret_number,
                               struct error *error) {
    bool row = false;
    sqlite3_stmt *statement = db_statement(db, DB_OWNER, index);
    db_bind_text(statement, 1, owner);
    TRY(db_step(db, statement, &row, error));
    *ret_number = row ? sqlite3_column_int64(statement, 0) : 0;
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

enum status owner_read_state(struct store *store, const char *name, int64_t *ret_n_running,
                             int64_t *ret_n_disk_bytes, struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = read_number(db, RUNNING, name, ret_n_running, error);
    if (status == STATUS_OK) {
        status = read_number(db, DISK, name, ret_n_disk_bytes, error);
    }
    store_reader_release(store, db);
    return status;
}

/* With so many more. */
static enum status check_queue(struct db *db, const char *owner, int n_more, int max_queued,
                               struct error *error) {
    int64_t n = 0;
    TRY(read_number(db, COUNTS, owner, &n, error));
    n += n_more;
    return n <= max_queued
               ? STATUS_OK
               : error_set(error, STATUS_QUOTA,
                           "the queue would have %lld runs of %s; max_queued allows %d: wait "
                           "until some have started, or cancel some",
                           (long long)n, owner[0] ? owner : "those without a token", max_queued);
}

static enum status check_disk(struct db *db, const char *owner, int64_t max_disk,
                              struct error *error) {
    int64_t n = 0;
    TRY(read_number(db, DISK, owner, &n, error));
    return n <= max_disk
               ? STATUS_OK
               : error_set(error, STATUS_QUOTA,
                           "%s: %lld bytes of checkpoints, max_disk allows %lld: delete runs that "
                           "are not needed",
                           owner[0] ? owner : "those without a token", (long long)n,
                           (long long)max_disk);
}

enum status owner_check_limits(struct db *db, const char *owner, int max_queued, int64_t max_disk,
                               struct error *error) {
    if (max_queued > 0) {
        TRY(check_queue(db, owner, 0, max_queued, error));
    }
    return max_disk > 0 ? check_disk(db, owner, max_disk, error) : STATUS_OK;
}

enum status owner_check_room(struct db *db, const char *owner, int max_queued,
                             struct error *error) {
    return max_queued > 0 ? check_queue(db, owner, 1, max_queued, error) : STATUS_OK;
}
