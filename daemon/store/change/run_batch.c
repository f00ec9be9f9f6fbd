/* Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/change/run_batch.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "daemon/store/change/run_change.h"
#include "daemon/store/owner/owner_rows.h"
#include "daemon/store/table/idempotency_table.h"
#include "daemon/store/table/run_rows.h"

void run_outcomes_clear(struct run_outcomes *outcomes) {
    for (size_t i = 0; i < outcomes->n; i++) {
        run_row_clear(&outcomes->items[i].row);
    }
    free(outcomes->items);
    memset(outcomes, 0, sizeof(*outcomes));
}

/* Whether the move puts a run into the queue that did not count there. */
static bool joins_queue(const struct run_row *row, const struct batch_action *action) {
    return action->to == RUN_QUEUED && row->state != RUN_QUEUED && row->state != RUN_HELD;
}

static enum status carry_out(struct db *db, const struct run_row *row,
                             const struct batch_action *action, int max_queued, int64_t now_ms,
                             struct error *error) {
    switch (action->kind) {
    case BATCH_NONE:
        break;
    case BATCH_MOVE: {
        if (joins_queue(row, action)) {
            TRY(owner_check_room(db, row->owner, max_queued, error));
        }
        const struct run_move move = {.id = row->id,
                                      .from = row->state,
                                      .to = action->to,
                                      .reason = action->reason,
                                      .next_attempt = action->next_attempt,
                                      .now_ms = now_ms};
        return run_move(db, &move, error);
    }
    case BATCH_REQUEST:
        return run_request(db, row->id, action->request, now_ms, error);
    case BATCH_EDIT:
        return run_edit(db, row->id, action->edit, now_ms, error);
    case BATCH_DELETE:
        return run_delete(db, row->id, now_ms, error);
    }
    return STATUS_OK;
}

/* Such a status concerns one run; the others are changed nevertheless. run_move, run_request and
 * run_delete check before their first change, so a refused run is as it was. */
static bool is_refusal(enum status status) {
    return status == STATUS_CONFLICT || status == STATUS_QUOTA || status == STATUS_FORBIDDEN ||
           status == STATUS_NOT_FOUND;
}

static enum status act_on(struct db *db, const struct run_batch *batch, struct run_outcome *outcome,
                          struct error *error) {
    CLEANUP(run_row_clear) struct run_row row = {0};
    struct batch_action action = {.kind = BATCH_NONE};
    enum status status = run_read(db, outcome->id, &row, &outcome->error);
    if (status == STATUS_OK) {
        status = batch->choose(batch->choose_user, &row, &action, &outcome->error);
    }
    if (status == STATUS_OK) {
        status = carry_out(db, &row, &action, batch->max_queued, batch->now_ms, &outcome->error);
    }
    if (status != STATUS_OK && !is_refusal(status)) {
        return error_set(error, status, "%s", outcome->error.message);
    }
    outcome->error.code = status;
    outcome->action = status == STATUS_OK ? action.kind : BATCH_NONE;
    if (outcome->action == BATCH_DELETE) {
        return STATUS_OK;
    }
    if (outcome->action != BATCH_NONE) {
        return run_read(db, outcome->id, &outcome->row, error);
    }
    outcome->row = row;
    row = (struct run_row){0};
    return STATUS_OK;
}

enum status run_outcomes_store_answer(struct db *db, const struct idempotency_mark *mark,
                                      run_answer *answer, void *user,
                                      const struct run_outcomes *outcomes, int64_t now_ms,
                                      struct error *error) {
    struct idempotency_answer stored = {.mark = mark, .location = "", .now_ms = now_ms};
    stored.body = answer(user, outcomes, &stored.http_status);
    if (!stored.body) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for an answer");
    }
    return stored.http_status / 100 == 2 ? idempotency_add(db, &stored, error) : STATUS_OK;
}

struct batch_arguments {
    const struct run_batch *batch;
    struct run_outcomes outcomes;
    struct run_outcome **order; /* [outcomes.n] */
};

static int by_falling_id(const void *a, const void *b) {
    const struct run_outcome *x = *(struct run_outcome *const *)a;
    const struct run_outcome *y = *(struct run_outcome *const *)b;
    /* The same run twice: in the order in which it was named. */
    return x->id != y->id ? (x->id < y->id) - (x->id > y->id) : (x > y) - (x < y);
}

static enum status act_on_all(struct db *db, void *arguments, struct error *error) {
    struct batch_arguments *a = arguments;
    for (size_t i = 0; i < a->outcomes.n; i++) {
        TRY(act_on(db, a->batch, a->order[i], error));
    }
    const struct run_batch *batch = a->batch;
    return batch->idempotency
               ? run_outcomes_store_answer(db, batch->idempotency, batch->answer,
                                           batch->answer_user, &a->outcomes, batch->now_ms, error)
               : STATUS_OK;
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
    TRY(store_write(store, act_on_all, &arguments, error));
    *ret_outcomes = outcomes;
    outcomes = (struct run_outcomes){.n = 0};
    return STATUS_OK;
}
