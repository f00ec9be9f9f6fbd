/* Layer: api. */
#include "api/view/run_view.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/base/time_text.h"
#include "daemon/compare/epoch_view.h"
#include "daemon/spec/run_spec_json.h"
#include "daemon/work/executor.h"

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
                 progress->images_per_second > 0 && !progress->waits[0];
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

/* null for "". */
static void write_text(struct json_writer *writer, const char *key, const char *text) {
    json_write_string(writer, key, text[0] ? text : NULL);
}

static void write_progress(struct json_writer *writer, const char *key,
                           const struct progress *progress) {
    if (progress) {
        json_write_object(writer, key);
        progress_write_members(writer, progress);
        json_write_end(writer, '}');
    } else {
        json_write_null(writer, key);
    }
}

static void write_estimate(struct json_writer *writer, const char *key,
                           const struct estimate *estimate) {
    json_write_object(writer, key);
    json_write_number(writer, "seconds_per_epoch", estimate->seconds_per_epoch);
    write_time(writer, "expected_start_at", estimate->start_ms);
    write_time(writer, "expected_end_at", estimate->end_ms);
    json_write_end(writer, '}');
}

/* The members of a run that need more than one of its columns */

static void write_state(struct json_writer *writer, const char *key, const struct run_row *row) {
    json_write_string(writer, key, run_state_name(row->state));
}

static void write_request(struct json_writer *writer, const char *key, const struct run_row *row) {
    write_text(writer, key, run_request_name(row->request));
}

static void write_labels(struct json_writer *writer, const char *key, const struct run_row *row) {
    json_write_raw(writer, key, row->labels_json);
}

static void write_links(struct json_writer *writer, const char *key, const struct run_row *row) {
    static const char *const parts[] = {"epochs", "validation-error", "events", "checkpoints",
                                        "log",    "summary",          "cancel"};
    char path[96];
    json_write_object(writer, key);
    (void)snprintf(path, sizeof(path), "/api/v1/runs/%" PRId64, row->id);
    json_write_link(writer, "self", path);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        (void)snprintf(path, sizeof(path), "/api/v1/runs/%" PRId64 "/%s", row->id, parts[i]);
        json_write_link(writer, parts[i], path);
    }
    json_write_end(writer, '}');
}

/* As it is stored, but for runs of earlier versions. */
static void write_config(struct json_writer *writer, const char *key, const struct run_row *row) {
    CLEANUP(free_pointer) char *config = run_spec_stored_json(row->config_json);
    if (config) {
        json_write_raw(writer, key, config);
    } else {
        writer->failed = true; /* no memory */
    }
}

/* "1,2" as ["1","2"]. */
static void write_after(struct json_writer *writer, const char *key, const struct run_row *row) {
    const char *ids = row->after;
    json_write_array(writer, key);
    while (*ids) {
        char id[24];
        size_t n = strcspn(ids, ",");
        (void)snprintf(id, sizeof(id), "%.*s", (int)n, ids);
        json_write_string(writer, NULL, id);
        ids += n + (ids[n] == ',');
    }
    json_write_end(writer, ']');
}

static void write_fork(struct json_writer *writer, const char *key, const struct run_row *row) {
    if (row->forked_from > 0) {
        json_write_object(writer, key);
        json_write_id(writer, "run", row->forked_from);
        json_write_int(writer, "epoch", row->forked_epoch);
        json_write_end(writer, '}');
    } else {
        json_write_null(writer, key);
    }
}

/* Where it is trained, or was the last time; null: nowhere at present, and it will be in this
 * process. What another program says of it counts while it runs. */
static void write_placement(struct json_writer *writer, const char *key,
                            const struct run_row *row) {
    bool local = strcmp(row->executor, EXECUTOR_NAME_LOCAL) == 0;
    if (local && row->state != RUN_RUNNING) {
        json_write_null(writer, key);
        return;
    }
    json_write_object(writer, key);
    json_write_string(writer, "executor", row->executor);
    bool running = row->state == RUN_RUNNING;
    write_text(writer, "job", row->placement.job);
    write_text(writer, "node", row->placement.node);
    write_text(writer, "state", running ? row->placement.state : "");
    write_text(writer, "reason", running ? row->placement.reason : "");
    json_write_end(writer, '}');
}

static void write_best(struct json_writer *writer, const char *key, const struct run_row *row) {
    write_result(writer, key, row->best_epoch, row->best_wrong, row->val_total);
}

static void write_last(struct json_writer *writer, const char *key, const struct run_row *row) {
    write_result(writer, key, row->epochs_done, row->last_wrong, row->val_total);
}

static void write_best_epoch(struct json_writer *writer, const char *key,
                             const struct run_row *row) {
    if (row->epochs_done > 0) {
        json_write_int(writer, key, row->best_epoch);
    } else {
        json_write_null(writer, key);
    }
}

