/* Event streams: of a run, of a sweep, of everything. Layer: api. */
#include <string.h>

#include "api/routes/routes.h"

/* ?format= is for people, Accept is what programs send. */
static bool read_format(const struct request *request, struct reply *reply, bool *ret_ndjson) {
    char format[8];
    struct error error;
    if (request_format(request, "sse, ndjson", format, &error) != STATUS_OK) {
        reply_bad_argument(reply, request, "format", "%s.", error.message);
        return false;
    }
    *ret_ndjson = strcmp(format, "ndjson") == 0;
    return true;
}

/* ?since= is for people, Last-Event-ID is what EventSource sends when it comes back: newer. */
static bool read_since(const struct request *request, struct reply *reply, int64_t *ret_since) {
    const char *since = url_argument(&request->url, "since");
    const char *from = request->last_event_id[0] ? request->last_event_id : since;
    *ret_since = -1;
    if (from && !text_to_count(from, INT64_MAX, ret_since)) {
        reply_bad_argument(reply, request, request->last_event_id[0] ? "Last-Event-ID" : "since",
                           "It must be the id of an event, a whole number; 0 for all events.");
        return false;
    }
    return true;
}

static void reply_stream(struct api_context *context, const struct request *request,
                         struct reply *reply, enum watch_kind kind) {
    struct reply_stream stream = {.open = true, .watch = {.kind = kind}};
    if (!read_format(request, reply, &stream.ndjson) ||
        !read_since(request, reply, &stream.since)) {
        return;
    }
    enum watch_state state = WATCH_GONE;
    struct error error;
    if ((kind == WATCH_ALL || text_to_id(request->parameters[0], INT64_MAX, &stream.watch.id)) &&
        watch_table_state(context->options.store, &stream.watch, &state, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    if (state == WATCH_GONE) {
        reply_problem(reply, request, STATUS_NOT_FOUND, "There is no %s %s.",
                      kind == WATCH_SWEEP ? "sweep" : "run", request->parameters[0]);
        return;
    }
    memcpy(stream.prefix, request->prefix, sizeof(stream.prefix));
    reply->http_status = 200;
    reply->content_type = stream.ndjson ? CONTENT_NDJSON : CONTENT_EVENTS;
    reply->stream = stream;
}

void route_run_events(struct api_context *context, const struct request *request,
                      struct reply *reply) {
    reply_stream(context, request, reply, WATCH_RUN);
}

void route_sweep_events(struct api_context *context, const struct request *request,
                        struct reply *reply) {
    reply_stream(context, request, reply, WATCH_SWEEP);
}

void route_events(struct api_context *context, const struct request *request, struct reply *reply) {
    reply_stream(context, request, reply, WATCH_ALL);
}
