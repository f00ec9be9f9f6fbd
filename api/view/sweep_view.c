/* Layer: api. */
#include "api/view/sweep_view.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "core/base/time_text.h"

/* How long the queued and running runs still take, at the speed that the sweep's runs had so far;
 * NaN when that cannot be said. Runs that are held or paused take for ever. */
static double estimate_seconds(const struct sweep_progress *progress, int n_places) {
    int64_t active = progress->by_state[RUN_QUEUED] + progress->by_state[RUN_RUNNING];
    if (progress->by_state[RUN_HELD] + progress->by_state[RUN_PAUSED] - progress->n_ranked_out >
        0) {
        return (double)NAN;
    }
    if (active == 0) {
        return 0;
    }
    if (progress->work_done <= 0 || progress->train_seconds <= 0 || n_places < 1) {
        return (double)NAN;
    }
    double at_a_time = (double)(active < n_places ? active : n_places);
    return progress->work_left * progress->train_seconds / progress->work_done / at_a_time;
}

static void write_progress(struct json_writer *writer, const struct sweep_progress *progress,
                           int n_places) {
    json_write_object(writer, "progress");
    json_write_int(writer, "runs", progress->n_runs);
    json_write_object(writer, "by_state");
    for (int state = 0; state < RUN_STATE_COUNT; state++) {
        json_write_int(writer, run_state_name((enum run_state)state), progress->by_state[state]);
    }
    json_write_end(writer, '}');
    json_write_int(writer, "epochs_done", progress->epochs_done);
    json_write_int(writer, "epochs_total", progress->epochs_total);
    json_write_number(writer, "fraction",
                      progress->epochs_total > 0
                          ? (double)progress->epochs_done / (double)progress->epochs_total
                          : 0);
    json_write_number(writer, "eta_seconds", estimate_seconds(progress, n_places));
    json_write_end(writer, '}');
}

/* null: the sweep is not one by halving. */
static void write_halving(struct json_writer *writer, const struct halving_state *halving,
                          const struct sweep_progress *progress) {
    char text[TIME_TEXT_SIZE];
    if (!halving->there) {
        json_write_null(writer, "halving");
        return;
    }
    json_write_object(writer, "halving");
    json_write_int(writer, "first_epochs", halving->first_epochs);
    json_write_int(writer, "eta", halving->eta);
    json_write_string(writer, "metric", halving->metric);
    json_write_array(writer, "rungs");
    for (size_t i = 0; i < halving->n_rungs; i++) {
        json_write_object(writer, NULL);
        json_write_int(writer, "epochs", halving->rungs[i].epochs);
        json_write_string(writer, "ended_at", time_format(halving->rungs[i].at_ms, text));
        json_write_raw(writer, "ranking", halving->rungs[i].ranking_json);
        json_write_end(writer, '}');
    }
    json_write_end(writer, ']');
    json_write_int(writer, "ranked_out", progress->n_ranked_out);
    json_write_int(writer, "epochs_saved", progress->epochs_saved);
    json_write_end(writer, '}');
}

static void write_links(struct json_writer *writer, int64_t id) {
    char path[96];
    json_write_object(writer, "links");
    (void)snprintf(path, sizeof(path), "/api/v1/sweeps/%" PRId64, id);
    json_write_link(writer, "self", path);
    (void)snprintf(path, sizeof(path), "/api/v1/runs?sweep=%" PRId64, id);
    json_write_link(writer, "runs", path);
    (void)snprintf(path, sizeof(path), "/api/v1/sweeps/%" PRId64 "/events", id);
    json_write_link(writer, "events", path);
    (void)snprintf(path, sizeof(path), "/api/v1/compare?sweep=%" PRId64, id);
    json_write_link(writer, "compare", path);
    json_write_end(writer, '}');
}

void sweep_write(struct json_writer *writer, const char *key, const struct sweep_row *row,
                 const struct sweep_progress *progress, const struct halving_state *halving,
                 const int64_t *ids, size_t n_ids, int n_places) {
    char text[TIME_TEXT_SIZE];
    json_write_object(writer, key);
    json_write_id(writer, "id", row->id);
    json_write_string(writer, "name", row->name[0] ? row->name : NULL);
    json_write_string(writer, "owner", row->owner[0] ? row->owner : NULL);
    json_write_raw(writer, "spec", row->spec_json);
    json_write_string(writer, "created_at", time_format(row->created_ms, text));
    json_write_bool(writer, "has_note", row->has_note);
    write_progress(writer, progress, n_places);
    if (halving) {
        write_halving(writer, halving, progress);
    }
    if (ids) {
        json_write_array(writer, "runs");
        for (size_t i = 0; i < n_ids; i++) {
            json_write_id(writer, NULL, ids[i]);
        }
        json_write_end(writer, ']');
    }
    write_links(writer, row->id);
    json_write_end(writer, '}');
}
