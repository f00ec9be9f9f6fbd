/* Links to a sweep for those who have no token: made, listed, withdrawn. Layer: api. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/change/grants.h"
#include "api/query/body.h"
#include "api/routes/routes.h"
#include "core/base/cleanup.h"
#include "core/base/time_text.h"
#include "daemon/spec/field_errors.h"
#include "daemon/store/table/sweep_table.h"
#include "daemon/work/sweep_links.h"

static const int64_t DAY_MS = 24 * 3600 * 1000LL;
enum { DEFAULT_DAYS = 30, MOST_DAYS = 5 * 366 };

/* secret: NULL when it is not told (any more). */
static void write_link(struct json_writer *writer, const struct link_row *row, const char *secret) {
    char time[TIME_TEXT_SIZE];
    char path[64 + TOKEN_TEXT_SIZE];
    json_write_object(writer, NULL);
    json_write_id(writer, "id", row->id);
    json_write_id(writer, "sweep", row->sweep_id);
    if (secret) {
        /* Behind '#': a browser keeps it to itself, so that it gets into no log. */
        (void)snprintf(path, sizeof(path), "/sweeps/%" PRId64 "#link=%s", row->sweep_id, secret);
        json_write_link(writer, "url", path);
    }
    json_write_string(writer, "owner", row->owner[0] ? row->owner : NULL);
    json_write_string(writer, "created_at", time_format(row->created_ms, time));
    json_write_string(writer, "expires_at", time_format(row->expires_ms, time));
    json_write_end(writer, '}');
}

/* False: *reply says what is wrong with the body. */
static bool read_expiry(const struct api_context *context, const struct request *request,
                        struct reply *reply, int64_t *ret_expires_ms) {
    CLEANUP(body_delete) cJSON *document = body_read(request, true, reply);
    struct field_errors errors = {.n = 0};
    int64_t now_ms = clock_unix_ms(context->options.clock);
    if (!document) {
        return false;
    }
    *ret_expires_ms = now_ms + DEFAULT_DAYS * DAY_MS;
    body_check_names(document, "expires_at", &errors);
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(document, "expires_at");
    bool good =
        !item || (cJSON_IsString(item) && time_parse(item->valuestring, ret_expires_ms) &&
                  *ret_expires_ms > now_ms && *ret_expires_ms <= now_ms + MOST_DAYS * DAY_MS);
    if (!good) {
        field_errors_add(&errors, "expires_at",
                         "expires_at must be a time to come, at most five years ahead, such as "
                         "2030-01-31T12:00:00Z.");
    }
    if (errors.n > 0) {
        reply_field_errors(reply, request, STATUS_INVALID, "link", &errors);
    }
    return errors.n == 0;
}

/* POST /sweeps/{id}/links */
void route_link_create(struct api_context *context, const struct request *request,
                       struct reply *reply) {
    CLEANUP(sweep_row_clear) struct sweep_row sweep = {0};
    struct link_row row;
    struct error error;
    char secret[TOKEN_TEXT_SIZE];
    int64_t expires_ms = 0;
    if (request->idempotency) {
        reply_problem(reply, request, STATUS_INVALID,
                      "A link's secret is kept nowhere, so this cannot be answered again: leave "
                      "out the Idempotency-Key.");
        return;
    }
    if (!route_find_sweep(context, request, reply, &sweep) ||
        !read_expiry(context, request, reply, &expires_ms)) {
        return;
    }
    if (sweep_links_add(context->options.links, sweep.id, request->owner, expires_ms, secret, &row,
                        &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    struct json_writer writer = {.link_prefix = request->prefix};
    write_link(&writer, &row, secret);
    reply_json(reply, request, 201, &writer);
}

/* GET /sweeps/{id}/links */
void route_link_list(struct api_context *context, const struct request *request,
                     struct reply *reply) {
    CLEANUP(sweep_row_clear) struct sweep_row sweep = {0};
    CLEANUP(link_list_clear) struct link_list list = {0};
    struct error error;
    if (!route_find_sweep(context, request, reply, &sweep)) {
        return;
    }
    if (link_table_list(context->options.store, sweep.id, clock_unix_ms(context->options.clock),
                        &list, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    struct json_writer writer = {.link_prefix = request->prefix};
    json_write_object(&writer, NULL);
    json_write_array(&writer, "items");
    for (size_t i = 0; i < list.n; i++) {
        write_link(&writer, &list.rows[i], NULL);
    }
    reply_page(reply, request, &writer, NULL);
}

/* Whether the sweep of the link is the one's who asks. STATUS_NOT_FOUND, STATUS_FORBIDDEN. */
static enum status check_link(struct api_context *context, const struct request *request,
                              int64_t *ret_id, struct error *error) {
    CLEANUP(sweep_row_clear) struct sweep_row sweep = {0};
    struct link_row row;
    TRY(request_read_id(request, "link", ret_id, error));
    TRY(link_table_get(context->options.store, *ret_id, &row, error));
    TRY(sweep_table_get(context->options.store, row.sweep_id, &sweep, error));
    return request_check_owner(request, sweep.owner, "sweep", sweep.id, error);
}

/* DELETE /links/{id} */
void route_link_delete(struct api_context *context, const struct request *request,
                       struct reply *reply) {
    struct error error;
    int64_t id = 0;
    if (check_link(context, request, &id, &error) != STATUS_OK ||
        sweep_links_withdraw(context->options.links, id, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    (void)grants_end_revoked(context);
    reply->http_status = 204;
}
