/* Table `run`: moves and other changes, each with its event in one commit. Layer: daemon/store.
 * Thread rule: store/store.h. */
#include <stdio.h>
#include <string.h>

#include "daemon/store/table/run_statements.h"
#include "daemon/store/table/run_table.h"
#include "daemon/store/table/tables.h"

/* What the changes below have in common; each uses what it needs. */
struct change {
    int64_t id;
    int64_t now_ms;
    const char *reason;
    const struct run_origin *origin;
};

/* ?1 is the run, ?2 the time; the rest was bound by the caller. Notes the run for the observer. */
static enum status change_one(struct db *db, sqlite3_stmt *statement, int64_t id, int64_t now_ms,
                              bool *ret_changed, struct error *error) {
    int changes = 0;
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, now_ms);
    TRY(db_execute(db, statement, &changes, error));
    *ret_changed = changes == 1;
    db_touch(db, id);
    return STATUS_OK;
}

static enum status change_existing(struct db *db, sqlite3_stmt *statement, int64_t id,
                                   int64_t now_ms, struct error *error) {
    bool changed = false;
    TRY(change_one(db, statement, id, now_ms, &changed, error));
    return changed ? STATUS_OK
                   : error_set(error, STATUS_NOT_FOUND, "there is no run %lld", (long long)id);
}

/* Why a move or a cancel did not find the run in the state it must be in. */
static enum status explain_conflict(struct db *db, int64_t id, struct error *error) {
    struct run_row row = {0};
    TRY(run_read(db, id, &row, error));
    char moves[128];
    run_state_moves_text(row.state, moves, sizeof(moves));
    enum status status =
        error_set(error, STATUS_CONFLICT, "run %lld is %s; from there it can only become: %s",
                  (long long)id, run_state_name(row.state), moves);
    run_row_clear(&row);
    return status;
}

/* One move and its event. */
static enum status move_one(struct db *db, const struct run_move *a, struct error *error) {
    bool changed = false;
    if (run_state_may_move(a->from, a->to)) {
        char reason[RUN_REASON_SIZE];
        (void)snprintf(reason, sizeof(reason), "%s", a->reason);
        sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_MOVE);
        db_bind_text(statement, 3, run_state_name(a->from));
        db_bind_text(statement, 4, run_state_name(a->to));
        db_bind_text(statement, 5, reason);
        sqlite3_bind_int(statement, 6, a->next_attempt ? 1 : 0);
        sqlite3_bind_int(statement, 7, run_state_is_final(a->to) ? 1 : 0);
        TRY(change_one(db, statement, a->id, a->now_ms, &changed, error));
    }
    return changed ? event_add_state(db, a->id, a->now_ms, error)
                   : explain_conflict(db, a->id, error);
}

/* Whoever waits for a run that will not succeed fails with it. */
static enum status fail_waiting(struct db *db, const struct run_move *cause, struct error *error) {
    char reason[RUN_REASON_SIZE];
    (void)snprintf(reason, sizeof(reason), "run %lld, which it comes after, was %s",
                   (long long)cause->id, cause->to == RUN_FAILED ? "failing" : "canceled");
    int64_t id = 0;
    TRY(after_next_waiting(db, cause->id, &id, error));
    while (id > 0) {
        struct run_row row = {0};
        TRY(run_read(db, id, &row, error));
        struct run_move move = {.id = id,
                                .from = row.state,
                                .to = RUN_FAILED,
                                .reason = reason,
                                .now_ms = cause->now_ms};
        run_row_clear(&row);
        TRY(move_one(db, &move, error));
        TRY(after_next_waiting(db, cause->id, &id, error));
    }
    return STATUS_OK;
}

/* What may refuse it comes before the first change: run_batch.c goes on after a refusal. */
enum status run_move(struct db *db, const struct run_move *move, struct error *error) {
    if (move->to == RUN_QUEUED && run_state_may_move(move->from, move->to)) {
        TRY(after_check(db, move->id, error));
    }
    TRY(move_one(db, move, error));
    bool lost = run_state_is_final(move->to) && move->to != RUN_SUCCEEDED;
    return lost ? fail_waiting(db, move, error) : STATUS_OK;
}

struct edit_arguments {
    int64_t id;
    const struct run_edit *edit;
    int64_t now_ms;
};

