/* Layer: api. */
#include "api/stream/feed.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/stream/tail.h"
#include "api/view/event_view.h"
#include "core/base/cleanup.h"
#include "core/base/text_stream.h"

enum { EVENTS_A_TIME = 100 };
static const double step_interval_s = 1.0;

void feed_init(struct feed *feed, const struct watch *watch, enum feed_format format, int64_t since,
               double now_s) {
    *feed = (struct feed){.watch = *watch,
                          .format = format,
                          .last_id = since < 0 ? 0 : since,
                          .position = since < 0 ? 0 : since,
                          .snapshot_due = since < 0,
                          .check_end = watch->kind != WATCH_ALL,
                          .more = true,
                          .step_s = now_s,
                          .last_text_s = now_s};
}

/* One event, with the id that a client comes back with; 0: without one. */
static void put_line(const struct feed *feed, FILE *out, const char *type, int64_t id,
                     const char *json) {
    if (feed->format == FEED_SSE) {
        if (id > 0) {
            (void)fprintf(out, "id: %" PRId64 "\n", id);
        }
        (void)fprintf(out, "event: %s\ndata: %s\n\n", type, json);
        return;
    }
    (void)fprintf(out, "{\"event\":\"%s\",\"id\":", type);
    if (id > 0) {
        (void)fprintf(out, "\"%" PRId64 "\",", id);
    } else {
        (void)fputs("null,", out);
    }
    (void)fprintf(out, "\"data\":%s}\n", json);
}

/* Takes over json; NULL: memory ran out. */
static enum status put_owned(const struct feed *feed, FILE *out, const char *type, int64_t id,
                             char *json, struct error *error) {
    if (!json) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for an event");
    }
    put_line(feed, out, type, id, json);
    free(json);
    return STATUS_OK;
}

/* type: "snapshot" or "resync". */
static enum status put_snapshot(struct feed *feed, const struct api_context *context,
                                const char *type, FILE *out, struct error *error) {
    CLEANUP(watch_snapshot_clear) struct watch_snapshot snapshot = {0};
    enum status status = watch_table_snapshot(context->options.store, &feed->watch, FEED_MOST_RUNS,
                                              &snapshot, error);
    feed->snapshot_due = false;
    feed->check_end = feed->watch.kind != WATCH_ALL;
    if (status == STATUS_NOT_FOUND) {
        return STATUS_OK; /* deleted: put_end says so */
    }
    TRY(status);
    feed->last_id = snapshot.event_id;
    feed->position = snapshot.event_id;
    return put_owned(feed, out, type, feed->last_id,
                     event_snapshot_json(context, &feed->watch, &snapshot, feed->prefix), error);
}

/* Events */

struct sink {
    struct feed *feed;
    FILE *out;
    int64_t n;
};

static bool put_entry(void *user, const struct tail_entry *entry) {
    struct sink *sink = user;
    put_line(sink->feed, sink->out, entry->type, entry->id, entry->json);
    sink->feed->last_id = entry->id;
    sink->feed->check_end |= entry->final && sink->feed->watch.kind != WATCH_ALL;
    return ++sink->n < EVENTS_A_TIME && ftell(sink->out) < FEED_MOST_BYTES;
}

static bool count_entry(void *user, const struct tail_entry *entry) {
    (void)entry;
    ++*(int64_t *)user;
    return true;
}

static enum status put_stored(struct feed *feed, const struct api_context *context, FILE *out,
                              bool *ret_more, struct error *error) {
    CLEANUP(event_list_clear) struct event_list list = {0};
    TRY(event_table_follow(context->options.store, &feed->watch, feed->position, EVENTS_A_TIME,
                           &list, error));
    if (list.expired) {
        /* Some of what the client asks for is no longer kept. */
        *ret_more = false;
        feed->position = list.upto_id;
        return put_snapshot(feed, context, "resync", out, error);
    }
    for (size_t i = 0; i < list.n; i++) {
        const struct event_row *event = &list.rows[i];
        if (event_is_told(event)) {
            TRY(put_owned(feed, out, event_type_name(event->type), event->id, event_json(event),
                          error));
            feed->last_id = event->id;
        }
        feed->check_end |= event->type == EVENT_STATE && event_may_end_sweep(event->state) &&
                           feed->watch.kind != WATCH_ALL;
    }
    feed->position = list.upto_id;
    *ret_more = list.more;
    return STATUS_OK;
}

