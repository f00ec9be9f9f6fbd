/* The queue over the table `run`. Layer: daemon/queue.
 *
 * Thread rule: the mutex guards the generation only; no database call is made under it.
 */
#include "daemon/queue/queue.h"

#include <pthread.h>
#include <stdlib.h>

#include "daemon/store/change/run_change.h"
#include "daemon/store/change/sweep_change.h"

struct queue {
    struct store *store;
    const struct clock *clock;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t generation; /* guarded by mutex */
};

enum status queue_create(struct store *store, const struct clock *clock, struct queue **ret_queue,
                         struct error *error) {
    struct queue *queue = calloc(1, sizeof(*queue));
    if (!queue) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the queue");
    }
    queue->store = store;
    queue->clock = clock;
    (void)pthread_mutex_init(&queue->mutex, NULL);
    (void)pthread_cond_init(&queue->changed, NULL);
    *ret_queue = queue;
    return STATUS_OK;
}

void queue_free(struct queue *queue) {
    if (queue) {
        (void)pthread_cond_destroy(&queue->changed);
        (void)pthread_mutex_destroy(&queue->mutex);
        free(queue);
    }
}

void queue_wake(struct queue *queue) {
    (void)pthread_mutex_lock(&queue->mutex);
    queue->generation++;
    (void)pthread_cond_broadcast(&queue->changed);
    (void)pthread_mutex_unlock(&queue->mutex);
}

uint64_t queue_generation(struct queue *queue) {
    (void)pthread_mutex_lock(&queue->mutex);
    uint64_t generation = queue->generation;
    (void)pthread_mutex_unlock(&queue->mutex);
    return generation;
}

void queue_wait(struct queue *queue, uint64_t seen) {
    (void)pthread_mutex_lock(&queue->mutex);
    while (queue->generation == seen) {
        (void)pthread_cond_wait(&queue->changed, &queue->mutex);
    }
    (void)pthread_mutex_unlock(&queue->mutex);
}

enum status queue_submit(struct queue *queue, const struct run_draft *draft, int64_t *ret_id,
                         struct error *error) {
    TRY(run_table_insert(queue->store, draft, clock_unix_ms(queue->clock), ret_id, error));
    queue_wake(queue);
    return STATUS_OK;
}

enum status queue_submit_sweep(struct queue *queue, const struct sweep_draft *draft,
                               int64_t *ret_id, struct error *error) {
    TRY(sweep_table_insert(queue->store, draft, clock_unix_ms(queue->clock), ret_id, error));
    queue_wake(queue);
    return STATUS_OK;
}

enum status queue_claim(struct queue *queue, const struct run_claim *claim, struct run_row *ret_run,
                        struct error *error) {
    return run_table_claim(queue->store, claim, clock_unix_ms(queue->clock), ret_run, error);
}

enum status queue_finish(struct queue *queue, int64_t id, enum run_state state, const char *reason,
                         struct error *error) {
    struct run_move move = {.id = id,
                            .from = RUN_RUNNING,
                            .to = state,
                            .reason = reason,
                            .now_ms = clock_unix_ms(queue->clock)};
    TRY(run_table_move(queue->store, &move, error));
    queue_wake(queue); /* others may have waited for it */
    return STATUS_OK;
}

enum status queue_requeue(struct queue *queue, int64_t id, const char *reason, bool interrupted,
                          struct error *error) {
    struct run_move move = {.id = id,
                            .from = RUN_RUNNING,
                            .to = RUN_QUEUED,
                            .reason = reason,
                            .next_attempt = true,
                            .interrupted = interrupted,
                            .now_ms = clock_unix_ms(queue->clock)};
    TRY(run_table_move(queue->store, &move, error));
    queue_wake(queue);
    return STATUS_OK;
}

static enum status choose(void *user, const struct run_row *row, struct batch_action *ret_action,
                          struct error *error) {
    const struct queue_action *asked = user;
    if (asked->permit) {
        TRY(asked->permit(asked->user, row, error));
    }
    if (asked->action == RUN_ACTION_DELETE) {
        ret_action->kind = BATCH_DELETE;
        return STATUS_OK;
    }
    enum run_action action =
        asked->within_sweep ? run_action_within_sweep(asked->action, row->state) : asked->action;
    const struct run_action_rule *rule = run_action_rule(action);
    if (!run_action_allowed(action, row->state, row->request)) {
        return asked->within_sweep
                   ? STATUS_OK
                   : error_set(error, STATUS_CONFLICT,
                               "run %lld is %s%s%s and cannot be asked to %s", (long long)row->id,
                               run_state_name(row->state), row->request ? ", was asked to " : "",
                               run_request_name(row->request), rule->name);
    }
    *ret_action =
        (struct batch_action){.kind = row->state == RUN_RUNNING ? BATCH_REQUEST : BATCH_MOVE,
                              .to = rule->to,
                              .reason = rule->reason,
                              .next_attempt = rule->next_attempt,
                              .request = rule->request};
    return STATUS_OK;
}

enum status queue_act(struct queue *queue, const struct queue_action *asked,
                      struct run_outcomes *ret_outcomes, struct error *error) {
    struct queue_action of_choose = *asked;
    /* Of a run and one that comes after it, this one goes first: otherwise it would fail with the
     * other, or stand in the way of its deletion. */
    bool ends = asked->action == RUN_ACTION_CANCEL || asked->action == RUN_ACTION_KILL ||
                asked->action == RUN_ACTION_DELETE;
    const struct run_batch batch = {.ids = asked->ids,
                                    .n_ids = asked->n_ids,
                                    .newest_first = ends,
                                    .max_queued = asked->max_queued,
                                    .choose = choose,
                                    .choose_user = &of_choose,
                                    .idempotency = asked->idempotency,
                                    .answer = asked->answer,
                                    .answer_user = asked->user,
                                    .now_ms = clock_unix_ms(queue->clock)};
    TRY(run_table_batch(queue->store, &batch, ret_outcomes, error));
    queue_wake(queue);
    return STATUS_OK;
}