/* As long as it goes on nobody knows that its latest epoch is the last. */
static void write_stopped_by(struct json_writer *writer, const char *key,
                             const struct run_row *row) {
    write_text(writer, key, row->state == RUN_SUCCEEDED ? row->stopped_by : "");
}

static void write_halving(struct json_writer *writer, const char *key, const struct run_row *row) {
    if (row->rung == 0 && !row->ranked_out) {
        json_write_null(writer, key);
        return;
    }
    json_write_object(writer, key);
    if (row->rung > 0) {
        json_write_int(writer, "rung", row->rung);
        json_write_int(writer, "pause_at", row->pause_at);
    } else {
        json_write_null(writer, "rung");
        json_write_null(writer, "pause_at");
    }
    json_write_bool(writer, "ranked_out", row->ranked_out);
    json_write_end(writer, '}');
}

static void write_diverged(struct json_writer *writer, const char *key, const struct run_row *row) {
    json_write_bool(writer, key, row->diverged);
}

static void write_has_note(struct json_writer *writer, const char *key, const struct run_row *row) {
    json_write_bool(writer, key, row->has_note);
}

/* ",lab,team," as an array. */
static void write_notify(struct json_writer *writer, const char *key, const struct run_row *row) {
    json_write_array(writer, key);
    for (const char *name = row->notify + (row->notify[0] == ','); *name;) {
        char word[RUN_NOTIFY_SIZE];
        size_t n = strcspn(name, ",");
        (void)snprintf(word, sizeof(word), "%.*s", (int)n, name);
        json_write_string(writer, NULL, word);
        name += n + (name[n] == ',');
    }
    json_write_end(writer, ']');
}

/* The members, in the order in which they are written. */
#define COLUMN(kind, name) kind, offsetof(struct run_row, name), NULL, 0
static const struct {
    const char *name;
    enum {
        MEMBER_ID,
        MEMBER_TEXT,
        MEMBER_INT,
        MEMBER_LONG,
        MEMBER_NUMBER,
        MEMBER_TIME,
        MEMBER_REASON,
        MEMBER_PROGRESS,
        MEMBER_ESTIMATE,
        MEMBER_OTHER,
    } kind;
    size_t offset; /* of the column, of those kinds that have one */
    void (*write)(struct json_writer *writer, const char *key, const struct run_row *row);
    unsigned parts; /* of the row that are read for it: bits of enum run_part */
} members[] = {
    {"id", COLUMN(MEMBER_ID, id)},
    {"name", COLUMN(MEMBER_TEXT, name)},
    {"state", MEMBER_OTHER, 0, write_state, 0},
    {"reason", MEMBER_REASON, 0, NULL, 0},
    {"stopped_by", MEMBER_OTHER, 0, write_stopped_by, 0},
    {"attempt", COLUMN(MEMBER_INT, attempt)},
    {"request", MEMBER_OTHER, 0, write_request, 0},
    {"priority", COLUMN(MEMBER_INT, priority)},
    {"labels", MEMBER_OTHER, 0, write_labels, RUN_PART_LABELS},
    {"owner", COLUMN(MEMBER_TEXT, owner)},
    {"sweep", COLUMN(MEMBER_ID, sweep_id)},
    {"after", MEMBER_OTHER, 0, write_after, RUN_PART_AFTER},
    {"not_before", COLUMN(MEMBER_TIME, not_before_ms)},
    {"notify", MEMBER_OTHER, 0, write_notify, 0},
    {"forked_from", MEMBER_OTHER, 0, write_fork, 0},
    {"placement", MEMBER_OTHER, 0, write_placement, 0},
    {"config", MEMBER_OTHER, 0, write_config, RUN_PART_CONFIG},
    {"progress", MEMBER_PROGRESS, 0, NULL, 0},
    {"estimate", MEMBER_ESTIMATE, 0, NULL, 0},
    {"epochs_done", COLUMN(MEMBER_INT, epochs_done)},
    {"best", MEMBER_OTHER, 0, write_best, 0},
    {"last", MEMBER_OTHER, 0, write_last, 0},
    {"best_epoch", MEMBER_OTHER, 0, write_best_epoch, 0},
    {"mean_last_5", COLUMN(MEMBER_NUMBER, mean_last_5)},
    {"train_seconds", COLUMN(MEMBER_NUMBER, train_seconds)},
    {"diverged", MEMBER_OTHER, 0, write_diverged, 0},
    {"halving", MEMBER_OTHER, 0, write_halving, 0},
    {"has_note", MEMBER_OTHER, 0, write_has_note, 0},
    {"kernel_variant", COLUMN(MEMBER_TEXT, variant)},
    {"arithmetic", COLUMN(MEMBER_TEXT, arithmetic)},
    {"dataset_sha256", COLUMN(MEMBER_TEXT, dataset_sha256)},
    {"created_at", COLUMN(MEMBER_TIME, created_ms)},
    {"started_at", COLUMN(MEMBER_TIME, started_ms)},
    {"finished_at", COLUMN(MEMBER_TIME, finished_ms)},
    {"updated_at", COLUMN(MEMBER_TIME, updated_ms)},
    {"revision", COLUMN(MEMBER_LONG, revision)},
    {"links", MEMBER_OTHER, 0, write_links, 0},
};
#undef COLUMN