/* Some of the events since the last time: all of them, unless *ret_more. */
static enum status put_events(struct feed *feed, const struct api_context *context, FILE *out,
                              bool *ret_more, struct error *error) {
    struct sink sink = {.feed = feed, .out = out};
    *ret_more = true;
    while (*ret_more && ftell(out) < FEED_MOST_BYTES && sink.n == 0) {
        if (context->tail && tail_read(context->tail, &feed->watch, feed->position, put_entry,
                                       &sink, &feed->position)) {
            *ret_more = sink.n == EVENTS_A_TIME || ftell(out) >= FEED_MOST_BYTES;
            return STATUS_OK;
        }
        int64_t before = feed->last_id;
        TRY(put_stored(feed, context, out, ret_more, error));
        sink.n += feed->last_id != before;
    }
    return STATUS_OK;
}

/* Whether more is waiting than may. What the client asked for does not count. */
static enum status check_backlog(const struct feed *feed, const struct api_context *context,
                                 bool *ret_too_much, struct error *error) {
    *ret_too_much = false;
    if (feed->position < feed->asked_id) {
        return STATUS_OK;
    }
    int most = context->options.stream_backlog;
    most = most > 0 ? most : FEED_MOST_BEHIND;
    int64_t n = 0;
    int64_t upto = 0;
    if (!context->tail ||
        !tail_read(context->tail, &feed->watch, feed->position, count_entry, &n, &upto)) {
        TRY(event_table_count(context->options.store, &feed->watch, feed->position, most + 1, &n,
                              error));
    }
    *ret_too_much = n > most;
    return STATUS_OK;
}

/* Steps */

static bool is_watched(const struct feed *feed, const struct progress *progress) {
    switch (feed->watch.kind) {
    case WATCH_RUN:
        return progress->run_id == feed->watch.id;
    case WATCH_SWEEP:
        return progress->sweep_id == feed->watch.id;
    case WATCH_ALL:
        break;
    }
    return true;
}

static bool has_moved(const struct feed *feed, const struct progress *progress) {
    for (int i = 0; i < feed->n_running; i++) {
        if (feed->running[i].run_id == progress->run_id) {
            return feed->running[i].n_reports != progress->n_reports;
        }
    }
    return progress->n_reports > 0;
}

/* Where the running runs are, as far as they have moved since the last time, a second ago. */
static enum status put_steps(struct feed *feed, const struct api_context *context, double now_s,
                             FILE *out, struct error *error) {
    struct progress running[FEED_MOST_RUNNING];
    size_t n = progress_board_all(context->options.progress, running, FEED_MOST_RUNNING);
    size_t n_watched = 0;
    bool moved = false;
    for (size_t i = 0; i < n; i++) {
        if (is_watched(feed, &running[i])) {
            moved |= has_moved(feed, &running[i]);
            running[n_watched++] = running[i];
        }
    }
    if (!moved) {
        return STATUS_OK;
    }
    if (now_s < feed->step_s) {
        feed->wake_s = fmin(feed->wake_s, feed->step_s);
        return STATUS_OK;
    }
    feed->step_s = now_s + step_interval_s;
    for (size_t i = 0; i < n_watched; i++) {
        if (has_moved(feed, &running[i])) {
            TRY(put_owned(feed, out, "step", 0, event_step_json(&running[i]), error));
        }
    }
    feed->n_running = (int)n_watched;
    for (size_t i = 0; i < n_watched; i++) {
        feed->running[i] = (struct feed_position){running[i].run_id, running[i].n_reports};
    }
    return STATUS_OK;
}

/* The end */

