/* /webhooks. Layer: api. */
#include "api/notify/routes_webhooks.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/query/arguments.h"
#include "api/query/body.h"
#include "core/base/cleanup.h"
#include "core/base/time_text.h"
#include "daemon/notify/post.h"
#include "daemon/notify/sender.h"
#include "daemon/spec/field_errors.h"
#include "daemon/store/table/webhook_table.h"

static const char *const event_names[] = {"run_ended", "sweep_ended", "target_reached", "stalled",
                                          "disk_low"};
enum { N_EVENTS = sizeof(event_names) / sizeof(event_names[0]) };

/* ---- out ---- */

static void write_events(struct json_writer *writer, const char *events) {
    json_write_array(writer, "events");
    for (int i = 0; i < N_EVENTS; i++) {
        char word[40];
        (void)snprintf(word, sizeof(word), ",%s,", event_names[i]);
        if (strstr(events, word)) {
            json_write_string(writer, NULL, event_names[i]);
        }
    }
    json_write_end(writer, ']');
}

/* The URL of a chat is a secret as well: only admins see it. The webhook's own is told once. */
static void write_webhook(struct json_writer *writer, const struct request *request,
                          const struct webhook_row *row, bool with_secret) {
    char time[TIME_TEXT_SIZE];
    json_write_object(writer, NULL);
    json_write_id(writer, "id", row->id);
    json_write_string(writer, "name", row->name);
    json_write_string(writer, "url", request->scope >= SCOPE_ADMIN ? row->url : NULL);
    write_events(writer, row->events);
    json_write_number(writer, "target", row->target);
    json_write_string(writer, "template", webhook_template_name(row->template));
    json_write_string(writer, "owner", row->owner[0] ? row->owner : NULL);
    json_write_string(writer, "created_at", time_format(row->created_ms, time));
    json_write_int(writer, "pending", row->n_pending);
    json_write_int(writer, "dead", row->n_dead);
    if (with_secret) {
        json_write_string(writer, "secret", row->secret);
    }
    json_write_end(writer, '}');
}

/* ---- in ---- */

static void read_events(const cJSON *item, struct webhook_row *row, struct field_errors *errors) {
    size_t used = 0;
    const cJSON *event = NULL;
    bool good = cJSON_IsArray(item) && cJSON_GetArraySize(item) <= N_EVENTS;
    for (event = good ? item->child : NULL; event; event = event->next) {
        int i = 0;
        while (i < N_EVENTS &&
               !(cJSON_IsString(event) && strcmp(event->valuestring, event_names[i]) == 0)) {
            i++;
        }
        good = good && i < N_EVENTS;
        if (i < N_EVENTS) {
            used += (size_t)snprintf(row->events + used, sizeof(row->events) - used, "%s%s,",
                                     used ? "" : ",", event_names[i]);
        }
    }
    if (!good) {
        field_errors_add(errors, "events",
                         "events must be a list of run_ended, sweep_ended, target_reached, stalled "
                         "and disk_low.");
    }
}

static void read_template(const cJSON *item, struct webhook_row *row, struct field_errors *errors) {
    for (int i = 0; i < WEBHOOK_TEMPLATES; i++) {
        if (!item ||
            (cJSON_IsString(item) &&
             strcmp(item->valuestring, webhook_template_name((enum webhook_template)i)) == 0)) {
            row->template = (enum webhook_template)i;
            return;
        }
    }
    field_errors_add(errors, "template", "template must be one of json, slack, mattermost, ntfy.");
}

static void read_target(const cJSON *item, struct webhook_row *row, struct field_errors *errors) {
    row->target = cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
    if (item && !(row->target > 0 && row->target < 1)) {
        field_errors_add(errors, "target",
                         "target must be a validation error between 0 and 1, such as 0.06.");
    }
    if (!item && strstr(row->events, ",target_reached,")) {
        field_errors_add(errors, "target",
                         "target_reached needs a target, a validation error such as 0.06.");
    }
}

static void read_url(const cJSON *item, struct webhook_row *row, struct field_errors *errors) {
    struct error error = {.message = "url must be given"};
    if (cJSON_IsString(item) && post_check_url(item->valuestring, &error) == STATUS_OK) {
        (void)snprintf(row->url, sizeof(row->url), "%s", item->valuestring);
        return;
    }
    field_errors_add(errors, "url", "%.200s.", error.message);
}

static bool read_webhook(const struct request *request, struct reply *reply,
                         struct webhook_row *row) {
    CLEANUP(body_delete) cJSON *document = body_read(request, false, reply);
    struct field_errors errors = {.n = 0};
    if (!document) {
        return false;
    }
    body_check_names(document, "name, url, events, template, target", &errors);
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(document, "name");
    if (cJSON_IsString(name) && token_name_is_good(name->valuestring)) {
        (void)snprintf(row->name, sizeof(row->name), "%s", name->valuestring);
    } else {
        field_errors_add(&errors, "name",
                         "name must have 1 to %d letters, digits, '.', '_' and '-'.",
                         TOKEN_NAME_SIZE - 1);
    }
    read_url(cJSON_GetObjectItemCaseSensitive(document, "url"), row, &errors);
    read_events(cJSON_GetObjectItemCaseSensitive(document, "events"), row, &errors);
    read_template(cJSON_GetObjectItemCaseSensitive(document, "template"), row, &errors);
    read_target(cJSON_GetObjectItemCaseSensitive(document, "target"), row, &errors);
    if (errors.n > 0) {
        reply_field_errors(reply, request, STATUS_INVALID, "webhook", &errors);
    }
    return errors.n == 0;
}

