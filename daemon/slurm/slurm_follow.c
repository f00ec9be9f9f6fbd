/* The journals: what jobs report becomes what the store knows. Layer: daemon/slurm. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/train/checkpoint_files.h"
#include "daemon/config/state_dir.h"
#include "daemon/config/text_file.h"
#include "daemon/slurm/slurm_internal.h"

/* ---- checkpoints ---- */

/* Another one was reported behind this one: nobody will go on from this. Of the best one only if
 * that is a new best. */
static bool is_outdated(const struct slurm_job *job, bool best) {
    static const char kind[] = "\"kind\":\"checkpoint\"";
    static const char new_best[] = "\"best\":true";
    const struct journal_reader *reader = &job->reader;
    const char *line = reader->data + reader->at;
    const char *end = reader->data + reader->n_bytes;
    const char *next = memchr(line, '\n', (size_t)(end - line));
    while (next) {
        line = next + 1;
        next = memchr(line, '\n', (size_t)(end - line));
        size_t n = (size_t)((next ? next : end) - line);
        if (memmem(line, n, kind, strlen(kind)) &&
            (!best || memmem(line, n, new_best, strlen(new_best)))) {
            return true;
        }
    }
    return false;
}

/* How a record is dealt with. */
enum deed { DEED_DONE, DEED_LATER };

static enum deed judge(struct slurm_job *job, enum status status, const struct error *error);

static void say_best(const struct checkpoint_row *best, char text[64]) {
    if (best) {
        (void)snprintf(text, 64, "the best checkpoint is that of epoch %d", best->epochs_done);
    } else {
        (void)snprintf(text, 64, "there is no best checkpoint");
    }
}

/* Nobody will have its weights: of a best one that is said. */
static enum deed pass_over(struct executor_slurm *slurm, struct slurm_job *job,
                           const struct record *record, const struct checkpoint_row *best,
                           const struct error *why) {
    char reason[RUN_REASON_SIZE];
    char kept[64];
    struct error error = {.message = ""};
    log_warning("run %lld: a checkpoint is passed over: %s", (long long)job->report.run_id,
                why->message);
    if (!record->checkpoint.best) {
        return DEED_DONE;
    }
    say_best(best, kept);
    (void)snprintf(reason, sizeof(reason),
                   "the weights of epoch %d, the best, are lost: %.300s; %s",
                   record->checkpoint.epochs_done, why->message, kept);
    return judge(job, slurm->reports->note(slurm->reports->user, &record->report, reason, &error),
                 &error);
}

/* A file that is not there, or not whole, may only be late. */
static enum deed wait_for_file(struct executor_slurm *slurm, struct slurm_job *job,
                               const struct record *record, const struct error *why) {
    CLEANUP(checkpoint_list_clear) struct checkpoint_list list = {0};
    struct error error = {.message = ""};
    const struct executor_reports *reports = slurm->reports;
    double now = slurm_now_s();
    if (judge(job, reports->checkpoints(reports->user, &record->report, &list, &error), &error) ==
        DEED_LATER) {
        return DEED_LATER;
    }
    const struct checkpoint_row *best = checkpoint_list_newest(&list, CHECKPOINT_BEST);
    /* Before the daemon was started again a later best one may have been taken. */
    bool outdated =
        is_outdated(job, record->checkpoint.best) ||
        (record->checkpoint.best && best && best->epochs_done > record->checkpoint.epochs_done);
    job->missing_at_s = job->missing_at_s > 0 ? job->missing_at_s : now;
    if (!outdated && now - job->missing_at_s <= slurm->config->slurm.shared_lag_s) {
        return DEED_LATER;
    }
    if (!outdated && pass_over(slurm, job, record, best, why) == DEED_LATER) {
        return DEED_LATER;
    }
    job->missing_at_s = 0;
    return DEED_DONE;
}

/* What no row names any more. */
static void remove_older(struct executor_slurm *slurm, const struct record *record,
                         const char *run_dir) {
    CLEANUP(checkpoint_list_clear) struct checkpoint_list list = {0};
    if (slurm->reports->checkpoints(slurm->reports->user, &record->report, &list, NULL) ==
        STATUS_OK) {
        slurm_remove_unlisted(run_dir, &list);
    }
}

