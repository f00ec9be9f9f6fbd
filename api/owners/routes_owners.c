/* GET /owners: what each has in the queue, and what it used. Layer: api. */
#include "api/owners/routes_owners.h"

#include <stdio.h>
#include <string.h>

#include "api/query/arguments.h"
#include "api/view/owner_view.h"
#include "core/base/cleanup.h"

/* The cursor is the last owner's name behind a dot: the first one may have none. */
void route_owner_list(struct api_context *context, const struct request *request,
                      struct reply *reply) {
    CLEANUP(owner_list_clear) struct owner_list list = {.n = 0};
    struct error error;
    int64_t limit = LIST_LIMIT_DEFAULT;
    const char *cursor = url_argument(&request->url, "cursor");
    if (!arguments_read_limit(request, reply, LIST_LIMIT_MOST, &limit)) {
        return;
    }
    if (cursor && (cursor[0] != '.' || strlen(cursor) > RUN_OWNER_SIZE)) {
        reply_bad_argument(reply, request, "cursor", "cursor must be a next_cursor of an answer.");
        return;
    }
    if (owner_list_read(context->options.store, cursor ? cursor + 1 : NULL, (int)limit,
                        clock_unix_ms(context->options.clock), &list, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_array(&writer, "items");
    for (size_t i = 0; i < list.n; i++) {
        owner_write(&writer, context, &list.rows[i]);
    }
    char next[RUN_OWNER_SIZE + 1] = "";
    if (list.more) {
        (void)snprintf(next, sizeof(next), ".%s", list.rows[list.n - 1].name);
    }
    reply_page(reply, request, &writer, list.more ? next : NULL);
}
