/* The journals: what jobs report becomes what the store knows. Layer: daemon/slurm. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/durable.h"
#include "daemon/config/copy_file.h"
#include "daemon/config/state_dir.h"
#include "daemon/config/text_file.h"
#include "daemon/slurm/slurm_internal.h"

/* ---- checkpoints ---- */

/* Another one was reported behind this one: nobody will go on from this. */
static bool is_outdated(const struct slurm_job *job) {
    static const char kind[] = "\"kind\":\"checkpoint\"";
    const struct journal_reader *reader = &job->reader;
    const char *line = reader->data + reader->at;
    const char *end = reader->data + reader->n_bytes;
    const char *next = memchr(line, '\n', (size_t)(end - line));
    return next && memmem(next, (size_t)(end - next), kind, strlen(kind));
}

static enum status copy_checkpoint(const char *from, const char *to, const char *sha256,
                                   struct error *error) {
    char temporary[ATTEMPT_PATH_SIZE + 8];
    char found[SHA256_HEX_SIZE];
    (void)snprintf(temporary, sizeof(temporary), "%s.tmp", to);
    (void)unlink(temporary);
    enum status status = copy_file(from, temporary, NULL, error);
    status = status == STATUS_OK ? sha256_file(temporary, found, error) : status;
    if (status == STATUS_OK && strcmp(found, sha256) != 0) {
        status = error_set(error, STATUS_CORRUPT, "%s has another digest than was reported", from);
    }
    if (status != STATUS_OK) {
        (void)unlink(temporary);
        return status;
    }
    return durable_rename(temporary, to, error);
}

/* How a record is dealt with. */
enum deed { DEED_DONE, DEED_LATER };

/* A file that is not there, or not whole, may only be late. */
static enum deed wait_for_file(struct executor_slurm *slurm, struct slurm_job *job,
                               const struct error *error) {
    double now = slurm_now_s();
    if (job->missing_at_s == 0) {
        job->missing_at_s = now;
    }
    if (!is_outdated(job) && now - job->missing_at_s <= slurm->config->slurm.shared_lag_s) {
        return DEED_LATER;
    }
    if (!is_outdated(job)) {
        log_warning("run %lld: a checkpoint is passed over: %s", (long long)job->report.run_id,
                    error->message);
    }
    job->missing_at_s = 0;
    return DEED_DONE;
}

static enum deed judge(struct slurm_job *job, enum status status, const struct error *error);

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
    enum status status = known ? STATUS_OK : copy_checkpoint(from, to, record->sha256, &error);
    if (status == STATUS_NOT_FOUND || status == STATUS_CORRUPT) {
        enum deed deed = wait_for_file(slurm, job, &error);
        if (deed == DEED_DONE) {
            (void)snprintf(job->previous, sizeof(job->previous), "%.47s", record->file);
        }
        return deed;
    }
    job->missing_at_s = 0;
    record->checkpoint.path = to;
    status = status == STATUS_OK ? slurm->reports->checkpoint(slurm->reports->user, &record->report,
                                                              &record->checkpoint, &error)
                                 : status;
    if (judge(job, status, &error) == DEED_LATER) {
        return DEED_LATER;
    }
    struct checkpoint_files files;
    checkpoint_files_begin(&files, run_dir, job->previous[0] ? job->previous : NULL);
    if (!known) {
        checkpoint_files_retire(&files, to, job->best_epoch);
    }
    (void)snprintf(job->previous, sizeof(job->previous), "%.47s", record->file);
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
    case RECORD_OUTCOME:
        job->has_outcome = true;
        job->outcome.status = record->status;
        job->outcome.again = record->again;
        job->outcome.bounded = record->bounded;
        job->outcome.needed_bytes = record->needed_bytes;
        job->outcome.stop = record->stop;
        (void)snprintf(job->outcome.message, sizeof(job->outcome.message), "%s", record->message);
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
