/* Layer: api. */
#include "api/run_actions.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/access.h"
#include "api/run_view.h"
#include "core/base/cleanup.h"
#include "core/base/log.h"
#include "daemon/state_dir.h"
#include "daemon/work/pool.h"

static enum status permit(struct api_context *context, const struct request *request, int64_t id,
                          struct error *error) {
    CLEANUP(run_row_clear) struct run_row row = {0};
    TRY(run_table_get(context->options.store, id, &row, error));
    char what[32];
    (void)snprintf(what, sizeof(what), "run %" PRId64, id);
    return access_check_owner(request, row.owner, what, error);
}

enum status run_action_apply(struct api_context *context, const struct request *request,
                             enum run_action action, int64_t id, struct error *error) {
    TRY(permit(context, request, id, error));
    return pool_act(context->options.pool, action, id, error);
}

void run_files_remove(const struct api_context *context, int64_t id) {
    struct error left;
    if (state_dir_remove_run(context->options.config->state_dir, id, &left) != STATUS_OK) {
        /* The run is gone all the same; the next start tries again. */
        log_warning("the files of run %" PRId64 " could not be removed: %s", id, left.message);
    }
}

enum status run_delete_apply(struct api_context *context, const struct request *request, int64_t id,
                             struct error *error) {
    TRY(permit(context, request, id, error));
    TRY(run_table_delete(context->options.store, id, error));
    run_files_remove(context, id);
    return STATUS_OK;
}

/* Succeeded runs are the one case in which another way leads where the user wants to go. */
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

void run_action_write_problem(struct json_writer *writer, const char *key,
                              const struct request *request, enum run_action action,
                              const struct run_row *row, const struct error *error) {
    /* A state that would allow it has another reason, which the error tells. */
    bool by_state = row && !run_action_allowed(action, row->state, row->request);
    if (error->code == STATUS_CONFLICT && by_state) {
        write_conflict(writer, key, request, action, row);
        return;
    }
    char detail[sizeof(error->message) + 1];
    reply_detail(request, error, detail, sizeof(detail));
    problem_write_begin(writer, key, request, error->code, detail);
    json_write_end(writer, '}');
}

static void write_run(struct api_context *context, struct json_writer *writer, int64_t id) {
    CLEANUP(run_row_clear) struct run_row row = {0};
    struct progress progress;
    if (run_table_get(context->options.store, id, &row, NULL) != STATUS_OK) {
        json_write_null(writer, "run");
        return;
    }
    bool running =
        row.state == RUN_RUNNING && progress_board_find(context->options.progress, id, &progress);
    run_write(writer, "run", &row, running ? &progress : NULL, RUN_MEMBERS_ALL);
}

/* One item of the answer; true: it was done. */
static bool write_item(struct api_context *context, const struct request *request,
                       struct json_writer *writer, enum run_action action, int64_t id) {
    struct error error = {.code = STATUS_OK};
    char text[24];
    enum status status = action == RUN_ACTION_COUNT
                             ? run_delete_apply(context, request, id, &error)
                             : run_action_apply(context, request, action, id, &error);
    (void)snprintf(text, sizeof(text), "%" PRId64, id);
    json_write_object(writer, NULL);
    json_write_string(writer, "id", text);
    if (status == STATUS_OK) {
        json_write_int(writer, "status", action == RUN_ACTION_COUNT ? 204 : 200);
        if (action != RUN_ACTION_COUNT) {
            write_run(context, writer, id);
        }
    } else {
        CLEANUP(run_row_clear) struct run_row row = {0};
        bool found = action != RUN_ACTION_COUNT &&
                     run_table_get(context->options.store, id, &row, NULL) == STATUS_OK;
        json_write_int(writer, "status", status_http(status));
        run_action_write_problem(writer, "problem", request, action, found ? &row : NULL, &error);
    }
    json_write_end(writer, '}');
    return status == STATUS_OK;
}

void run_actions_reply_bulk(struct api_context *context, const struct request *request,
                            struct reply *reply, enum run_action action, const int64_t *ids,
                            size_t n_ids) {
    struct json_writer writer = {0};
    int n_done = 0;
    json_write_object(&writer, NULL);
    json_write_array(&writer, "items");
    for (size_t i = 0; i < n_ids; i++) {
        n_done += write_item(context, request, &writer, action, ids[i]);
    }
    json_write_end(&writer, ']');
    json_write_int(&writer, "succeeded", n_done);
    json_write_int(&writer, "failed", (int64_t)n_ids - n_done);
    json_write_end(&writer, '}');
    reply_json(reply, request, 200, &writer);
}
