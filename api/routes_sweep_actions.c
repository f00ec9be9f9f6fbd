/* POST /sweeps/{id}/cancel, kill, pause, resume, hold, release, requeue: all runs of a sweep as
 * one. Layer: api.
 *
 * An action goes to the runs that it makes sense for; the others are counted as skipped. Pausing a
 * sweep holds its queued runs, which would start in place of the paused ones otherwise; resuming
 * releases them. What waits goes first: a worker that becomes free shall not find it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/routes.h"
#include "api/run_actions.h"
#include "api/run_view.h"
#include "core/base/cleanup.h"
#include "daemon/store/sweep_table.h"

/* The answer as it grows. */
struct outcome {
    struct json_writer writer;
    int n_done;
    int n_failed;
    int n_skipped;
};

static enum run_action action_for(enum run_action asked, enum run_state state) {
    if (asked == RUN_ACTION_PAUSE && state == RUN_QUEUED) {
        return RUN_ACTION_HOLD;
    }
    if (asked == RUN_ACTION_RESUME && state == RUN_HELD) {
        return RUN_ACTION_RELEASE;
    }
    return asked;
}

static void act_on(struct api_context *context, const struct request *request,
                   enum run_action action, int64_t id, struct outcome *outcome) {
    CLEANUP(run_row_clear) struct run_row row = {0};
    struct error error;
    struct error read_error;
    enum status status = run_action_apply(context, request, action, id, &error);
    bool known = run_table_get(context->options.store, id, &row, &read_error) == STATUS_OK;
    if (status == STATUS_OK && !known) {
        status = read_error.code;
        error = read_error;
    }
    int http_status = status != STATUS_OK        ? status_http(status)
                      : row.state == RUN_RUNNING ? 202
                                                 : 200;
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRId64, id);
    json_write_object(&outcome->writer, NULL);
    json_write_string(&outcome->writer, "id", text);
    json_write_int(&outcome->writer, "status", http_status);
    if (status == STATUS_OK) {
        struct progress progress;
        bool live = row.state == RUN_RUNNING &&
                    progress_board_find(context->options.progress, id, &progress);
        run_write(&outcome->writer, "run", &row, live ? &progress : NULL, RUN_MEMBERS_ALL);
        outcome->n_done++;
    } else {
        run_action_write_problem(&outcome->writer, "problem", request, action, known ? &row : NULL,
                                 &error);
        outcome->n_failed++;
    }
    json_write_end(&outcome->writer, '}');
}

/* One of two rounds: over the runs that wait, or over the running ones. Runs that are done with are
 * taken out of ids (0). */
static enum status go_round(struct api_context *context, const struct request *request,
                            enum run_action asked, bool running, int64_t *ids, size_t n_ids,
                            struct outcome *outcome, struct error *error) {
    for (size_t i = 0; i < n_ids; i++) {
        CLEANUP(run_row_clear) struct run_row row = {0};
        if (ids[i] == 0) {
            continue;
        }
        enum status status = run_table_get(context->options.store, ids[i], &row, error);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
            return status;
        }
        if (status == STATUS_OK && row.state == RUN_RUNNING && !running) {
            continue;
        }
        enum run_action action = action_for(asked, row.state);
        if (status == STATUS_OK && run_action_allowed(action, row.state, row.request)) {
            act_on(context, request, action, ids[i], outcome);
        } else {
            outcome->n_skipped++;
        }
        ids[i] = 0;
    }
    return STATUS_OK;
}

/* DELETE /sweeps/{id} */

void route_sweep_delete(struct api_context *context, const struct request *request,
                        struct reply *reply) {
    CLEANUP(sweep_row_clear) struct sweep_row sweep = {0};
    CLEANUP(free_pointer) int64_t *ids = NULL;
    size_t n_ids = 0;
    struct error error;
    if (!route_find_sweep(context, request, reply, &sweep)) {
        return;
    }
    if (sweep_table_delete(context->options.store, sweep.id, &ids, &n_ids, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    for (size_t i = 0; i < n_ids; i++) {
        run_files_remove(context, ids[i]);
    }
    reply->http_status = 204;
}

/* POST /sweeps/{id}/ACTION */

void route_sweep_act(struct api_context *context, const struct request *request,
                     struct reply *reply) {
    enum run_action action = RUN_ACTION_CANCEL;
    (void)run_action_from_name(strrchr(request->url.path, '/') + 1, &action);
    CLEANUP(sweep_row_clear) struct sweep_row sweep = {0};
    CLEANUP(free_pointer) int64_t *ids = NULL;
    size_t n_ids = 0;
    struct error error;
    if (!route_find_sweep(context, request, reply, &sweep)) {
        return;
    }
    if (sweep_table_runs(context->options.store, sweep.id, &ids, &n_ids, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    struct outcome outcome = {.n_done = 0};
    json_write_object(&outcome.writer, NULL);
    json_write_array(&outcome.writer, "items");
    enum status status = go_round(context, request, action, false, ids, n_ids, &outcome, &error);
    if (status == STATUS_OK) {
        status = go_round(context, request, action, true, ids, n_ids, &outcome, &error);
    }
    json_write_end(&outcome.writer, ']');
    json_write_int(&outcome.writer, "succeeded", outcome.n_done);
    json_write_int(&outcome.writer, "failed", outcome.n_failed);
    json_write_int(&outcome.writer, "skipped", outcome.n_skipped);
    json_write_end(&outcome.writer, '}');
    if (status != STATUS_OK) {
        json_write_free(&outcome.writer);
        reply_error(reply, request, &error);
        return;
    }
    reply_json(reply, request, 200, &outcome.writer);
}
