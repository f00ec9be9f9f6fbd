/* What a follower is shown. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/query/watch.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/store/table/run_rows.h"

enum {
    HAS_RUN,
    SWEEP_NAME,
    SWEEP_COUNT,
    ALL_COUNT,
    SWEEP_IS_OPEN,
    SWEEP_IN_STATE,
    ALL_IN_STATE,
    N_STATEMENTS,
};

const struct statement_set watch_statements = {
    N_STATEMENTS,
    {
        [HAS_RUN] = "SELECT 1 FROM run WHERE id = ?1",
        [SWEEP_NAME] = "SELECT name FROM sweep WHERE id = ?1",
        [SWEEP_COUNT] = "SELECT state, count(*) FROM run WHERE sweep_id = ?1 GROUP BY state",
        [ALL_COUNT] = "SELECT state, count(*) FROM run GROUP BY state",
        [SWEEP_IS_OPEN] = ("SELECT 1 FROM run WHERE sweep_id = ?1"
                           " AND state NOT IN ('succeeded', 'failed', 'canceled')"
                           " AND NOT (state = 'paused' AND ranked_out) LIMIT 1"),
        [SWEEP_IN_STATE] = ("SELECT id FROM run WHERE sweep_id = ?1 AND state = ?2"
                            " ORDER BY priority DESC, id LIMIT ?3"),
        [ALL_IN_STATE] = ("SELECT id FROM run WHERE state = ?2"
                          " ORDER BY priority DESC, id LIMIT ?3"),
    },
};

/* Not final, in the order of a snapshot. */
static const enum run_state open_states[] = {RUN_RUNNING, RUN_QUEUED, RUN_PAUSED, RUN_HELD};

enum { N_OPEN_STATES = sizeof(open_states) / sizeof(open_states[0]) };

/* Whether the statement has a row for this id. */
static enum status exists(struct db *db, int index, int64_t id, bool *ret_there,
                          struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_WATCH, index);
    sqlite3_bind_int64(statement, 1, id);
    TRY(db_step(db, statement, ret_there, error));
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

static enum status read_run_state(struct db *db, int64_t id, enum watch_state *ret_state,
                                  struct error *error) {
    struct run_row row = {0};
    enum status status = run_read(db, id, &row, error);
    if (status == STATUS_NOT_FOUND) {
        *ret_state = WATCH_GONE;
        return STATUS_OK;
    }
    TRY(status);
    *ret_state = run_state_is_final(row.state) ? WATCH_FINAL : WATCH_OPEN;
    run_row_clear(&row);
    return STATUS_OK;
}

static enum status read_sweep_state(struct db *db, int64_t id, enum watch_state *ret_state,
                                    struct error *error) {
    bool there = false;
    bool open = false;
    TRY(exists(db, SWEEP_NAME, id, &there, error));
    TRY(exists(db, SWEEP_IS_OPEN, id, &open, error));
    *ret_state = !there ? WATCH_GONE : open ? WATCH_OPEN : WATCH_FINAL;
    return STATUS_OK;
}

static enum status read_state(struct db *db, const struct watch *watch, enum watch_state *ret_state,
                              struct error *error) {
    switch (watch->kind) {
    case WATCH_RUN:
        return read_run_state(db, watch->id, ret_state, error);
    case WATCH_SWEEP:
        return read_sweep_state(db, watch->id, ret_state, error);
    case WATCH_ALL:
        break;
    }
    *ret_state = WATCH_OPEN;
    return STATUS_OK;
}

enum status watch_table_state(struct store *store, const struct watch *watch,
                              enum watch_state *ret_state, struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = read_state(db, watch, ret_state, error);
    store_reader_release(store, db);
    return status;
}

enum status watch_table_has_run(struct store *store, int64_t run_id, bool *ret_there,
                                struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = exists(db, HAS_RUN, run_id, ret_there, error);
    store_reader_release(store, db);
    return status;
}