/* The daemon keeps a copy of its own: attempts and their directories come and go. */
static enum deed take_checkpoint(struct executor_slurm *slurm, struct slurm_job *job,
                                 struct record *record) {
    char run_dir[ATTEMPT_PATH_SIZE];
    char from[ATTEMPT_PATH_SIZE];
    char to[ATTEMPT_PATH_SIZE];
    char found[SHA256_HEX_SIZE];
    struct error error = {.message = ""};
    const char *state_dir = slurm->config->state_dir;
    if (record->file[0] == '.' || strchr(record->file, '/') ||
        strlen(record->file) >= CHECKPOINT_NAME_SIZE) {
        (void)snprintf(job->damage, sizeof(job->damage), "it names a checkpoint %.60s",
                       record->file);
        return DEED_LATER;
    }
    state_dir_run_path(state_dir, job->report.run_id, NULL, run_dir, sizeof(run_dir));
    state_dir_run_path(state_dir, job->report.run_id, record->file, to, sizeof(to));
    (void)snprintf(from, sizeof(from), "%.3800s/checkpoints/%.200s", job->dir, record->file);
    bool known = access(to, F_OK) == 0 && sha256_file(to, found, NULL) == STATUS_OK &&
                 strcmp(found, record->sha256) == 0;
    bool of_source = false;
    enum status status =
        known ? STATUS_OK : slurm_copy_checkpoint(from, to, record->sha256, &of_source, &error);
    if (of_source) {
        return wait_for_file(slurm, job, record, &error);
    }
    job->missing_at_s = 0;
    record->checkpoint.path = to;
    status = status == STATUS_OK ? slurm->reports->checkpoint(slurm->reports->user, &record->report,
                                                              &record->checkpoint, &error)
                                 : status;
    if (judge(job, status, &error) == DEED_LATER) {
        return DEED_LATER;
    }
    if (!known) {
        remove_older(slurm, record, run_dir);
    }
    job->progressed = true;
    return DEED_DONE;
}

/* ---- records ---- */

/* A report that the store could not take is brought again; one that it refuses says that nobody
 * waits for this attempt. */
static enum deed judge(struct slurm_job *job, enum status status, const struct error *error) {
    if (status == STATUS_OK) {
        return DEED_DONE;
    }
    if (status == STATUS_CONFLICT) {
        job->refused = true;
    } else if (status == STATUS_INVALID) {
        (void)snprintf(job->damage, sizeof(job->damage), "%.150s", error->message);
    }
    return DEED_LATER;
}

static void note_begin(struct executor_slurm *slurm, struct slurm_job *job,
                       const struct record *record) {
    job->begun = true;
    job->begun_at_s = slurm_now_s();
    if (record->job[0] && !job->id[0]) {
        (void)snprintf(job->id, sizeof(job->id), "%.23s", record->job);
    }
    (void)snprintf(job->node, sizeof(job->node), "%s", record->node);
    if (!job->state[0] || !strcmp(job->state, "PENDING")) {
        (void)snprintf(job->state, sizeof(job->state), "RUNNING");
        job->why[0] = '\0';
    }
    slurm_tell_placement(slurm, job);
}

/* Of a run that has ended well: whose weights its best checkpoint has. */
static void note_best(struct executor_slurm *slurm, struct slurm_job *job,
                      const struct record *record) {
    CLEANUP(checkpoint_list_clear) struct checkpoint_list list = {0};
    char kept[64];
    char *message = job->outcome.message;
    size_t n = strlen(message);
    if (record->status != STATUS_OK || job->best_epoch <= executor_forked_epoch(job->run) ||
        slurm->reports->checkpoints(slurm->reports->user, &record->report, &list, NULL) !=
            STATUS_OK) {
        return;
    }
    const struct checkpoint_row *best = checkpoint_list_newest(&list, CHECKPOINT_BEST);
    if (!best || best->epochs_done != job->best_epoch) {
        say_best(best, kept);
        (void)snprintf(message + n, sizeof(job->outcome.message) - n,
                       "%sthe weights of epoch %d, the best, are lost: %s", n > 0 ? "; " : "",
                       job->best_epoch, kept);
    }
}

