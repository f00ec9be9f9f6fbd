/* Table `run`: many at once. Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/change/run_batch.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "daemon/store/change/run_change.h"
#include "daemon/store/table/idempotency_table.h"
#include "daemon/store/table/run_rows.h"

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
    struct run_outcome **order; /* [outcomes.n] */
};

static int by_falling_id(const void *a, const void *b) {
    const struct run_outcome *x = *(struct run_outcome *const *)a;
    const struct run_outcome *y = *(struct run_outcome *const *)b;
    /* The same run twice: the first one asks first. */
    return x->id != y->id ? (x->id < y->id) - (x->id > y->id) : (x > y) - (x < y);
}

static enum status treat_all(struct db *db, void *arguments, struct error *error) {
    struct batch_arguments *a = arguments;
    for (size_t i = 0; i < a->outcomes.n; i++) {
        TRY(treat(db, a->batch, a->order[i], error));
    }
    return a->batch->idempotency ? store_answer(db, a->batch, &a->outcomes, error) : STATUS_OK;
}

enum status run_table_batch(struct store *store, const struct run_batch *batch,
                            struct run_outcomes *ret_outcomes, struct error *error) {
    struct batch_arguments arguments = {.batch = batch};
    size_t n = batch->n_ids ? batch->n_ids : 1;
    CLEANUP(run_outcomes_clear)
    struct run_outcomes outcomes = {.items = calloc(n, sizeof(*outcomes.items))};
    CLEANUP(free_pointer) struct run_outcome **order = calloc(n, sizeof(struct run_outcome *));
    if (!outcomes.items || !order) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for what becomes of %zu runs",
                         batch->n_ids);
    }
    for (; outcomes.n < batch->n_ids; outcomes.n++) {
        outcomes.items[outcomes.n].id = batch->ids[outcomes.n];
        order[outcomes.n] = &outcomes.items[outcomes.n];
    }
    if (batch->newest_first) {
        qsort(order, outcomes.n, sizeof(struct run_outcome *), by_falling_id);
    }
    arguments.outcomes = outcomes;
    arguments.order = order;
    TRY(store_write(store, treat_all, &arguments, error));
    *ret_outcomes = outcomes;
    outcomes = (struct run_outcomes){.n = 0};
    return STATUS_OK;
}