static enum status read_name(struct db *db, const struct watch *watch,
                             struct watch_snapshot *snapshot, struct error *error) {
    bool row = false;
    sqlite3_stmt *statement = db_statement(db, DB_WATCH, SWEEP_NAME);
    sqlite3_bind_int64(statement, 1, watch->id);
    TRY(db_step(db, statement, &row, error));
    if (!row) {
        return error_set(error, STATUS_NOT_FOUND, "there is no sweep %lld", (long long)watch->id);
    }
    db_column_text(statement, 0, snapshot->name, sizeof(snapshot->name));
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

static enum status read_counts(struct db *db, const struct watch *watch,
                               struct watch_snapshot *snapshot, struct error *error) {
    bool sweep = watch->kind == WATCH_SWEEP;
    sqlite3_stmt *statement = db_statement(db, DB_WATCH, sweep ? SWEEP_COUNT : ALL_COUNT);
    if (sweep) {
        sqlite3_bind_int64(statement, 1, watch->id);
    }
    return run_read_counts(db, statement, snapshot->counts, error);
}

/* The runs of one state, behind those that are in the list already. */
static enum status read_runs(struct db *db, const struct watch *watch, enum run_state state,
                             size_t limit, struct run_list *list, struct error *error) {
    bool sweep = watch->kind == WATCH_SWEEP;
    bool row = false;
    sqlite3_stmt *statement = db_statement(db, DB_WATCH, sweep ? SWEEP_IN_STATE : ALL_IN_STATE);
    sqlite3_bind_int64(statement, 1, watch->id);
    db_bind_text(statement, 2, run_state_name(state));
    sqlite3_bind_int64(statement, 3, (int64_t)(limit - list->n));
    enum status status = db_step(db, statement, &row, error);
    while (status == STATUS_OK && row && list->n < limit) {
        status = run_read(db, sqlite3_column_int64(statement, 0), &list->rows[list->n], error);
        if (status == STATUS_OK) {
            list->n++;
            status = db_step(db, statement, &row, error);
        }
    }
    (void)sqlite3_reset(statement);
    return status;
}

static enum status read_snapshot(struct db *db, const struct watch *watch, size_t limit,
                                 struct watch_snapshot *snapshot, struct error *error) {
    struct run_list *list = &snapshot->runs;
    TRY(event_read_newest(db, &snapshot->event_id, error));
    list->rows = calloc(limit, sizeof(*list->rows));
    if (!list->rows) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a list of %zu runs", limit);
    }
    if (watch->kind == WATCH_RUN) {
        TRY(run_read(db, watch->id, &list->rows[0], error));
        list->n = 1;
        return STATUS_OK;
    }
    if (watch->kind == WATCH_SWEEP) {
        TRY(read_name(db, watch, snapshot, error));
    }
    TRY(read_counts(db, watch, snapshot, error));
    int64_t n_open = 0;
    for (int i = 0; i < N_OPEN_STATES; i++) {
        n_open += snapshot->counts[open_states[i]];
        if (list->n < limit) {
            TRY(read_runs(db, watch, open_states[i], limit, list, error));
        }
    }
    list->more = n_open > (int64_t)list->n;
    return STATUS_OK;
}

enum status watch_table_snapshot(struct store *store, const struct watch *watch, int limit,
                                 struct watch_snapshot *ret_snapshot, struct error *error) {
    struct watch_snapshot snapshot = {0};
    struct db *db = store_reader_acquire(store);
    enum status status = db_begin_reading(db, error);
    if (status == STATUS_OK) {
        status = read_snapshot(db, watch, (size_t)limit, &snapshot, error);
        db_end_reading(db);
    }
    store_reader_release(store, db);
    if (status != STATUS_OK) {
        watch_snapshot_clear(&snapshot);
        return status;
    }
    *ret_snapshot = snapshot;
    return STATUS_OK;
}

void watch_snapshot_clear(struct watch_snapshot *snapshot) {
    run_list_clear(&snapshot->runs);
    memset(snapshot, 0, sizeof(*snapshot));
}