static enum status set_labels(struct db *db, int64_t id, const char *labels_json,
                              struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_FORGET_LABELS);
    sqlite3_bind_int64(statement, 1, id);
    TRY(db_execute(db, statement, NULL, error));
    statement = db_statement(db, DB_RUN, RUN_INSERT_LABELS);
    sqlite3_bind_int64(statement, 1, id);
    db_bind_text(statement, 2, labels_json);
    return db_execute(db, statement, NULL, error);
}

static enum status edit(struct db *db, void *arguments, struct error *error) {
    const struct edit_arguments *a = arguments;
    bool changed = false;
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_EDIT);
    sqlite3_bind_int64(statement, 3, a->edit->revision);
    if (a->edit->name) {
        db_bind_text(statement, 4, a->edit->name);
    }
    if (a->edit->priority) {
        sqlite3_bind_int(statement, 5, *a->edit->priority);
    }
    if (a->edit->labels_json) {
        db_bind_text(statement, 6, a->edit->labels_json);
    }
    db_bind_text(statement, 7, a->edit->config_json);
    TRY(change_one(db, statement, a->id, a->now_ms, &changed, error));
    if (!changed) {
        struct run_row row = {0};
        TRY(run_read(db, a->id, &row, error));
        run_row_clear(&row);
        return error_set(error, STATUS_BUSY, "run %lld has changed meanwhile", (long long)a->id);
    }
    if (a->edit->labels_json) {
        TRY(set_labels(db, a->id, a->edit->labels_json, error));
    }
    return event_add_edit(db, a->id, a->now_ms, error);
}

enum status run_table_edit(struct store *store, int64_t id, const struct run_edit *run_edit,
                           int64_t now_ms, struct error *error) {
    struct edit_arguments arguments = {id, run_edit, now_ms};
    return store_write(store, edit, &arguments, error);
}

enum status run_delete(struct db *db, int64_t id, struct error *error) {
    struct run_row row = {0};
    TRY(run_read(db, id, &row, error));
    enum run_state state = row.state;
    run_row_clear(&row);
    if (state == RUN_RUNNING) {
        return error_set(error, STATUS_CONFLICT,
                         "run %lld is running and cannot be deleted; cancel it first",
                         (long long)id);
    }
    int64_t waiting = 0;
    TRY(after_next_waiting(db, id, &waiting, error));
    if (waiting > 0) {
        return error_set(error, STATUS_CONFLICT,
                         "run %lld comes after run %lld, which can therefore not be deleted",
                         (long long)waiting, (long long)id);
    }
    TRY(after_forget(db, id, error));
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_DELETE);
    sqlite3_bind_int64(statement, 1, id);
    db_touch(db, id);
    return db_execute(db, statement, NULL, error);
}

static enum status count_interruption(struct db *db, void *arguments, struct error *error) {
    const struct change *a = arguments;
    return change_existing(db, db_statement(db, DB_RUN, RUN_COUNT_INTERRUPTION), a->id, a->now_ms,
                           error);
}

enum status run_table_count_interruption(struct store *store, int64_t id, int64_t now_ms,
                                         struct error *error) {
    struct change arguments = {.id = id, .now_ms = now_ms};
    return store_write(store, count_interruption, &arguments, error);
}

struct begin_arguments {
    int64_t id;
    int attempt;
};

static enum status note_begin(struct db *db, void *arguments, struct error *error) {
    const struct begin_arguments *a = arguments;
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_NOTE_BEGIN);
    sqlite3_bind_int64(statement, 1, a->id);
    sqlite3_bind_int(statement, 2, a->attempt);
    return db_execute(db, statement, NULL, error);
}

enum status run_table_note_begin(struct store *store, int64_t id, int attempt,
                                 struct error *error) {
    struct begin_arguments arguments = {id, attempt};
    return store_write(store, note_begin, &arguments, error);
}

static enum status move_run(struct db *db, void *arguments, struct error *error) {
    return run_move(db, arguments, error);
}

enum status run_table_move(struct store *store, const struct run_move *move, struct error *error) {
    struct run_move arguments = *move;
    return store_write(store, move_run, &arguments, error);
}

struct claim_arguments {
    const struct run_claim *claim;
    int64_t now_ms;
    struct run_row row;
};

