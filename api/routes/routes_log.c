/* GET /runs/{id}/log: what happened to a run, as lines for people. Layer: api. */
#include <stdio.h>
#include <stdlib.h>

#include "api/query/arguments.h"
#include "api/routes/routes.h"
#include "core/base/cleanup.h"
#include "core/base/time_text.h"
#include "daemon/compare/epoch_view.h"
#include "daemon/store/query/event_list.h"

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
    FILE *out = open_memstream(&text, &size);
    if (!out) {
        return NULL;
    }
    put_events(out, list);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
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
