/* GET /audit: who did what. Layer: api. */
#include <stdio.h>

#include "api/owners/routes_owners.h"
#include "api/query/arguments.h"
#include "core/base/cleanup.h"
#include "core/base/time_text.h"
#include "daemon/store/table/audit_table.h"

static void write_text(struct json_writer *writer, const char *key, const char *text) {
    json_write_string(writer, key, text[0] ? text : NULL);
}

static void write_json(struct json_writer *writer, const char *key, const char *json) {
    if (json[0]) {
        json_write_raw(writer, key, json);
    } else {
        json_write_null(writer, key);
    }
}

static void write_row(struct json_writer *writer, const struct audit_row *row) {
    char time[TIME_TEXT_SIZE];
    json_write_object(writer, NULL);
    json_write_id(writer, "id", row->id);
    json_write_string(writer, "at", time_format(row->at_ms, time));
    write_text(writer, "owner", row->owner);
    write_text(writer, "peer", row->peer);
    write_text(writer, "request_id", row->request_id);
    json_write_string(writer, "request", row->request);
    json_write_string(writer, "subject", row->subject);
    json_write_string(writer, "subject_id", row->subject_id);
    write_json(writer, "before", row->before);
    write_json(writer, "after", row->after);
    json_write_end(writer, '}');
}

void route_audit(struct api_context *context, const struct request *request, struct reply *reply) {
    CLEANUP(audit_list_clear) struct audit_list list = {.n = 0};
    struct error error;
    int64_t limit = 0;
    int64_t below = 0;
    if (!arguments_read_page(request, reply, &limit, &below)) {
        return;
    }
    if (audit_table_list(context->options.store, below, url_argument(&request->url, "owner"),
                         url_argument(&request->url, "subject"),
                         url_argument(&request->url, "subject_id"), (int)limit, &list,
                         &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_array(&writer, "items");
    for (size_t i = 0; i < list.n; i++) {
        write_row(&writer, &list.rows[i]);
    }
    char next[ID_CURSOR_SIZE];
    reply_page(reply, request, &writer,
               list.more ? arguments_cursor(list.rows[list.n - 1].id, next) : NULL);
}
