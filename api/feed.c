/* Layer: api. */
#include "api/feed.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/run_view.h"
#include "core/base/cleanup.h"
#include "daemon/store/checkpoint_table.h"
#include "daemon/store/event_table.h"

enum { EVENTS_A_TIME = 100 };
static const double step_interval_s = 1.0;

void feed_init(struct feed *feed, int64_t run_id, int64_t since, double now_s) {
    *feed = (struct feed){.run_id = run_id,
                          .last_id = since < 0 ? 0 : since,
                          .snapshot_due = since < 0,
                          .check_end = true,
                          .last_step_s = now_s - step_interval_s,
                          .last_text_s = now_s};
}

/* One event; takes over what the writer holds. id 0: without an id. */
static enum status put_event(FILE *out, const char *type, int64_t id, struct json_writer *writer,
                             struct error *error) {
    CLEANUP(free_pointer) char *json = json_write_take(writer);
    if (!json) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for an event");
    }
    if (id > 0) {
        (void)fprintf(out, "id: %" PRId64 "\n", id);
    }
    (void)fprintf(out, "event: %s\ndata: %s\n\n", type, json);
    return STATUS_OK;
}

static void begin_event(struct json_writer *writer, int64_t run_id, int64_t at_ms) {
    char text[TIME_TEXT_SIZE];
    json_write_object(writer, NULL);
    (void)snprintf(text, sizeof(text), "%" PRId64, run_id);
    json_write_string(writer, "run", text);
    if (at_ms > 0) {
        json_write_string(writer, "at", time_format(at_ms, text));
    }
}

static enum status put_run(FILE *out, const char *type, int64_t id,
                           const struct api_context *context, const struct run_row *row,
                           struct error *error) {
    struct progress progress;
    bool running = row->state == RUN_RUNNING &&
                   progress_board_find(context->options.progress, row->id, &progress);
    struct json_writer writer = {0};
    run_write(&writer, NULL, row, running ? &progress : NULL);
    return put_event(out, type, id, &writer, error);
}

static enum status put_snapshot(struct feed *feed, const struct api_context *context, FILE *out,
                                struct error *error) {
    struct store *store = context->options.store;
    CLEANUP(run_row_clear) struct run_row row = {0};
    TRY(event_table_last_id(store, feed->run_id, &feed->last_id, error));
    TRY(run_table_get(store, feed->run_id, &row, error));
    feed->snapshot_due = false;
    return put_run(out, "snapshot", feed->last_id, context, &row, error);
}

static enum status put_epoch(const struct event_row *event, const struct api_context *context,
                             FILE *out, struct error *error) {
    struct epoch_row epoch;
    enum status status =
        epoch_table_get(context->options.store, event->run_id, event->epoch, &epoch, error);
    if (status == STATUS_NOT_FOUND) {
        return STATUS_OK; /* the run was put back to its beginning meanwhile */
    }
    TRY(status);
    struct json_writer writer = {0};
    begin_event(&writer, event->run_id, event->at_ms);
    epoch_write_members(&writer, &epoch);
    json_write_end(&writer, '}');
    return put_event(out, "epoch", event->id, &writer, error);
}

static enum status put_stored(struct feed *feed, const struct event_row *event,
                              const struct api_context *context, FILE *out, struct error *error) {
    struct json_writer writer = {0};
    switch (event->type) {
    case EVENT_EPOCH:
        return put_epoch(event, context, out, error);
    case EVENT_STATE:
        feed->check_end |= run_state_is_final(event->state);
        begin_event(&writer, event->run_id, event->at_ms);
        json_write_string(&writer, "state", run_state_name(event->state));
        json_write_string(&writer, "reason", event->reason[0] ? event->reason : NULL);
        json_write_int(&writer, "attempt", event->attempt);
        break;
    case EVENT_CHECKPOINT:
        begin_event(&writer, event->run_id, event->at_ms);
        json_write_string(&writer, "kind", checkpoint_kind_name(event->kind));
        json_write_int(&writer, "epochs_done", event->epoch);
        json_write_int(&writer, "step", event->step);
        break;
    }
    json_write_end(&writer, '}');
    return put_event(out, event_type_name(event->type), event->id, &writer, error);
}

