/* Layer: api. */
#include "api/view/event_view.h"

#include <stdio.h>

#include "api/view/forecast.h"
#include "api/view/run_view.h"
#include "core/base/time_text.h"
#include "daemon/compare/epoch_view.h"

bool event_is_told(const struct event_row *event) {
    return event->type != EVENT_EPOCH || event->row.report.epoch > 0;
}

char *event_json(const struct event_row *event) {
    char at[TIME_TEXT_SIZE];
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_id(&writer, "run", event->run_id);
    json_write_string(&writer, "at", time_format(event->at_ms, at));
    switch (event->type) {
    case EVENT_EPOCH:
        epoch_write_members(&writer, &event->row);
        break;
    case EVENT_STATE:
        json_write_string(&writer, "state", run_state_name(event->state));
        json_write_string(&writer, "reason", event->reason[0] ? event->reason : NULL);
        json_write_int(&writer, "attempt", event->attempt);
        break;
    case EVENT_CHECKPOINT:
        json_write_string(&writer, "kind", checkpoint_kind_name(event->kind));
        json_write_int(&writer, "epochs_done", event->epoch);
        json_write_int(&writer, "step", event->step);
        break;
    case EVENT_EDIT:
        json_write_string(&writer, "name", event->name[0] ? event->name : NULL);
        json_write_int(&writer, "priority", event->priority);
        json_write_raw(&writer, "labels", event->labels_json);
        break;
    }
    json_write_end(&writer, '}');
    return json_write_take(&writer);
}

char *event_step_json(const struct progress *progress) {
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_id(&writer, "run", progress->run_id);
    progress_write_members(&writer, progress);
    json_write_end(&writer, '}');
    return json_write_take(&writer);
}

/* The progress of the run, NULL when it is not running. */
static const struct progress *find_progress(const struct api_context *context,
                                            const struct run_row *row, struct progress *progress) {
    bool running = row->state == RUN_RUNNING &&
                   progress_board_find(context->options.progress, row->id, progress);
    return running ? progress : NULL;
}

char *event_snapshot_json(const struct api_context *context, const struct watch *watch,
                          const struct watch_snapshot *snapshot, const char *prefix) {
    struct json_writer writer = {.link_prefix = prefix};
    struct progress progress;
    if (watch->kind == WATCH_RUN) {
        struct forecast forecast = {.context = context};
        forecast_write_run(&writer, &forecast, &snapshot->runs.rows[0], RUN_MEMBERS_ALL);
        return json_write_take(&writer);
    }
    int64_t n_runs = 0;
    json_write_object(&writer, NULL);
    json_write_id(&writer, "sweep", watch->id);
    json_write_string(&writer, "name", snapshot->name[0] ? snapshot->name : NULL);
    json_write_object(&writer, "by_state");
    for (int state = 0; state < RUN_STATE_COUNT; state++) {
        n_runs += snapshot->counts[state];
        json_write_int(&writer, run_state_name((enum run_state)state), snapshot->counts[state]);
    }
    json_write_end(&writer, '}');
    json_write_int(&writer, "runs", n_runs);
    json_write_array(&writer, "items");
    for (size_t i = 0; i < snapshot->runs.n; i++) {
        const struct run_row *row = &snapshot->runs.rows[i];
        run_write_short(&writer, NULL, row, find_progress(context, row, &progress));
    }
    json_write_end(&writer, ']');
    json_write_bool(&writer, "more", snapshot->runs.more);
    json_write_end(&writer, '}');
    return json_write_take(&writer);
}

char *event_deleted_json(const struct watch *watch) {
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_id(&writer, watch->kind == WATCH_SWEEP ? "sweep" : "run", watch->id);
    json_write_bool(&writer, "deleted", true);
    json_write_end(&writer, '}');
    return json_write_take(&writer);
}

bool event_may_end_sweep(enum run_state state) {
    return run_state_is_final(state) || state == RUN_PAUSED;
}
