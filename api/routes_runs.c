/* /runs: submit, cancel. Layer: api. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/access.h"
#include "api/routes.h"
#include "api/run_means.h"
#include "api/run_view.h"
#include "core/base/cleanup.h"
#include "daemon/field_errors.h"
#include "daemon/queue/queue.h"
#include "daemon/run_spec_json.h"

void route_write_run(struct api_context *context, struct json_writer *writer,
                     const struct run_row *row) {
    struct progress progress;
    bool running = row->state == RUN_RUNNING &&
                   progress_board_find(context->options.progress, row->id, &progress);
    run_write(writer, NULL, row, running ? &progress : NULL);
}

/* Answers with one run as it stands now. */
static void reply_run(struct api_context *context, const struct request *request,
                      struct reply *reply, int http_status, const struct run_row *row) {
    struct json_writer writer = {0};
    route_write_run(context, &writer, row);
    reply_json(reply, request, http_status, &writer);
}

/* Everybody reads all runs; what changes one asks whose it is. */
static bool may_act(const struct request *request, const struct run_row *row, struct error *error) {
    char what[32];
    (void)snprintf(what, sizeof(what), "run %" PRId64, row->id);
    return request_only_reads(request) ||
           access_check_owner(request, row->owner, what, error) == STATUS_OK;
}

bool route_find_run(struct api_context *context, const struct request *request, struct reply *reply,
                    struct run_row *ret_row) {
    int64_t id = 0;
    struct error error = {.code = STATUS_NOT_FOUND};
    if (text_to_id(request->parameters[0], INT64_MAX, &id) &&
        run_table_get(context->options.store, id, ret_row, &error) == STATUS_OK &&
        may_act(request, ret_row, &error)) {
        return true;
    }
    run_row_clear(ret_row);
    if (error.code == STATUS_NOT_FOUND) {
        reply_problem(reply, request, STATUS_NOT_FOUND, "There is no run %s.",
                      request->parameters[0]);
    } else {
        reply_error(reply, request, &error);
    }
    return false;
}

/* POST /runs */

static void reply_field_errors(struct reply *reply, const struct request *request,
                               enum status status, const struct field_errors *errors) {
    char detail[128];
    if (status == STATUS_MALFORMED) {
        (void)snprintf(detail, sizeof(detail), "The body is not a JSON object of a run.");
    } else {
        (void)snprintf(detail, sizeof(detail), "%d field%s of the run cannot be used as given.",
                       errors->n, errors->n == 1 ? "" : "s");
    }
    struct json_writer writer = {0};
    reply_problem_begin(&writer, request, status, detail);
    field_errors_write(&writer, errors);
    json_write_end(&writer, '}');
    reply_problem_end(reply, request, status, &writer);
}

/* Whether this daemon can train the run; otherwise *reply says all that is in the way. */
static bool check_means(const struct api_context *context, const struct request *request,
                        const struct run_config *config, struct reply *reply) {
    struct field_errors errors = {.n = 0};
    struct run_means means;
    run_means_check(context, config, &means, &errors);
    if (errors.n > 0) {
        reply_run_means(reply, request, &means, &errors);
    }
    return errors.n == 0;
}

/* Stores the run; true: it is accepted, whatever happens from now on. */
static bool submit(struct api_context *context, const struct request *request,
                   const struct run_spec *spec, struct reply *reply, int64_t *ret_id) {
    struct json_writer writer = {0};
    run_labels_write(&writer, NULL, spec);
    CLEANUP(free_pointer) char *labels_json = json_write_take(&writer);
    CLEANUP(free_pointer) char *config_json = run_spec_to_json(spec);
    struct error error = {.code = STATUS_NO_MEMORY, .message = "cannot write the run as JSON"};
    if (labels_json && config_json) {
        const struct run_draft draft = {.name = spec->name,
                                        .priority = spec->priority,
                                        .labels_json = labels_json,
                                        .config_json = config_json,
                                        .config = &spec->config,
                                        .owner = request->owner};
        if (queue_submit(context->options.queue, &draft, ret_id, &error) == STATUS_OK) {
            return true;
        }
    }
    reply_error(reply, request, &error);
    return false;
}

void route_run_create(struct api_context *context, const struct request *request,
                      struct reply *reply) {
    const struct run_spec_context spec_context = run_surroundings(context);
    struct run_spec spec;
    struct field_errors errors;
    enum status status =
        run_spec_parse(request->body, request->n_body, &spec_context, &spec, &errors);
    if (status != STATUS_OK) {
        reply_field_errors(reply, request, status, &errors);
        return;
    }
    int64_t id = 0;
    if (!check_means(context, request, &spec.config, reply) ||
        !submit(context, request, &spec, reply, &id)) {
        return;
    }
    CLEANUP(run_row_clear) struct run_row row = {0};
    struct error error;
    if (run_table_get(context->options.store, id, &row, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    reply_run(context, request, reply, 201, &row);
    (void)snprintf(reply->location, sizeof(reply->location), "/api/v1/runs/%" PRId64, id);
}

/* POST /runs/{id}/cancel */

static void reply_conflict(struct reply *reply, const struct request *request,
                           const struct run_row *row) {
    char moves[96];
    char detail[256];
    run_state_moves_text(row->state, moves, sizeof(moves));
    (void)snprintf(detail, sizeof(detail),
                   "Run %" PRId64 " is %s and cannot be canceled; from there it may become: %s.",
                   row->id, run_state_name(row->state), moves[0] ? moves : "nothing else");
    struct json_writer writer = {0};
    reply_problem_begin(&writer, request, STATUS_CONFLICT, detail);
    json_write_string(&writer, "state", run_state_name(row->state));
    json_write_array(&writer, "allowed_states");
    for (int to = 0; to < RUN_STATE_COUNT; to++) {
        if (run_state_may_move(row->state, (enum run_state)to)) {
            json_write_string(&writer, NULL, run_state_name((enum run_state)to));
        }
    }
    json_write_end(&writer, ']');
    json_write_end(&writer, '}');
    reply_problem_end(reply, request, STATUS_CONFLICT, &writer);
}

void route_run_cancel(struct api_context *context, const struct request *request,
                      struct reply *reply) {
    CLEANUP(run_row_clear) struct run_row before = {0};
    if (!route_find_run(context, request, reply, &before)) {
        return;
    }
    struct error error;
    enum status status = pool_cancel(context->options.pool, before.id, &error);
    CLEANUP(run_row_clear) struct run_row row = {0};
    struct error read_error;
    if (status != STATUS_OK && status != STATUS_CONFLICT) {
        reply_error(reply, request, &error);
    } else if (run_table_get(context->options.store, before.id, &row, &read_error) != STATUS_OK) {
        reply_error(reply, request, &read_error);
    } else if (status == STATUS_CONFLICT) {
        reply_conflict(reply, request, &row);
    } else {
        /* 202: it runs on until its checkpoint is written. */
        reply_run(context, request, reply, row.state == RUN_RUNNING ? 202 : 200, &row);
    }
}
