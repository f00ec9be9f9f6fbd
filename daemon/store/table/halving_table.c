/* Tables `halving` and `rung`, as they are read. Layer: daemon/store. Thread rule: store/store.h.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/store/db.h"
#include "daemon/store/table/sweep_table.h"

enum { RULE, RUNGS, PAUSES, N_STATEMENTS };

const struct statement_set halving_view_statements = {
    N_STATEMENTS,
    {
        [RULE] = "SELECT first_epochs, eta, metric FROM halving WHERE sweep_id = ?1",
        [RUNGS] = ("SELECT epochs, ranking_json, at_ms, json_array_length(ranking_json),"
                   " (SELECT count(*) FROM json_each(ranking_json) AS entry"
                   "  WHERE json_extract(entry.value, '$.promoted'))"
                   " FROM rung WHERE sweep_id = ?1 ORDER BY rung"),
        [PAUSES] = ("SELECT CAST(run.value AS INTEGER), epochs FROM rung,"
                    " json_each(ranking_json) AS entry,"
                    " json_each(json_extract(entry.value, '$.runs')) AS run"
                    " WHERE sweep_id = ?1 AND NOT json_extract(entry.value, '$.promoted')"
                    " ORDER BY rung, entry.key, run.key"),
    },
};

void halving_state_clear(struct halving_state *state) {
    for (size_t i = 0; i < state->n_rungs; i++) {
        free(state->rungs[i].ranking_json);
    }
    free(state->rungs);
    free(state->pauses);
    memset(state, 0, sizeof(*state));
}

static enum status read_rungs(struct db *db, int64_t id, struct halving_state *state,
                              struct error *error) {
    sqlite3_stmt *s = db_statement(db, DB_HALVING_VIEW, RUNGS);
    bool row = false;
    sqlite3_bind_int64(s, 1, id);
    TRY(db_step(db, s, &row, error));
    while (row) {
        struct halving_rung *rungs =
            realloc(state->rungs, (state->n_rungs + 1) * sizeof(*state->rungs));
        char *json = rungs ? db_column_copy(s, 1) : NULL;
        state->rungs = rungs ? rungs : state->rungs;
        if (!json) {
            (void)sqlite3_reset(s);
            return error_set(error, STATUS_NO_MEMORY, "no memory for the rungs of a sweep");
        }
        rungs[state->n_rungs++] = (struct halving_rung){.epochs = sqlite3_column_int(s, 0),
                                                        .ranking_json = json,
                                                        .at_ms = sqlite3_column_int64(s, 2),
                                                        .n_ranked = sqlite3_column_int(s, 3),
                                                        .n_promoted = sqlite3_column_int(s, 4)};
        TRY(db_step(db, s, &row, error));
    }
    return STATUS_OK;
}

static enum status read_pauses(struct db *db, int64_t id, struct halving_state *state,
                               struct error *error) {
    sqlite3_stmt *s = db_statement(db, DB_HALVING_VIEW, PAUSES);
    bool row = false;
    sqlite3_bind_int64(s, 1, id);
    TRY(db_step(db, s, &row, error));
    while (row) {
        struct halving_pause *pauses =
            realloc(state->pauses, (state->n_pauses + 1) * sizeof(*state->pauses));
        if (!pauses) {
            (void)sqlite3_reset(s);
            return error_set(error, STATUS_NO_MEMORY, "no memory for the rungs of a sweep");
        }
        state->pauses = pauses;
        pauses[state->n_pauses++] = (struct halving_pause){.run_id = sqlite3_column_int64(s, 0),
                                                           .epochs = sqlite3_column_int(s, 1)};
        TRY(db_step(db, s, &row, error));
    }
    return STATUS_OK;
}

static enum status read_state(struct db *db, int64_t id, struct halving_state *state,
                              struct error *error) {
    sqlite3_stmt *s = db_statement(db, DB_HALVING_VIEW, RULE);
    sqlite3_bind_int64(s, 1, id);
    TRY(db_step(db, s, &state->there, error));
    if (!state->there) {
        return STATUS_OK;
    }
    state->first_epochs = sqlite3_column_int(s, 0);
    state->eta = sqlite3_column_int(s, 1);
    db_column_text(s, 2, state->metric, sizeof(state->metric));
    (void)sqlite3_reset(s);
    TRY(read_rungs(db, id, state, error));
    return read_pauses(db, id, state, error);
}

enum status sweep_table_halving(struct store *store, int64_t id, struct halving_state *ret,
                                struct error *error) {
    struct halving_state state = {0};
    struct db *db = store_reader_acquire(store);
    enum status status = read_state(db, id, &state, error);
    store_reader_release(store, db);
    if (status != STATUS_OK) {
        halving_state_clear(&state);
        return status;
    }
    *ret = state;
    return STATUS_OK;
}
