/* Layer: api. */
#include "api/change/run_actions.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/view/run_view.h"
#include "core/base/cleanup.h"
#include "core/base/log.h"
#include "daemon/config/state_dir.h"
#include "daemon/queue/queue.h"
#include "daemon/spec/json_tree.h"
#include "daemon/spec/run_spec.h"
#include "daemon/store/change/run_batch.h"
#include "daemon/work/pool.h"

/* What is asked, and where the answer goes. */
struct act {
    const struct request *request;
    struct reply *reply;
    enum act_form form;
    enum run_action action; /* not of edits */
    bool edits;
    const cJSON *labels; /* of an edit; NULL: they stay */
    struct run_edit edit;
    char *labels_json; /* owned: edit.labels_json of the run that is being edited */
    /* Copied before: the answer may be written inside of the transaction, where no lock is taken.
     */
    struct progress running[POOL_MAX_WORKERS];
    size_t n_running;
};

static enum status permit(void *user, const struct run_row *row, struct error *error) {
    const struct act *act = user;
    return request_check_owner(act->request, row->owner, "run", row->id, error);
}

void run_files_remove(const struct api_context *context, int64_t id) {
    struct error left;
    if (state_dir_remove_run(api_config(context)->state_dir, id, &left) != STATUS_OK) {
        /* The run is gone all the same; the next start tries again. */
        log_warning("the files of run %" PRId64 " could not be removed: %s", id, left.message);
    }
}

/* What to do instead, where an action that the state forbids has an alternative; else "". */
static const char *advice(enum run_action action, const struct run_row *row) {
    if (action == RUN_ACTION_REQUEUE && row->state == RUN_SUCCEEDED) {
        return " It is complete: submit it again with another seed, or fork it.";
    }
    if (action == RUN_ACTION_PAUSE && row->state == RUN_QUEUED) {
        return " Only running runs are paused; hold keeps one in the queue.";
    }
    return "";
}

static void write_conflict(struct json_writer *writer, const char *key,
                           const struct request *request, enum run_action action,
                           const struct run_row *row) {
    char detail[320];
    (void)snprintf(detail, sizeof(detail), "Run %" PRId64 " is %s%s%s and cannot be asked to %s.%s",
                   row->id, run_state_name(row->state), row->request ? ", was asked to " : "",
                   run_request_name(row->request), run_action_rule(action)->name,
                   advice(action, row));
    problem_write_begin(writer, key, request, STATUS_CONFLICT, detail);
    json_write_string(writer, "state", run_state_name(row->state));
    json_write_array(writer, "allowed_states");
    for (int to = 0; to < RUN_STATE_COUNT; to++) {
        if (run_state_may_move(row->state, (enum run_state)to)) {
            json_write_string(writer, NULL, run_state_name((enum run_state)to));
        }
    }
    json_write_end(writer, ']');
    json_write_array(writer, "allowed_actions");
    for (int other = 0; other < RUN_ACTION_COUNT; other++) {
        if (run_action_allowed((enum run_action)other, row->state, row->request)) {
            json_write_string(writer, NULL, run_action_rule((enum run_action)other)->name);
        }
    }
    json_write_end(writer, ']');
    json_write_end(writer, '}');
}

/* A whole problem as the member `key` (NULL: as the document). */
static void write_problem(struct json_writer *writer, const char *key, const struct act *act,
                          const struct run_outcome *outcome) {
    const struct run_row *row = &outcome->row;
    const struct error *error = &outcome->error;
    enum run_action action =
        act->form == ACT_ON_SWEEP ? run_action_within_sweep(act->action, row->state) : act->action;
    /* A state that would allow it has another reason, which the error tells. */
    if (error->code == STATUS_CONFLICT && action != RUN_ACTION_DELETE && !act->edits &&
        !run_action_allowed(action, row->state, row->request)) {
        write_conflict(writer, key, act->request, action, row);
        return;
    }
    char detail[sizeof(error->message) + 1];
    reply_detail(act->request, error, detail, sizeof(detail));
    problem_write_begin(writer, key, act->request, error->code, detail);
    json_write_end(writer, '}');
}

static void write_run(struct json_writer *writer, const char *key, const struct act *act,
                      const struct run_row *row) {
    const struct progress *progress = NULL;
    for (size_t i = 0; i < act->n_running && row->state == RUN_RUNNING; i++) {
        progress = act->running[i].run_id == row->id ? &act->running[i] : progress;
    }
    run_write(writer, key, row, progress, NULL, RUN_MEMBERS_ALL);
}

