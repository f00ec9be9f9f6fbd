/* GET /runs and GET /runs/{id}. Layer: api. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/routes.h"
#include "api/run_list_query.h"
#include "api/run_view.h"
#include "core/base/cleanup.h"
#include "daemon/json_pick.h"

/* Writes the run, or the fields of it that were asked for (NULL: all). */
static void write_fields(struct api_context *context, struct json_writer *writer,
                         const struct run_row *row, const char *fields) {
    if (!fields) {
        route_write_run(context, writer, row);
        return;
    }
    struct json_writer whole = {0};
    route_write_run(context, &whole, row);
    CLEANUP(free_pointer) char *json = json_write_take(&whole);
    if (json) {
        json_pick(writer, NULL, json, fields);
    } else {
        writer->failed = true;
    }
}

/* fields=id,state,best: each must be a member of a run, so a run without anything is asked. */
static bool check_fields(struct api_context *context, const struct request *request,
                         struct reply *reply, const char *fields) {
    if (!fields) {
        return true;
    }
    char empty[] = "{}";
    const struct run_row none = {.labels_json = empty, .config_json = empty};
    struct json_writer writer = {0};
    route_write_run(context, &writer, &none);
    CLEANUP(free_pointer) char *json = json_write_take(&writer);
    size_t length = 0;
    const char *missing = json ? json_missing_member(json, fields, &length) : NULL;
    if (missing) {
        reply_bad_argument(reply, request, "fields",
                           "A run has no field '%.*s'; give names of its members, with commas in "
                           "between.",
                           length < 64 ? (int)length : 64, missing);
        return false;
    }
    return true;
}

void route_run_list(struct api_context *context, const struct request *request,
                    struct reply *reply) {
    struct run_query query;
    const char *fields = url_argument(&request->url, "fields");
    if (!run_list_query_read(request, reply, &query) ||
        !check_fields(context, request, reply, fields)) {
        return;
    }
    CLEANUP(run_list_clear) struct run_list list = {0};
    struct error error;
    if (run_table_list(context->options.store, &query, &list, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_array(&writer, "items");
    for (size_t i = 0; i < list.n; i++) {
        write_fields(context, &writer, &list.rows[i], fields);
    }
    json_write_end(&writer, ']');
    char cursor[CURSOR_TEXT_SIZE];
    bool more = list.more && list.n > 0;
    if (more) {
        run_list_cursor_write(&query, &list.rows[list.n - 1], cursor);
    }
    json_write_string(&writer, "next_cursor", more ? cursor : NULL);
    json_write_end(&writer, '}');
    reply_json(reply, request, 200, &writer);
    if (more) {
        reply_link_next(reply, request, cursor);
    }
    reply_tag(reply, request);
}

void route_run_get(struct api_context *context, const struct request *request,
                   struct reply *reply) {
    const char *fields = url_argument(&request->url, "fields");
    CLEANUP(run_row_clear) struct run_row row = {0};
    if (!check_fields(context, request, reply, fields) ||
        !route_find_run(context, request, reply, &row)) {
        return;
    }
    struct json_writer writer = {0};
    write_fields(context, &writer, &row, fields);
    reply_json(reply, request, 200, &writer);
    reply_tag(reply, request);
}
