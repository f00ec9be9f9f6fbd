/* Event streams: of a run, of a sweep, of everything; and what happened to a run, as lines for
 * people. Layer: api. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/query/arguments.h"
#include "api/routes/routes.h"
#include "core/base/cleanup.h"
#include "core/base/text_stream.h"
#include "core/base/time_text.h"
#include "daemon/compare/epoch_view.h"
#include "daemon/store/query/event_list.h"

/* ---- streams ---- */

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

/* ---- GET /runs/{id}/log ---- */

enum { LINES_DEFAULT = 1000, LINES_MOST = 5000 };

static void put_epoch(FILE *out, const struct epoch_row *row) {
    (void)fprintf(out, "epoch %d", row->report.epoch);
    if (row->report.epoch > 0) {
        (void)fprintf(out, ": training loss %.4f, validation error %.4f (%d of %d), %.1f s",
                      row->report.train_loss,
                      error_ratio(row->report.val_wrong, row->report.val_total),
                      row->report.val_wrong, row->report.val_total, row->report.seconds);
    }
}

static void put_event(FILE *out, const struct event_row *event) {
    char time[TIME_TEXT_SIZE];
    (void)fprintf(out, "%s ", time_format(event->at_ms, time));
    switch (event->type) {
    case EVENT_STATE:
        (void)fprintf(out, "%s, attempt %d%s%s", run_state_name(event->state), event->attempt,
                      event->reason[0] ? ": " : "", event->reason);
        break;
    case EVENT_EPOCH:
        put_epoch(out, &event->row);
        break;
    case EVENT_CHECKPOINT:
        (void)fprintf(out, "checkpoint %s: %d epoch%s and %d step%s",
                      checkpoint_kind_name(event->kind), event->epoch, event->epoch == 1 ? "" : "s",
                      event->step, event->step == 1 ? "" : "s");
        break;
    case EVENT_EDIT:
        (void)fprintf(out, "changed: priority %d, name \"%s\", labels %s", event->priority,
                      event->name, event->labels_json);
        break;
    }
    (void)fputc('\n', out);
}

static void put_events(FILE *out, const struct event_list *list) {
    if (list->more) {
        (void)fputs("(the newest lines; limit=N shows more)\n", out);
    } else if (list->expired) {
        (void)fputs("(what was before is no longer kept)\n", out);
    }
    for (size_t i = 0; i < list->n; i++) {
        put_event(out, &list->rows[i]);
    }
}

/* NULL: no memory. */
static char *write_log(const struct event_list *list) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = text_stream_open(&text, &size);
    if (!out) {
        return NULL;
    }
    put_events(out, list);
    return text_stream_close(out, &text);
}

void route_run_log(struct api_context *context, const struct request *request,
                   struct reply *reply) {
    CLEANUP(run_row_clear) struct run_row run = {0};
    CLEANUP(event_list_clear) struct event_list list = {0};
    int64_t limit = LINES_DEFAULT;
    struct error error;
    if (!arguments_read_limit(request, reply, LINES_MOST, &limit) ||
        !route_find_run(context, request, reply, &run)) {
        return;
    }
    if (event_table_latest(context->options.store, run.id, (int)limit, &list, &error) !=
        STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    reply_text(reply, request, 200, CONTENT_TEXT, write_log(&list));
    reply_tag(reply, request);
}
