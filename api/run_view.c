/* Layer: api. */
#include "api/run_view.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/epoch_view.h"
#include "daemon/run_spec_json.h"

const char *time_format(int64_t unix_ms, char ret_text[TIME_TEXT_SIZE]) {
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm tm;
    char date[24] = "";
    if (gmtime_r(&seconds, &tm)) {
        (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    }
    (void)snprintf(ret_text, TIME_TEXT_SIZE, "%s.%03dZ", date, (int)(unix_ms % 1000));
    return ret_text;
}

static void write_time(struct json_writer *writer, const char *key, int64_t unix_ms) {
    char text[TIME_TEXT_SIZE];
    json_write_string(writer, key, unix_ms > 0 ? time_format(unix_ms, text) : NULL);
}

/* A point of the validation curve, or null before there is one. */
static void write_result(struct json_writer *writer, const char *key, int epoch, int wrong,
                         int total) {
    if (epoch == 0) {
        json_write_null(writer, key);
        return;
    }
    json_write_object(writer, key);
    json_write_int(writer, "epoch", epoch);
    json_write_number(writer, "val_error", error_ratio(wrong, total));
    json_write_int(writer, "val_wrong", wrong);
    json_write_int(writer, "val_total", total);
    json_write_end(writer, '}');
}

void progress_write_members(struct json_writer *writer, const struct progress *progress) {
    bool known = isfinite(progress->eta_seconds) && progress->eta_seconds >= 0 &&
                 progress->images_per_second > 0;
    json_write_int(writer, "epoch", progress->epoch);
    json_write_int(writer, "epochs", progress->epochs);
    json_write_int(writer, "step", progress->step);
    json_write_int(writer, "steps_per_epoch", progress->steps_per_epoch);
    bool trained = progress->epoch > 0; /* 0: still preparing */
    json_write_number(writer, "train_loss", trained ? progress->loss : (double)NAN);
    json_write_number(writer, "train_accuracy", trained ? progress->accuracy : (double)NAN);
    if (known) {
        json_write_number(writer, "images_per_second", progress->images_per_second);
        json_write_number(writer, "eta_seconds", progress->eta_seconds);
    } else {
        json_write_null(writer, "images_per_second");
        json_write_null(writer, "eta_seconds");
    }
}

static void write_progress(struct json_writer *writer, const struct progress *progress) {
    if (progress) {
        json_write_object(writer, "progress");
        progress_write_members(writer, progress);
        json_write_end(writer, '}');
    } else {
        json_write_null(writer, "progress");
    }
}

static void write_links(struct json_writer *writer, int64_t id) {
    static const char *const parts[] = {"epochs", "validation-error", "events", "checkpoints",
                                        "log",    "summary",          "cancel"};
    char path[96];
    json_write_object(writer, "links");
    (void)snprintf(path, sizeof(path), "/api/v1/runs/%" PRId64, id);
    json_write_string(writer, "self", path);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        (void)snprintf(path, sizeof(path), "/api/v1/runs/%" PRId64 "/%s", id, parts[i]);
        json_write_string(writer, parts[i], path);
    }
    json_write_end(writer, '}');
}

/* The configuration out of the stored document, which also holds name, priority and labels. */
static void write_config(struct json_writer *writer, const struct run_row *row) {
    struct run_spec spec;
    if (run_spec_read_stored(row->config_json, &spec, NULL) != STATUS_OK) {
        /* Written by another version that knew other fields: shown as it was stored. */
        json_write_raw(writer, "config", row->config_json);
        return;
    }
    json_write_object(writer, "config");
    run_config_write(writer, &spec.config);
    json_write_end(writer, '}');
}

/* null for 0, which is no run or sweep. */
static void write_id(struct json_writer *writer, const char *key, int64_t id) {
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRId64, id);
    json_write_string(writer, key, id > 0 ? text : NULL);
}

