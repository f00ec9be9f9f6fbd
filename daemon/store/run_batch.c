/* Table `run`: many at once. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/run_batch.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "daemon/store/tables.h"

void run_outcomes_clear(struct run_outcomes *outcomes) {
    for (size_t i = 0; i < outcomes->n; i++) {
        run_row_clear(&outcomes->items[i].row);
    }
    free(outcomes->items);
    memset(outcomes, 0, sizeof(*outcomes));
}

static enum status take_step(struct db *db, const struct run_row *row, const struct run_step *step,
                             int64_t now_ms, struct error *error) {
    switch (step->deed) {
    case RUN_DEED_NONE:
        break;
    case RUN_DEED_MOVE: {
        const struct run_move move = {.id = row->id,
                                      .from = row->state,
                                      .to = step->to,
                                      .reason = step->reason,
                                      .next_attempt = step->next_attempt,
                                      .now_ms = now_ms};
        return run_move(db, &move, error);
    }
    case RUN_DEED_REQUEST:
        return run_request(db, row->id, step->request, now_ms, error);
    case RUN_DEED_DELETE:
        return run_delete(db, row->id, error);
    }
    return STATUS_OK;
}

/* The run's own; the others go on. Whatever refuses comes before the first change (run_move,
 * run_request, run_delete), so there is nothing to take back. */
static bool is_refusal(enum status status) {
    return status == STATUS_CONFLICT || status == STATUS_FORBIDDEN || status == STATUS_NOT_FOUND;
}

static enum status treat(struct db *db, const struct run_batch *batch, struct run_outcome *outcome,
                         struct error *error) {
    CLEANUP(run_row_clear) struct run_row row = {0};
    struct run_step step = {.deed = RUN_DEED_NONE};
    enum status status = run_read(db, outcome->id, &row, &outcome->error);
    if (status == STATUS_OK) {
        status = batch->judge(batch->judge_user, &row, &step, &outcome->error);
    }
    if (status == STATUS_OK) {
        status = take_step(db, &row, &step, batch->now_ms, &outcome->error);
    }
    if (status != STATUS_OK && !is_refusal(status)) {
        return error_set(error, status, "%s", outcome->error.message);
    }
    outcome->error.code = status;
    outcome->deed = status == STATUS_OK ? step.deed : RUN_DEED_NONE;
    if (outcome->deed == RUN_DEED_DELETE) {
        return STATUS_OK;
    }
    if (outcome->deed != RUN_DEED_NONE) {
        return run_read(db, outcome->id, &outcome->row, error);
    }
    outcome->row = row;
    row = (struct run_row){0};
    return STATUS_OK;
}

static enum status store_answer(struct db *db, const struct run_batch *batch,
                                const struct run_outcomes *outcomes, struct error *error) {
    struct idempotency_answer answer = {
        .mark = batch->idempotency, .location = "", .now_ms = batch->now_ms};
    answer.body = batch->answer(batch->answer_user, outcomes, &answer.http_status);
    if (!answer.body) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for an answer");
    }
    return answer.http_status / 100 == 2 ? idempotency_add(db, &answer, error) : STATUS_OK;
}

struct batch_arguments {
    const struct run_batch *batch;
    struct run_outcomes outcomes;
};

static enum status treat_all(struct db *db, void *arguments, struct error *error) {
    struct batch_arguments *a = arguments;
    for (size_t i = 0; i < a->outcomes.n; i++) {
        TRY(treat(db, a->batch, &a->outcomes.items[i], error));
    }
    return a->batch->idempotency ? store_answer(db, a->batch, &a->outcomes, error) : STATUS_OK;
}

enum status run_table_batch(struct store *store, const struct run_batch *batch,
                            struct run_outcomes *ret_outcomes, struct error *error) {
    struct batch_arguments arguments = {.batch = batch};
    struct run_outcomes *outcomes = &arguments.outcomes;
    outcomes->items = calloc(batch->n_ids ? batch->n_ids : 1, sizeof(*outcomes->items));
    if (!outcomes->items) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for what becomes of %zu runs",
                         batch->n_ids);
    }
    outcomes->n = batch->n_ids;
    for (size_t i = 0; i < outcomes->n; i++) {
        outcomes->items[i].id = batch->ids[i];
    }
    enum status status = store_write(store, treat_all, &arguments, error);
    if (status != STATUS_OK) {
        run_outcomes_clear(outcomes);
        return status;
    }
    *ret_outcomes = *outcomes;
    return STATUS_OK;
}