static enum deed take_record(struct executor_slurm *slurm, struct slurm_job *job,
                             struct record *record) {
    const struct executor_reports *reports = slurm->reports;
    struct error error = {.message = ""};
    switch (record->kind) {
    case RECORD_BEGIN:
        note_begin(slurm, job, record);
        return DEED_DONE;
    case RECORD_STEP:
        return judge(job, reports->step(reports->user, &record->report, &record->step, &error),
                     &error);
    case RECORD_EPOCH:
        if (judge(job, reports->epoch(reports->user, &record->report, &record->epoch, &error),
                  &error) == DEED_LATER) {
            return DEED_LATER;
        }
        job->best_epoch = record->epoch.best ? record->epoch.epoch : job->best_epoch;
        job->progressed = true;
        slurm_nodes_note_life(&slurm->nodes, job->node);
        return DEED_DONE;
    case RECORD_CHECKPOINT:
        return take_checkpoint(slurm, job, record);
    case RECORD_NOTE:
        return judge(job, reports->note(reports->user, &record->report, record->message, &error),
                     &error);
    case RECORD_FALLBACK:
        return judge(job,
                     reports->fell_back(reports->user, &record->report,
                                        record->file[0] ? record->file : NULL, record->message,
                                        &error),
                     &error);
    case RECORD_OUTCOME:
        job->has_outcome = true;
        job->outcome.status = record->status;
        job->outcome.again = record->again;
        job->outcome.bounded = record->bounded;
        job->outcome.needed_bytes = record->needed_bytes;
        job->outcome.stop = record->stop;
        (void)snprintf(job->outcome.message, sizeof(job->outcome.message), "%s", record->message);
        note_best(slurm, job, record);
        return DEED_DONE;
    case RECORD_KINDS:
        break;
    }
    return DEED_DONE;
}

/* Of a line that is damaged, or a record that is none. */
static void note_damage(struct executor_slurm *slurm, struct slurm_job *job,
                        const struct error *error) {
    double now = slurm_now_s();
    if (job->damaged_at_s == 0) {
        job->damaged_at_s = now;
    }
    if (now - job->damaged_at_s > slurm->config->slurm.shared_lag_s) {
        (void)snprintf(job->damage, sizeof(job->damage), "%.150s", error->message);
    }
    journal_refetch(&job->reader);
}

static bool is_over(const struct slurm_job *job) {
    return !job->run || job->has_outcome || job->refused || job->damage[0];
}

static void take_records(struct executor_slurm *slurm, struct slurm_job *job,
                         struct record *record) {
    const char *text = NULL;
    size_t n_bytes = 0;
    struct error error = {.message = ""};
    while (!is_over(job) && !atomic_load(&slurm->stopping)) {
        enum status status = journal_next(&job->reader, &text, &n_bytes, &error);
        if (status == STATUS_NOT_FOUND) {
            return;
        }
        status = status == STATUS_OK ? record_read(text, n_bytes, record, &error) : status;
        if (status == STATUS_NO_MEMORY) {
            return;
        }
        if (status == STATUS_OK && (record->report.run_id != job->report.run_id ||
                                    record->report.attempt != job->report.attempt)) {
            status = error_set(&error, STATUS_CORRUPT, "a record is of run %lld, attempt %d",
                               (long long)record->report.run_id, record->report.attempt);
        }
        if (status != STATUS_OK) {
            note_damage(slurm, job, &error);
            return;
        }
        job->damaged_at_s = 0;
        if (take_record(slurm, job, record) == DEED_LATER) {
            return;
        }
        journal_take(&job->reader);
        job->moved_at_s = slurm_now_s();
    }
}

/* By what it says, not by its time: clocks of machines differ. */
static void look_at_lease(struct slurm_job *job) {
    char path[ATTEMPT_PATH_SIZE];
    CLEANUP(free_pointer) char *text = NULL;
    size_t n_bytes = 0;
    if (attempt_path(job->dir, "lease", path, NULL) == STATUS_OK &&
        text_file_read(path, 64, &text, &n_bytes, NULL) == STATUS_OK &&
        strncmp(text, job->lease, sizeof(job->lease) - 1) != 0) {
        (void)snprintf(job->lease, sizeof(job->lease), "%.31s", text);
        job->moved_at_s = slurm_now_s();
    }
}

void slurm_follow_job(struct executor_slurm *slurm, struct slurm_job *job) {
    char path[ATTEMPT_PATH_SIZE];
    if (is_over(job) || job->phase == PHASE_NEW) {
        return;
    }
    CLEANUP(free_pointer) struct record *record = calloc(1, sizeof(*record));
    if (!record || attempt_path(job->dir, "journal", path, NULL) != STATUS_OK) {
        return;
    }
    look_at_lease(job);
    for (int64_t before = -1; job->reader.offset + (int64_t)job->reader.n_bytes != before;) {
        before = job->reader.offset + (int64_t)job->reader.n_bytes;
        if (journal_fetch(&job->reader, path, NULL) != STATUS_OK) {
            return;
        }
        take_records(slurm, job, record);
        if (job->damaged_at_s != 0) {
            return;
        }
    }
}