/* "1,2" as ["1","2"]. */
static void write_after(struct json_writer *writer, const char *ids) {
    json_write_array(writer, "after");
    while (*ids) {
        char id[24];
        size_t n = strcspn(ids, ",");
        (void)snprintf(id, sizeof(id), "%.*s", (int)n, ids);
        json_write_string(writer, NULL, id);
        ids += n + (ids[n] == ',');
    }
    json_write_end(writer, ']');
}

static void write_origin(struct json_writer *writer, const struct run_row *row) {
    json_write_string(writer, "owner", row->owner[0] ? row->owner : NULL);
    write_id(writer, "sweep", row->sweep_id);
    write_after(writer, row->after ? row->after : "");
    if (row->forked_from > 0) {
        json_write_object(writer, "forked_from");
        write_id(writer, "run", row->forked_from);
        json_write_int(writer, "epoch", row->forked_epoch);
        json_write_end(writer, '}');
    } else {
        json_write_null(writer, "forked_from");
    }
}

void run_write(struct json_writer *writer, const char *key, const struct run_row *row,
               const struct progress *progress) {
    char id[24];
    (void)snprintf(id, sizeof(id), "%" PRId64, row->id);
    json_write_object(writer, key);
    json_write_string(writer, "id", id);
    json_write_string(writer, "name", row->name[0] ? row->name : NULL);
    json_write_string(writer, "state", run_state_name(row->state));
    json_write_string(writer, "reason", row->reason[0] ? row->reason : NULL);
    json_write_int(writer, "attempt", row->attempt);
    json_write_string(writer, "request", row->request ? run_request_name(row->request) : NULL);
    json_write_int(writer, "priority", row->priority);
    json_write_raw(writer, "labels", row->labels_json);
    write_origin(writer, row);
    write_config(writer, row);
    write_progress(writer, progress);
    json_write_int(writer, "epochs_done", row->epochs_done);
    write_result(writer, "best", row->best_epoch, row->best_wrong, row->val_total);
    write_result(writer, "last", row->epochs_done, row->last_wrong, row->val_total);
    if (row->epochs_done > 0) {
        json_write_int(writer, "best_epoch", row->best_epoch);
    } else {
        json_write_null(writer, "best_epoch");
    }
    json_write_number(writer, "mean_last_5", row->mean_last_5);
    json_write_number(writer, "train_seconds", row->train_seconds);
    json_write_bool(writer, "diverged", row->diverged);
    json_write_string(writer, "kernel_variant", row->variant[0] ? row->variant : NULL);
    json_write_string(writer, "dataset_sha256",
                      row->dataset_sha256[0] ? row->dataset_sha256 : NULL);
    write_time(writer, "created_at", row->created_ms);
    write_time(writer, "started_at", row->started_ms);
    write_time(writer, "finished_at", row->finished_ms);
    write_time(writer, "updated_at", row->updated_ms);
    json_write_int(writer, "revision", row->revision);
    write_links(writer, row->id);
    json_write_end(writer, '}');
}

void run_write_short(struct json_writer *writer, const char *key, const struct run_row *row,
                     const struct progress *progress) {
    json_write_object(writer, key);
    write_id(writer, "id", row->id);
    json_write_string(writer, "name", row->name[0] ? row->name : NULL);
    json_write_string(writer, "state", run_state_name(row->state));
    json_write_string(writer, "reason", row->reason[0] ? row->reason : NULL);
    json_write_int(writer, "attempt", row->attempt);
    json_write_int(writer, "priority", row->priority);
    json_write_string(writer, "owner", row->owner[0] ? row->owner : NULL);
    write_id(writer, "sweep", row->sweep_id);
    json_write_int(writer, "m", row->m);
    json_write_int(writer, "cutout_size", row->cutout_size);
    json_write_uint(writer, "seed", row->seed);
    json_write_int(writer, "epochs", row->epochs);
    json_write_int(writer, "epochs_done", row->epochs_done);
    write_result(writer, "best", row->best_epoch, row->best_wrong, row->val_total);
    write_result(writer, "last", row->epochs_done, row->last_wrong, row->val_total);
    write_progress(writer, progress);
    json_write_end(writer, '}');
}