/* Everything stored since the last time. */
static enum status put_events(struct feed *feed, const struct api_context *context, FILE *out,
                              struct error *error) {
    CLEANUP(event_list_clear) struct event_list list = {0};
    TRY(event_table_list(context->options.store, feed->run_id, feed->last_id, EVENTS_A_TIME, &list,
                         error));
    for (size_t i = 0; i < list.n; i++) {
        TRY(put_stored(feed, &list.rows[i], context, out, error));
        feed->last_id = list.rows[i].id;
    }
    return STATUS_OK;
}

/* The position of the moment, if it moved and the last one is a second old. */
static enum status put_step(struct feed *feed, const struct api_context *context, double now_s,
                            FILE *out, struct error *error) {
    struct progress progress;
    if (!progress_board_find(context->options.progress, feed->run_id, &progress) ||
        progress.n_reports == feed->n_reports) {
        return STATUS_OK;
    }
    if (now_s < feed->last_step_s + step_interval_s) {
        feed->wake_s = fmin(feed->wake_s, feed->last_step_s + step_interval_s);
        return STATUS_OK;
    }
    feed->n_reports = progress.n_reports;
    feed->last_step_s = now_s;
    struct json_writer writer = {0};
    begin_event(&writer, feed->run_id, 0);
    progress_write_members(&writer, &progress);
    json_write_end(&writer, '}');
    return put_event(out, "step", 0, &writer, error);
}

/* `end`, if the run is final. The row is read before the events are looked for once more: a final
 * row and no event behind it means that the stream is complete. */
static enum status put_end(struct feed *feed, const struct api_context *context, FILE *out,
                           struct error *error) {
    CLEANUP(run_row_clear) struct run_row row = {0};
    TRY(run_table_get(context->options.store, feed->run_id, &row, error));
    int64_t before = feed->last_id;
    TRY(put_events(feed, context, out, error));
    if (feed->last_id != before) {
        return STATUS_OK;
    }
    feed->check_end = false;
    if (run_state_is_final(row.state)) {
        feed->ended = true;
        return put_run(out, "end", feed->last_id, context, &row, error);
    }
    return STATUS_OK;
}

static enum status put_all(struct feed *feed, const struct api_context *context, double now_s,
                           FILE *out, struct error *error) {
    if (!feed->greeted) {
        /* A client that is cut off comes back after this many milliseconds. */
        (void)fputs("retry: 2000\n\n", out);
        feed->greeted = true;
        if (!feed->snapshot_due && feed->last_id > 0) {
            /* An id that was never given out (another database) would wait for ever. */
            int64_t newest = 0;
            TRY(event_table_last_id(context->options.store, feed->run_id, &newest, error));
            feed->snapshot_due = feed->last_id > newest;
        }
    }
    if (feed->snapshot_due) {
        TRY(put_snapshot(feed, context, out, error));
    }
    TRY(put_events(feed, context, out, error));
    if (feed->check_end) {
        TRY(put_end(feed, context, out, error));
    }
    if (!feed->ended) {
        TRY(put_step(feed, context, now_s, out, error));
    }
    if (now_s >= feed->last_text_s + FEED_HEARTBEAT_S) {
        (void)fputs(": still here\n\n", out);
    }
    return STATUS_OK;
}

enum status feed_next(struct feed *feed, const struct api_context *context, char **ret_text,
                      size_t *ret_n_bytes, struct error *error) {
    double now_s = clock_monotonic_s(context->options.clock);
    CLEANUP(free_pointer) char *text = NULL;
    size_t n_bytes = 0;
    FILE *out = open_memstream(&text, &n_bytes);
    if (!out) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for events");
    }
    feed->wake_s = (double)INFINITY;
    enum status status = put_all(feed, context, now_s, out, error);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
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