static int http_status_of(const struct run_outcome *outcome) {
    return outcome->error.code != STATUS_OK    ? http_code(outcome->error.code)
           : outcome->action == BATCH_DELETE   ? 204
           : outcome->action == BATCH_EDIT     ? 200
           : outcome->row.state == RUN_RUNNING ? 202
                                               : 200;
}

/* What is left of a sweep's run that the action makes no sense for, or that was deleted meanwhile.
 */
static bool is_passed_over(const struct act *act, const struct run_outcome *outcome) {
    return act->form == ACT_ON_SWEEP && outcome->action == BATCH_NONE &&
           (outcome->error.code == STATUS_OK || outcome->error.code == STATUS_NOT_FOUND);
}

static void write_item(struct json_writer *writer, const struct act *act,
                       const struct run_outcome *outcome) {
    json_write_object(writer, NULL);
    json_write_id(writer, "id", outcome->id);
    json_write_int(writer, "status", http_status_of(outcome));
    if (outcome->error.code != STATUS_OK) {
        write_problem(writer, "problem", act, outcome);
    } else if (outcome->action != BATCH_DELETE) {
        write_run(writer, "run", act, &outcome->row);
    }
    json_write_end(writer, '}');
}

static void reply_items(const struct act *act, const struct run_outcomes *outcomes) {
    struct json_writer writer = {.link_prefix = act->request->prefix};
    int64_t n_done = 0;
    int64_t n_skipped = 0;
    json_write_object(&writer, NULL);
    json_write_array(&writer, "items");
    for (size_t i = 0; i < outcomes->n; i++) {
        const struct run_outcome *outcome = &outcomes->items[i];
        if (is_passed_over(act, outcome)) {
            n_skipped++;
            continue;
        }
        n_done += outcome->error.code == STATUS_OK;
        write_item(&writer, act, outcome);
    }
    json_write_end(&writer, ']');
    json_write_int(&writer, "succeeded", n_done);
    json_write_int(&writer, "failed", (int64_t)outcomes->n - n_skipped - n_done);
    if (act->form == ACT_ON_SWEEP) {
        json_write_int(&writer, "skipped", n_skipped);
    }
    json_write_end(&writer, '}');
    reply_json(act->reply, act->request, 200, &writer);
}

static void reply_one(const struct act *act, const struct run_outcome *outcome) {
    struct json_writer writer = {.link_prefix = act->request->prefix};
    if (outcome->error.code != STATUS_OK) {
        write_problem(&writer, NULL, act, outcome);
        reply_problem_end(act->reply, act->request, outcome->error.code, &writer);
    } else if (outcome->action == BATCH_DELETE) {
        act->reply->http_status = http_status_of(outcome);
    } else {
        write_run(&writer, NULL, act, &outcome->row);
        reply_json(act->reply, act->request, http_status_of(outcome), &writer);
    }
}

/* Called in the transaction when the answer is stored with it, otherwise behind it. */
static const char *answer(void *user, const struct run_outcomes *outcomes, int *ret_http_status) {
    const struct act *act = user;
    if (act->form == ACT_ON_RUN) {
        reply_one(act, &outcomes->items[0]);
    } else {
        reply_items(act, outcomes);
    }
    *ret_http_status = act->reply->http_status;
    return act->reply->http_status < 500 ? act->reply->body : NULL;
}

