/* GET /runs and GET /runs/{id}. Layer: api. */
#include "api/query/run_list_query.h"
#include "api/routes/routes.h"
#include "api/view/forecast.h"
#include "api/view/run_view.h"
#include "core/base/cleanup.h"
#include "daemon/spec/config_diff.h"

/* fields=id,state,best: each must be a member of a run. */
static bool read_fields(const struct request *request, struct reply *reply, uint64_t *ret_members) {
    const char *fields = url_argument(&request->url, "fields");
    const char *unknown = NULL;
    size_t n = 0;
    *ret_members = RUN_MEMBERS_ALL;
    if (fields && !run_members_read(fields, ret_members, &unknown, &n)) {
        reply_bad_argument(reply, request, "fields",
                           "A run has no field '%.*s'; give names of its members, with commas in "
                           "between.",
                           n < 64 ? (int)n : 64, unknown);
        return false;
    }
    return true;
}

static enum status find_varies(const struct run_list *list, struct config_diff *varies,
                               struct error *error) {
    for (size_t i = 0; i < list->n; i++) {
        TRY(config_diff_add(varies, list->rows[i].config_json, error));
    }
    return STATUS_OK;
}

void route_run_list(struct api_context *context, const struct request *request,
                    struct reply *reply) {
    struct run_query query;
    uint64_t members = 0;
    if (!run_list_query_read(request, reply, &query) || !read_fields(request, reply, &members)) {
        return;
    }
    if (!run_sort_is_indexed(query.sort) && reply_leave_to_slow(reply, request)) {
        return;
    }
    query.parts = run_members_parts(members);
    CLEANUP(run_list_clear) struct run_list list = {0};
    struct error error;
    CLEANUP(config_diff_clear) struct config_diff varies = {.first = NULL};
    bool shows_config = query.parts & RUN_PART_CONFIG;
    if (run_table_list(context->options.store, &query, &list, &error) != STATUS_OK ||
        (shows_config && find_varies(&list, &varies, &error) != STATUS_OK)) {
        reply_error(reply, request, &error);
        return;
    }
    struct json_writer writer = {.link_prefix = request->prefix};
    struct forecast forecast = {.context = context};
    json_write_object(&writer, NULL);
    if (shows_config) {
        config_diff_write(&writer, "varies", &varies);
    }
    json_write_array(&writer, "items");
    for (size_t i = 0; i < list.n; i++) {
        forecast_write_run(&writer, &forecast, &list.rows[i], members);
    }
    char cursor[CURSOR_TEXT_SIZE];
    bool more = list.more && list.n > 0;
    if (more) {
        run_list_cursor_write(&query, &list.rows[list.n - 1], cursor);
    }
    reply_page(reply, request, &writer, more ? cursor : NULL);
}

void route_run_get(struct api_context *context, const struct request *request,
                   struct reply *reply) {
    uint64_t members = 0;
    CLEANUP(run_row_clear) struct run_row row = {0};
    if (!read_fields(request, reply, &members) || !route_find_run(context, request, reply, &row)) {
        return;
    }
    struct json_writer writer = {.link_prefix = request->prefix};
    struct forecast forecast = {.context = context};
    forecast_write_run(&writer, &forecast, &row, members);
    reply_json(reply, request, 200, &writer);
    reply_tag(reply, request);
}
