/* GET /token: who asks, and what the token allows. Layer: api. */
#include "api/owners/routes_owners.h"
#include "core/base/time_text.h"
#include "daemon/spec/json_write.h"

void route_token(struct api_context *context, const struct request *request, struct reply *reply) {
    (void)context;
    char time[TIME_TEXT_SIZE];
    int64_t expires_ms = request->grant.expires_ms;
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    if (request->owner[0]) {
        json_write_string(&writer, "owner", request->owner);
    } else {
        json_write_null(&writer, "owner");
    }
    json_write_string(&writer, "scope", scope_name(request->scope));
    if (expires_ms > 0) {
        json_write_string(&writer, "expires_at", time_format(expires_ms, time));
    } else {
        json_write_null(&writer, "expires_at");
    }
    json_write_end(&writer, '}');
    reply_json(reply, request, 200, &writer);
}