static enum status claim(struct db *db, void *arguments, struct error *error) {
    struct claim_arguments *a = arguments;
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_CLAIM);
    sqlite3_bind_int64(statement, 2, a->now_ms);
    if (a->claim->executors) {
        db_bind_text(statement, 3, a->claim->executors);
    }
    if (a->claim->datasets) {
        db_bind_text(statement, 4, a->claim->datasets);
    }
    bool row = false;
    TRY(db_step(db, statement, &row, error));
    if (!row) {
        return error_set(error, STATUS_NOT_FOUND, "nothing is queued");
    }
    int64_t id = sqlite3_column_int64(statement, 0);
    TRY(db_execute(db, statement, NULL, error));
    db_touch(db, id);
    TRY(event_add_state(db, id, a->now_ms, error));
    return run_read(db, id, &a->row, error);
}

enum status run_table_claim(struct store *store, const struct run_claim *run_claim, int64_t now_ms,
                            struct run_row *ret_row, struct error *error) {
    struct claim_arguments arguments = {.claim = run_claim, .now_ms = now_ms};
    enum status status = store_write(store, claim, &arguments, error);
    if (status != STATUS_OK) {
        run_row_clear(&arguments.row);
        return status;
    }
    *ret_row = arguments.row;
    return STATUS_OK;
}

enum status run_request(struct db *db, int64_t id, enum run_request request, int64_t now_ms,
                        struct error *error) {
    bool changed = false;
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_REQUEST);
    db_bind_text(statement, 3, run_request_name(request));
    TRY(change_one(db, statement, id, now_ms, &changed, error));
    return changed ? STATUS_OK : explain_conflict(db, id, error);
}

static enum status set_origin(struct db *db, void *arguments, struct error *error) {
    const struct change *a = arguments;
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_SET_ORIGIN);
    db_bind_text(statement, 3, a->origin->variant);
    db_bind_text(statement, 4, a->origin->dataset_sha256);
    sqlite3_bind_int(statement, 5, a->origin->steps_per_epoch);
    sqlite3_bind_int64(statement, 6, a->origin->images_per_epoch);
    return change_existing(db, statement, a->id, a->now_ms, error);
}

enum status run_table_set_origin(struct store *store, int64_t id, const struct run_origin *origin,
                                 int64_t now_ms, struct error *error) {
    struct change arguments = {.id = id, .now_ms = now_ms, .origin = origin};
    return store_write(store, set_origin, &arguments, error);
}

enum status run_set_reason(struct db *db, int64_t id, const char *reason, int64_t now_ms,
                           struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_SET_REASON);
    db_bind_text(statement, 3, reason);
    TRY(change_existing(db, statement, id, now_ms, error));
    return event_add_state(db, id, now_ms, error);
}

static enum status set_reason(struct db *db, void *arguments, struct error *error) {
    const struct change *a = arguments;
    return run_set_reason(db, a->id, a->reason, a->now_ms, error);
}

enum status run_table_set_reason(struct store *store, int64_t id, const char *reason,
                                 int64_t now_ms, struct error *error) {
    struct change arguments = {.id = id, .now_ms = now_ms, .reason = reason};
    return store_write(store, set_reason, &arguments, error);
}

static enum status reset(struct db *db, void *arguments, struct error *error) {
    const struct change *a = arguments;
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_RESET);
    db_bind_text(statement, 3, a->reason);
    TRY(change_existing(db, statement, a->id, a->now_ms, error));
    TRY(epoch_forget_all(db, a->id, error));
    TRY(checkpoint_forget_all(db, a->id, error));
    TRY(event_forget_history(db, a->id, error));
    return event_add_state(db, a->id, a->now_ms, error);
}

enum status run_table_reset(struct store *store, int64_t id, const char *reason, int64_t now_ms,
                            struct error *error) {
    struct change arguments = {.id = id, .now_ms = now_ms, .reason = reason};
    return store_write(store, reset, &arguments, error);
}

enum status run_note_epoch(struct db *db, int64_t run_id, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_RUN, RUN_NOTE_EPOCH);
    sqlite3_bind_int64(statement, 1, run_id);
    return db_execute(db, statement, NULL, error);
}

enum status run_touch(struct db *db, int64_t run_id, int64_t now_ms, struct error *error) {
    return change_existing(db, db_statement(db, DB_RUN, RUN_TOUCH), run_id, now_ms, error);
}
