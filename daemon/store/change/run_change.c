/* Runs: what a change brings with it. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/change/run_change.h"

#include <stdio.h>

#include "daemon/store/change/halving.h"
#include "daemon/store/owner/owner_rows.h"
#include "daemon/store/owner/turn.h"
#include "daemon/store/owner/usage.h"
#include "daemon/store/table/after_table.h"
#include "daemon/store/table/checkpoint_rows.h"
#include "daemon/store/table/confusion_rows.h"
#include "daemon/store/table/epoch_rows.h"
#include "daemon/store/table/event_table.h"
#include "daemon/store/table/idempotency_table.h"
#include "daemon/store/table/run_rows.h"

/* ---- new runs ---- */

/* Notes what the run waits for, which must be there and may still succeed. */
static enum status add_after(struct db *db, int64_t id, const struct run_draft *draft,
                             struct error *error) {
    for (int i = 0; i < draft->n_after; i++) {
        struct run_row row = {0};
        if (draft->after_ids[i] == id) {
            /* The number it is only now getting: such a run would wait for itself. */
            return error_set(error, STATUS_NOT_FOUND, "there is no run %lld", (long long)id);
        }
        TRY(run_read(db, draft->after_ids[i], &row, error));
        run_row_clear(&row);
        TRY(after_add(db, id, draft->after_ids[i], error));
    }
    return draft->n_after > 0 ? after_check(db, id, error) : STATUS_OK;
}

enum status run_insert(struct db *db, const struct run_draft *draft, int64_t now_ms,
                       int64_t *ret_id, struct error *error) {
    int64_t id = 0;
    TRY(run_add(db, draft, now_ms, &id, error));
    TRY(owner_check_limits(db, draft->owner ? draft->owner : "", draft->max_queued, draft->max_disk,
                           error));
    TRY(idempotency_add_created(db, draft->idempotency, "/api/v1/runs", id, now_ms, error));
    TRY(add_after(db, id, draft, error));
    TRY(event_add_state(db, id, now_ms, error));
    *ret_id = id;
    return STATUS_OK;
}

struct insert_arguments {
    const struct run_draft *draft;
    int64_t now_ms;
    int64_t id;
};

static enum status insert(struct db *db, void *arguments, struct error *error) {
    struct insert_arguments *a = arguments;
    return run_insert(db, a->draft, a->now_ms, &a->id, error);
}

enum status run_table_insert(struct store *store, const struct run_draft *draft, int64_t now_ms,
                             int64_t *ret_id, struct error *error) {
    struct insert_arguments arguments = {draft, now_ms, 0};
    TRY(store_write(store, insert, &arguments, error));
    *ret_id = arguments.id;
    return STATUS_OK;
}

/* ---- moves ---- */

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
static enum status move_one(struct db *db, const struct run_move *move, struct error *error) {
    bool changed = false;
    if (move->from == RUN_RUNNING && !move->abandoned) {
        TRY(usage_charge_run(db, move->id, move->now_ms, error));
    }
    if (run_state_may_move(move->from, move->to)) {
        TRY(run_set_state(db, move, &changed, error));
    }
    return changed ? event_add_state(db, move->id, move->now_ms, error)
                   : explain_conflict(db, move->id, error);
}

/* Every run that comes after one that will not succeed fails with it. */
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

/* Everything that may refuse comes before the first change, because run_batch.c commits the other
 * runs after a refusal of one. */
enum status run_move(struct db *db, const struct run_move *asked, struct error *error) {
    struct run_move move = *asked;
    char reason[RUN_REASON_SIZE];
    TRY(halving_adjust(db, &move, reason, error));
    if (move.to == RUN_QUEUED && run_state_may_move(move.from, move.to)) {
        TRY(after_check(db, move.id, error));
    }
    TRY(move_one(db, &move, error));
    bool lost = run_state_is_final(move.to) && move.to != RUN_SUCCEEDED;
    if (lost) {
        TRY(fail_waiting(db, &move, error));
    }
    return halving_follow(db, &move, error);
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
    int64_t id = 0;
    bool changed = false;
    TRY(turn_first_run(db, a->claim, a->now_ms, &id, error));
    TRY(run_set_claimed(db, id, a->now_ms, &changed, error));
    TRY(event_add_state(db, id, a->now_ms, error));
    TRY(run_read(db, id, &a->row, error));
    int cores = a->claim->cores ? a->claim->cores(a->claim->user, a->row.executor) : 1;
    return usage_begin_run(db, id, cores, a->now_ms, error);
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
    TRY(run_set_request(db, id, request, now_ms, &changed, error));
    return changed ? STATUS_OK : explain_conflict(db, id, error);
}

/* ---- other changes ---- */

struct change {
    int64_t id;
    int64_t now_ms;
    const char *reason;
    const struct run_edit *edit;
};

enum status run_edit(struct db *db, int64_t id, const struct run_edit *edit, int64_t now_ms,
                     struct error *error) {
    TRY(run_set_edit(db, id, edit, now_ms, error));
    return event_add_edit(db, id, now_ms, error);
}

static enum status edit(struct db *db, void *arguments, struct error *error) {
    const struct change *a = arguments;
    return run_edit(db, a->id, a->edit, a->now_ms, error);
}

enum status run_table_edit(struct store *store, int64_t id, const struct run_edit *run_edit,
                           int64_t now_ms, struct error *error) {
    struct change arguments = {.id = id, .now_ms = now_ms, .edit = run_edit};
    return store_write(store, edit, &arguments, error);
}

static enum status reset(struct db *db, void *arguments, struct error *error) {
    const struct change *a = arguments;
    TRY(run_clear_results(db, a->id, a->reason, a->now_ms, error));
    TRY(epoch_forget_all(db, a->id, error));
    TRY(checkpoint_forget_all(db, a->id, error));
    TRY(confusion_forget(db, a->id, error));
    TRY(event_forget_history(db, a->id, error));
    return event_add_state(db, a->id, a->now_ms, error);
}

enum status run_table_reset(struct store *store, int64_t id, const char *reason, int64_t now_ms,
                            struct error *error) {
    struct change arguments = {.id = id, .now_ms = now_ms, .reason = reason};
    return store_write(store, reset, &arguments, error);
}

/* What failed with the run may from now on be queued again without it: its reason says so. */
static enum status tell_failed(struct db *db, int64_t deleted, int64_t now_ms,
                               struct error *error) {
    int64_t id = 0;
    TRY(after_next_failed(db, deleted, 0, &id, error));
    while (id > 0) {
        struct run_row row = {0};
        TRY(run_read(db, id, &row, error));
        char reason[RUN_REASON_SIZE + 96];
        (void)snprintf(reason, sizeof(reason),
                       "%s; run %lld was deleted since: a requeue goes on without it", row.reason,
                       (long long)deleted);
        run_row_clear(&row);
        TRY(run_set_reason(db, id, reason, now_ms, error));
        TRY(event_add_state(db, id, now_ms, error));
        TRY(after_next_failed(db, deleted, id, &id, error));
    }
    return STATUS_OK;
}

enum status run_delete(struct db *db, int64_t id, int64_t now_ms, struct error *error) {
    struct run_row row = {0};
    TRY(run_read(db, id, &row, error));
    enum run_state state = row.state;
    int64_t sweep_id = row.sweep_id;
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
    if (state != RUN_SUCCEEDED) {
        TRY(tell_failed(db, id, now_ms, error));
    }
    TRY(after_forget(db, id, error));
    TRY(run_remove(db, id, error));
    return halving_end_rungs(db, sweep_id, now_ms, error);
}