enum { N_MEMBERS = sizeof(members) / sizeof(members[0]) };
#define BIT(i) (UINT64_C(1) << (i))

bool run_members_read(const char *names, uint64_t *ret_members, const char **ret_unknown,
                      size_t *ret_n_unknown) {
    *ret_members = 0;
    for (bool more = true; more;) {
        size_t n = strcspn(names, ",");
        int i = 0;
        while (i < N_MEMBERS &&
               !(strlen(members[i].name) == n && strncmp(members[i].name, names, n) == 0)) {
            i++;
        }
        if (i == N_MEMBERS) {
            *ret_unknown = names;
            *ret_n_unknown = n;
            return false;
        }
        *ret_members |= BIT(i);
        more = names[n] == ',';
        names += n + more;
    }
    return true;
}

unsigned run_members_parts(uint64_t wanted) {
    unsigned parts = 0;
    for (int i = 0; i < N_MEMBERS; i++) {
        parts |= wanted & BIT(i) ? members[i].parts : 0;
    }
    return parts;
}

bool run_members_have_estimate(uint64_t wanted) {
    for (int i = 0; i < N_MEMBERS; i++) {
        if (members[i].kind == MEMBER_ESTIMATE) {
            return wanted & BIT(i);
        }
    }
    return false;
}

/* Of a run whose row says running, although it only waits to be stored, the board knows better. */
static const char *reason_of(const struct run_row *row, const struct progress *progress) {
    return progress && progress->waits[0] ? progress->waits : row->reason;
}

static void write_member(struct json_writer *writer, int i, const struct run_row *row,
                         const struct progress *progress, const struct estimate *estimate) {
    const char *key = members[i].name;
    const void *column = (const char *)row + members[i].offset;
    switch (members[i].kind) {
    case MEMBER_ID:
        json_write_id(writer, key, *(const int64_t *)column);
        break;
    case MEMBER_TEXT:
        write_text(writer, key, column);
        break;
    case MEMBER_INT:
        json_write_int(writer, key, *(const int *)column);
        break;
    case MEMBER_LONG:
        json_write_int(writer, key, *(const int64_t *)column);
        break;
    case MEMBER_NUMBER:
        json_write_number(writer, key, *(const double *)column);
        break;
    case MEMBER_TIME:
        write_time(writer, key, *(const int64_t *)column);
        break;
    case MEMBER_REASON:
        write_text(writer, key, reason_of(row, progress));
        break;
    case MEMBER_PROGRESS:
        write_progress(writer, key, progress);
        break;
    case MEMBER_ESTIMATE:
        if (estimate) {
            write_estimate(writer, key, estimate);
        }
        break;
    case MEMBER_OTHER:
        members[i].write(writer, key, row);
        break;
    }
}

void run_write(struct json_writer *writer, const char *key, const struct run_row *row,
               const struct progress *progress, const struct estimate *estimate, uint64_t wanted) {
    json_write_object(writer, key);
    for (int i = 0; i < N_MEMBERS; i++) {
        if (wanted & BIT(i)) {
            write_member(writer, i, row, progress, estimate);
        }
    }
    json_write_end(writer, '}');
}

void run_write_short(struct json_writer *writer, const char *key, const struct run_row *row,
                     const struct progress *progress) {
    json_write_object(writer, key);
    json_write_id(writer, "id", row->id);
    json_write_string(writer, "name", row->name[0] ? row->name : NULL);
    json_write_string(writer, "state", run_state_name(row->state));
    write_text(writer, "reason", reason_of(row, progress));
    json_write_int(writer, "attempt", row->attempt);
    json_write_int(writer, "priority", row->priority);
    json_write_string(writer, "owner", row->owner[0] ? row->owner : NULL);
    json_write_id(writer, "sweep", row->sweep_id);
    json_write_int(writer, "m", row->m);
    json_write_int(writer, "cutout_size", row->cutout_size);
    json_write_uint(writer, "seed", row->seed);
    json_write_int(writer, "epochs", row->epochs);
    json_write_int(writer, "epochs_done", row->epochs_done);
    write_result(writer, "best", row->best_epoch, row->best_wrong, row->val_total);
    write_result(writer, "last", row->epochs_done, row->last_wrong, row->val_total);
    write_progress(writer, "progress", progress);
    json_write_end(writer, '}');
}
