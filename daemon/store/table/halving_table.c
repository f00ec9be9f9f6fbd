/* Tables `halving` and `rung`, as they are read. Layer: daemon/store. Thread rule: store/store.h.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/store/db.h"
#include "daemon/store/table/sweep_table.h"

enum { RULE, RUNGS, N_STATEMENTS };

const struct statement_set halving_view_statements = {
    N_STATEMENTS,
    {
        [RULE] = "SELECT first_epochs, eta, metric FROM halving WHERE sweep_id = ?1",
        [RUNGS] = "SELECT epochs, ranking_json, at_ms FROM rung WHERE sweep_id = ?1 ORDER BY rung",
    },
};

void halving_state_clear(struct halving_state *state) {
    for (size_t i = 0; i < state->n_rungs; i++) {
        free(state->rungs[i].ranking_json);
    }
    free(state->rungs);
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
                                                        .at_ms = sqlite3_column_int64(s, 2)};
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
    return read_rungs(db, id, state, error);
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
