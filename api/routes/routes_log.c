/* GET /runs/{id}/log: what happened to a run, as lines for people. Layer: api. */
#include <stdio.h>
#include <stdlib.h>

#include "api/routes/routes.h"
#include "api/view/run_view.h"
#include "core/base/cleanup.h"
#include "core/base/time_text.h"
#include "daemon/compare/epoch_view.h"
#include "daemon/store/query/event_list.h"

enum { EVENTS_AT_ONCE = 500 };

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
        (void)fprintf(out, "checkpoint %s: %d epochs and %d steps",
                      checkpoint_kind_name(event->kind), event->epoch, event->step);
        break;
    case EVENT_EDIT:
        (void)fprintf(out, "changed: priority %d, name \"%s\", labels %s", event->priority,
                      event->name, event->labels_json);
        break;
    }
    (void)fputc('\n', out);
}

static enum status put_events(FILE *out, struct store *store, int64_t run_id, struct error *error) {
    int64_t after = 0;
    bool more = true;
    while (more) {
        CLEANUP(event_list_clear) struct event_list list = {0};
        TRY(event_table_list(store, run_id, after, EVENTS_AT_ONCE, &list, error));
        for (size_t i = 0; i < list.n; i++) {
            put_event(out, &list.rows[i]);
        }
        more = list.n == EVENTS_AT_ONCE;
        after = list.n > 0 ? list.rows[list.n - 1].id : after;
    }
    return STATUS_OK;
}

void route_run_log(struct api_context *context, const struct request *request,
                   struct reply *reply) {
    CLEANUP(run_row_clear) struct run_row run = {0};
    if (!route_find_run(context, request, reply, &run)) {
        return;
    }
    char *text = NULL;
    size_t size = 0;
    struct error error = {.code = STATUS_NO_MEMORY, .message = "no memory for the log of a run"};
    FILE *out = open_memstream(&text, &size);
    enum status status =
        out ? put_events(out, context->options.store, run.id, &error) : STATUS_NO_MEMORY;
    if (out && fclose(out) != 0) {
        status = STATUS_NO_MEMORY;
    }
    if (status != STATUS_OK) {
        free(text);
        reply_error(reply, request, &error);
        return;
    }
    reply_text(reply, request, 200, CONTENT_TEXT, text);
    reply_tag(reply, request);
}
