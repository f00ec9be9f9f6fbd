/* /runs: submit, list, look at, cancel. Layer: api. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/routes.h"
#include "api/run_means.h"
#include "api/run_view.h"
#include "core/base/cleanup.h"
#include "daemon/field_errors.h"
#include "daemon/queue/queue.h"
#include "daemon/run_spec_json.h"

enum { LIST_LIMIT_DEFAULT = 50, LIST_LIMIT_MOST = 500 };

/* Answers with one run as it stands now. */
static void reply_run(struct api_context *context, const struct request *request,
                      struct reply *reply, int http_status, const struct run_row *row) {
    struct progress progress;
    bool running = row->state == RUN_RUNNING &&
                   progress_board_find(context->options.progress, row->id, &progress);
    struct json_writer writer = {0};
    run_write(&writer, NULL, row, running ? &progress : NULL);
    reply_json(reply, request, http_status, &writer);
}

bool route_find_run(struct api_context *context, const struct request *request, struct reply *reply,
                    struct run_row *ret_row) {
    int64_t id = 0;
    struct error error = {.code = STATUS_NOT_FOUND};
    if (text_to_id(request->parameters[0], INT64_MAX, &id) &&
        run_table_get(context->options.store, id, ret_row, &error) == STATUS_OK) {
        return true;
    }
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

/* GET /runs */

/* state=queued,running. */
static bool read_states(const struct request *request, struct reply *reply,
                        struct run_filter *filter) {
    const char *text = url_argument(&request->url, "state");
    while (text && *text) {
        char name[16] = "";
        size_t n = strcspn(text, ",");
        enum run_state state;
        if (n < sizeof(name)) {
            memcpy(name, text, n);
        }
        if (!run_state_from_name(name, &state)) {
            reply_bad_argument(reply, request, "state",
                               "state must be some of queued, held, running, paused, succeeded, "
                               "failed, canceled, with commas in between.");
            return false;
        }
        filter->states |= 1u << state;
        text += n;
        text += *text == ',';
    }
    return true;
}

/* m=4,8,16. */
static bool read_values(const struct request *request, struct reply *reply, const char *name,
                        int most, struct run_filter_values *values) {
    const char *text = url_argument(&request->url, name);
    while (text && *text) {
        char number[8] = "";
        size_t n = strcspn(text, ",");
        int64_t value = 0;
        if (n < sizeof(number)) {
            memcpy(number, text, n);
        }
        if (values->n == RUN_FILTER_MAX_VALUES || !text_to_count(number, most, &value)) {
            reply_bad_argument(reply, request, name,
                               "%s must be at most %d whole numbers from 0 to %d, with commas in "
                               "between.",
                               name, RUN_FILTER_MAX_VALUES, most);
            return false;
        }
        values->values[values->n++] = (int)value;
        text += n;
        text += *text == ',';
    }
    return true;
}

static bool read_count(const struct request *request, struct reply *reply, const char *name,
                       int64_t most, int64_t *value) {
    const char *text = url_argument(&request->url, name);
    if (text && !text_to_count(text, most, value)) {
        reply_bad_argument(reply, request, name, "%s must be a whole number from 0 to %" PRId64 ".",
                           name, most);
        return false;
    }
    return true;
}

static bool read_filter(const struct request *request, struct reply *reply,
                        struct run_filter *ret_filter) {
    static const char *const known[] = {"state", "m", "cutout_size", "limit", "cursor"};
    for (int i = 0; i < request->url.n_arguments; i++) {
        bool found = false;
        for (size_t j = 0; j < sizeof(known) / sizeof(known[0]); j++) {
            found |= strcmp(request->url.arguments[i].name, known[j]) == 0;
        }
        if (!found) {
            reply_bad_argument(reply, request, request->url.arguments[i].name,
                               "Runs can be asked for by state, m, cutout_size, limit and "
                               "cursor.");
            return false;
        }
    }
    int64_t limit = LIST_LIMIT_DEFAULT;
    int64_t before_id = 0;
    *ret_filter = (struct run_filter){0};
    if (!read_states(request, reply, ret_filter) ||
        !read_values(request, reply, "m", 1024, &ret_filter->m) ||
        !read_values(request, reply, "cutout_size", 64, &ret_filter->cutout_size) ||
        !read_count(request, reply, "limit", LIST_LIMIT_MOST, &limit) ||
        !read_count(request, reply, "cursor", INT64_MAX, &before_id)) {
        return false;
    }
    ret_filter->limit = limit > 0 ? (int)limit : 1;
    ret_filter->before_id = before_id;
    return true;
}

void route_run_list(struct api_context *context, const struct request *request,
                    struct reply *reply) {
    struct run_filter filter;
    if (!read_filter(request, reply, &filter)) {
        return;
    }
    CLEANUP(run_list_clear) struct run_list list = {0};
    struct error error;
    if (run_table_list(context->options.store, &filter, &list, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_array(&writer, "items");
    for (size_t i = 0; i < list.n; i++) {
        struct progress progress;
        bool running = list.rows[i].state == RUN_RUNNING &&
                       progress_board_find(context->options.progress, list.rows[i].id, &progress);
        run_write(&writer, NULL, &list.rows[i], running ? &progress : NULL);
    }
    json_write_end(&writer, ']');
    char cursor[24];
    bool more = list.more && list.n > 0;
    (void)snprintf(cursor, sizeof(cursor), "%" PRId64, more ? list.rows[list.n - 1].id : 0);
    json_write_string(&writer, "next_cursor", more ? cursor : NULL);
    json_write_end(&writer, '}');
    reply_json(reply, request, 200, &writer);
}

/* GET /runs/{id} */

void route_run_get(struct api_context *context, const struct request *request,
                   struct reply *reply) {
    CLEANUP(run_row_clear) struct run_row row = {0};
    if (!route_find_run(context, request, reply, &row)) {
        return;
    }
    char etag[sizeof(reply->etag)] = "";
    if (row.state != RUN_RUNNING) {
        /* A running run's progress changes without a new revision. */
        (void)snprintf(etag, sizeof(etag), "W/\"%" PRId64 "-%" PRId64 "\"", row.id, row.revision);
    }
    if (etag[0] && request_has_tag(request, etag)) {
        reply->http_status = 304;
    } else {
        reply_run(context, request, reply, 200, &row);
    }
    memcpy(reply->etag, etag, sizeof(etag));
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
