/* /runs: list, look at. Layer: api. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/routes.h"
#include "api/run_view.h"
#include "core/base/cleanup.h"

enum { LIST_LIMIT_DEFAULT = 50, LIST_LIMIT_MOST = 500 };

void reply_run(struct api_context *context, const struct request *request, struct reply *reply,
               int http_status, const struct run_row *row) {
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