/* ---- the routes ---- */

void route_webhook_create(struct api_context *context, const struct request *request,
                          struct reply *reply) {
    struct webhook_row row = {.id = 0};
    struct error error;
    char sha256[SHA256_HEX_SIZE];
    if (request->idempotency) {
        reply_problem(
            reply, request, STATUS_INVALID,
            "A webhook's secret is told once, so this cannot be answered again: leave out "
            "the Idempotency-Key.");
        return;
    }
    if (!read_webhook(request, reply, &row)) {
        return;
    }
    token_make("whsec_", row.secret, sha256);
    (void)snprintf(row.owner, sizeof(row.owner), "%s", request->owner);
    row.created_ms = clock_unix_ms(context->options.clock);
    if (webhook_table_add(context->options.store, &row, &row.id, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    struct json_writer writer = {0};
    write_webhook(&writer, request, &row, true);
    reply_json(reply, request, 201, &writer);
    (void)snprintf(reply->location, sizeof(reply->location), "/api/v1/webhooks/%" PRId64, row.id);
}

void route_webhook_list(struct api_context *context, const struct request *request,
                        struct reply *reply) {
    CLEANUP(webhook_list_clear) struct webhook_list list = {.n = 0};
    struct error error;
    if (webhook_table_list(context->options.store, &list, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_array(&writer, "items");
    for (size_t i = 0; i < list.n; i++) {
        write_webhook(&writer, request, &list.rows[i], false);
    }
    reply_page(reply, request, &writer, NULL);
}

void route_webhook_delete(struct api_context *context, const struct request *request,
                          struct reply *reply) {
    struct error error;
    int64_t id = 0;
    if (request_read_id(request, "webhook", &id, &error) != STATUS_OK ||
        webhook_table_delete(context->options.store, id, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    reply->http_status = 204;
}

void route_webhook_test(struct api_context *context, const struct request *request,
                        struct reply *reply) {
    struct error error;
    int64_t id = 0;
    if (request_read_id(request, "webhook", &id, &error) != STATUS_OK ||
        delivery_table_add(context->options.store, id, "test", "", "{}",
                           clock_unix_ms(context->options.clock), &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    sender_poke(context->options.sender);
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_id(&writer, "webhook", id);
    json_write_string(&writer, "event", "test");
    json_write_end(&writer, '}');
    reply_json(reply, request, 202, &writer);
}

static void write_delivery(struct json_writer *writer, const struct delivery_row *row) {
    char time[TIME_TEXT_SIZE];
    bool pending = strcmp(row->state, "pending") == 0;
    json_write_object(writer, NULL);
    json_write_id(writer, "id", row->id);
    json_write_string(writer, "event", row->event);
    json_write_raw(writer, "facts", row->facts);
    json_write_string(writer, "created_at", time_format(row->created_ms, time));
    json_write_string(writer, "state", row->state);
    json_write_int(writer, "attempts", row->attempts);
    json_write_string(writer, "next_try_at", pending ? time_format(row->next_ms, time) : NULL);
    json_write_string(writer, "ended_at", pending ? NULL : time_format(row->next_ms, time));
    if (row->http_status > 0) {
        json_write_int(writer, "http_status", row->http_status);
    } else {
        json_write_null(writer, "http_status");
    }
    json_write_string(writer, "error", row->error[0] ? row->error : NULL);
    json_write_end(writer, '}');
}

void route_webhook_deliveries(struct api_context *context, const struct request *request,
                              struct reply *reply) {
    CLEANUP(delivery_list_clear) struct delivery_list list = {.n = 0};
    struct webhook_row webhook;
    struct error error;
    int64_t id = 0;
    int64_t limit = 0;
    int64_t below = 0;
    if (!arguments_read_page(request, reply, &limit, &below)) {
        return;
    }
    if (request_read_id(request, "webhook", &id, &error) != STATUS_OK ||
        webhook_table_get(context->options.store, id, &webhook, &error) != STATUS_OK ||
        delivery_table_list(context->options.store, id, below, (int)limit, &list, &error) !=
            STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_array(&writer, "items");
    for (size_t i = 0; i < list.n; i++) {
        write_delivery(&writer, &list.rows[i]);
    }
    char next[ID_CURSOR_SIZE];
    reply_page(reply, request, &writer,
               list.more ? arguments_cursor(list.rows[list.n - 1].id, next) : NULL);
}