static enum status put_final(struct feed *feed, const struct api_context *context, bool gone,
                             FILE *out, struct error *error) {
    CLEANUP(watch_snapshot_clear) struct watch_snapshot snapshot = {0};
    if (!gone) {
        enum status status = watch_table_snapshot(context->options.store, &feed->watch,
                                                  FEED_MOST_RUNS, &snapshot, error);
        gone = status == STATUS_NOT_FOUND;
        if (!gone) {
            TRY(status);
        }
    }
    feed->ended = true;
    return put_owned(feed, out, "end", feed->last_id,
                     gone ? event_deleted_json(&feed->watch)
                          : event_snapshot_json(context, &feed->watch, &snapshot, feed->prefix),
                     error);
}

/* `end`, if nothing more can come. The state is read before the store is asked for events once
 * more: a final state and no event behind it means that the stream is complete. */
static enum status put_end(struct feed *feed, const struct api_context *context, FILE *out,
                           struct error *error) {
    enum watch_state state;
    TRY(watch_table_state(context->options.store, &feed->watch, &state, error));
    int64_t before = feed->last_id;
    bool more = state == WATCH_FINAL;
    while (more && feed->last_id == before) {
        TRY(put_stored(feed, context, out, &more, error));
    }
    if (feed->last_id != before) {
        return STATUS_OK; /* there was more to tell: the next call looks again */
    }
    feed->check_end = false;
    return state == WATCH_OPEN ? STATUS_OK
                               : put_final(feed, context, state == WATCH_GONE, out, error);
}

static enum status greet(struct feed *feed, const struct api_context *context, FILE *out,
                         struct error *error) {
    feed->greeted = true;
    if (feed->format == FEED_SSE) {
        /* A client that is cut off comes back after this many milliseconds. */
        (void)fputs("retry: 2000\n\n", out);
    }
    TRY(event_table_newest(context->options.store, &feed->asked_id, error));
    /* An id that was never given out (another database) would wait for ever. */
    feed->snapshot_due |= feed->position > feed->asked_id;
    return STATUS_OK;
}

static enum status put_all(struct feed *feed, const struct api_context *context, double now_s,
                           FILE *out, struct error *error) {
    bool heartbeat = now_s >= feed->last_text_s + FEED_HEARTBEAT_S;
    if (!feed->greeted) {
        TRY(greet(feed, context, out, error));
    }
    bool too_much = false;
    if (!feed->snapshot_due) {
        TRY(check_backlog(feed, context, &too_much, error));
    }
    if (feed->snapshot_due || too_much) {
        TRY(put_snapshot(feed, context, too_much ? "resync" : "snapshot", out, error));
    }
    TRY(put_events(feed, context, out, &feed->more, error));
    if (feed->more) {
        return STATUS_OK; /* the client takes this first */
    }
    /* A deletion wakes the stream at once; a wake-up that was lost is made up for here. */
    feed->check_end |= heartbeat && feed->watch.kind != WATCH_ALL;
    if (feed->check_end) {
        TRY(put_end(feed, context, out, error));
        feed->more = feed->check_end;
    }
    if (!feed->ended) {
        TRY(put_steps(feed, context, now_s, out, error));
    }
    if (heartbeat && ftell(out) == 0) {
        (void)fputs(feed->format == FEED_SSE ? ": still here\n\n" : "{\"event\":\"heartbeat\"}\n",
                    out);
    }
    return STATUS_OK;
}

enum status feed_next(struct feed *feed, const struct api_context *context, char **ret_text,
                      size_t *ret_n_bytes, struct error *error) {
    double now_s = clock_monotonic_s(context->options.clock);
    CLEANUP(free_pointer) char *text = NULL;
    size_t n_bytes = 0;
    FILE *out = text_stream_open(&text, &n_bytes);
    if (!out) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for events");
    }
    feed->wake_s = (double)INFINITY;
    enum status status = put_all(feed, context, now_s, out, error);
    if (!text_stream_close(out, &text)) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for events");
    }
    TRY(status);
    if (n_bytes > 0) {
        feed->last_text_s = now_s;
    }
    feed->wake_s = fmin(feed->wake_s, feed->last_text_s + FEED_HEARTBEAT_S);
    *ret_text = text;
    text = NULL;
    *ret_n_bytes = n_bytes;
    return STATUS_OK;
}