void run_actions_reply(struct api_context *context, const struct request *request,
                       struct reply *reply, enum act_form form, enum run_action action,
                       const int64_t *ids, size_t n_ids) {
    struct act act = {.request = request, .reply = reply, .form = form, .action = action};
    act.n_running = progress_board_all(context->options.progress, act.running, POOL_MAX_WORKERS);
    const struct queue_action asked = {.action = action,
                                       .within_sweep = form == ACT_ON_SWEEP,
                                       .ids = ids,
                                       .n_ids = n_ids,
                                       .max_queued = api_config(context)->max_queued,
                                       .permit = permit,
                                       .idempotency = request->idempotency,
                                       .answer = answer,
                                       .user = &act};
    CLEANUP(run_outcomes_clear) struct run_outcomes outcomes = {.n = 0};
    struct error error;
    if (pool_act(context->options.pool, &asked, &outcomes, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    int http_status = 0;
    reply->stored = request->idempotency != NULL;
    if (!reply->stored) {
        (void)answer(&act, &outcomes, &http_status);
    }
    for (size_t i = 0; i < outcomes.n; i++) {
        if (outcomes.items[i].action == BATCH_DELETE) {
            run_files_remove(context, outcomes.items[i].id);
        }
    }
}

/* ---- edits ---- */

/* The row's labels with the changes laid over them. NULL: no memory. */
static cJSON *merge_labels(const struct act *act, const struct run_row *row) {
    CLEANUP(json_delete) cJSON *merged = cJSON_Parse(row->labels_json);
    const cJSON *item = NULL;
    if (!merged) {
        merged = cJSON_CreateObject();
    }
    cJSON_ArrayForEach(item, act->labels) {
        cJSON_DeleteItemFromObjectCaseSensitive(merged, item->string);
        if (cJSON_IsString(item) &&
            !cJSON_AddStringToObject(merged, item->string, item->valuestring)) {
            return NULL;
        }
    }
    cJSON *taken = merged;
    merged = NULL;
    return taken;
}

static enum status choose_edit(void *user, const struct run_row *row,
                               struct batch_action *ret_action, struct error *error) {
    struct act *act = user;
    TRY(permit(user, row, error));
    *ret_action = (struct batch_action){.kind = BATCH_EDIT, .edit = &act->edit};
    if (!act->labels) {
        return STATUS_OK;
    }
    CLEANUP(json_delete) cJSON *labels = merge_labels(act, row);
    if (cJSON_GetArraySize(labels) > RUN_SPEC_MAX_LABELS) {
        return error_set(error, STATUS_CONFLICT,
                         "run %" PRId64 " would have %d labels; it may have %d", row->id,
                         cJSON_GetArraySize(labels), RUN_SPEC_MAX_LABELS);
    }
    free(act->labels_json);
    act->labels_json = json_print(labels);
    act->edit.labels_json = act->labels_json;
    return act->labels_json ? STATUS_OK
                            : error_set(error, STATUS_NO_MEMORY, "no memory to write labels");
}

static void clear_act(struct act *act) {
    free(act->labels_json);
}

void run_actions_edit(struct api_context *context, const struct request *request,
                      struct reply *reply, const struct run_edit *edit, const cJSON *labels,
                      const int64_t *ids, size_t n_ids) {
    CLEANUP(clear_act)
    struct act act = {.request = request,
                      .reply = reply,
                      .form = ACT_ON_LIST,
                      .edits = true,
                      .labels = labels,
                      .edit = *edit};
    act.n_running = progress_board_all(context->options.progress, act.running, POOL_MAX_WORKERS);
    const struct run_batch batch = {.ids = ids,
                                    .n_ids = n_ids,
                                    .choose = choose_edit,
                                    .choose_user = &act,
                                    .idempotency = request->idempotency,
                                    .answer = answer,
                                    .answer_user = &act,
                                    .now_ms = clock_unix_ms(context->options.clock)};
    CLEANUP(run_outcomes_clear) struct run_outcomes outcomes = {.n = 0};
    struct error error;
    int http_status = 0;
    if (run_table_batch(context->options.store, &batch, &outcomes, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    reply->stored = request->idempotency != NULL;
    if (!reply->stored) {
        (void)answer(&act, &outcomes, &http_status);
    }
    for (size_t i = 0; i < outcomes.n; i++) {
        if (outcomes.items[i].action == BATCH_EDIT) {
            pool_note_priority(context->options.pool, outcomes.items[i].id);
        }
    }
    queue_wake(context->options.queue); /* one of them may be the next one now */
}

void run_actions_write_forks(const struct request *request, struct reply *reply,
                             const struct run_outcomes *outcomes) {
    struct json_writer writer = {.link_prefix = request->prefix};
    json_write_object(&writer, NULL);
    json_write_array(&writer, "items");
    for (size_t i = 0; i < outcomes->n; i++) {
        json_write_object(&writer, NULL);
        json_write_id(&writer, "id", outcomes->items[i].id);
        json_write_int(&writer, "status", 201);
        run_write(&writer, "run", &outcomes->items[i].row, NULL, NULL, RUN_MEMBERS_ALL);
        json_write_end(&writer, '}');
    }
    json_write_end(&writer, ']');
    json_write_int(&writer, "succeeded", (int64_t)outcomes->n);
    json_write_int(&writer, "failed", 0);
    json_write_end(&writer, '}');
    reply_json(reply, request, 200, &writer);
}
