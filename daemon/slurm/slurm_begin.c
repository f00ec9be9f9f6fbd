/* From a run that was claimed to a job that Slurm has. Layer: daemon/slurm. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/durable.h"
#include "daemon/config/state_dir.h"
#include "daemon/config/text_file.h"
#include "daemon/slurm/slurm_internal.h"
#include "daemon/work/recovery.h"

/* Until something that failed is tried again. */
static const double TRY_AGAIN_S = 10.0;
/* Likewise, in questions to Slurm, where no node has what a run needs: nodes do not change often.
 */
static const int LACKING_POLLS = 12;

enum { HIGHEST_PRIORITY = 1000 };

/* ---- the directory ---- */

/* Whether there is something that has to be waited for. */
static bool may_pass(enum status status) {
    return status == STATUS_IO || status == STATUS_NO_SPACE || status == STATUS_NO_MEMORY ||
           status == STATUS_NOT_FOUND;
}

static enum status make_directories(struct executor_slurm *slurm, const struct slurm_job *job,
                                    struct error *error) {
    char path[ATTEMPT_PATH_SIZE];
    struct stat info;
    const char *shared = slurm->config->slurm.shared_dir;
    if (stat(shared, &info) != 0) {
        return error_set_errno(error, errno, "the shared directory %s", shared);
    }
    TRY(durable_directory(slurm->base, error));
    TRY(durable_directory(job->dir, error));
    TRY(attempt_path(job->dir, "checkpoints", path, error));
    return durable_directory(path, error);
}

static bool is_named_before(const struct checkpoint_list *list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(list->rows[i].path, list->rows[n].path)) {
            return true;
        }
    }
    return false;
}

/* Those to go on from. One that is damaged is left out, and so is one that could not be read some
 * times: the job goes on from the one before and says so. STATUS_FORBIDDEN: executor_forbidden.
 * *ret_alone: it cannot be read now, which concerns no other run. */
static enum status copy_checkpoints(struct slurm_job *job, const struct executor_plan *plan,
                                    bool *ret_alone, struct error *error) {
    char from[ATTEMPT_PATH_SIZE];
    char to[ATTEMPT_PATH_SIZE];
    char directory[ATTEMPT_PATH_SIZE];
    struct executor_forbidden forbidden = {.path = NULL};
    bool any = false;
    TRY(attempt_path(job->dir, "checkpoints", directory, error));
    for (size_t i = 0; i < plan->checkpoints.n; i++) {
        const struct checkpoint_row *row = &plan->checkpoints.rows[i];
        bool of_source = false;
        TRY(attempt_path(plan->run_dir, row->path, from, error));
        TRY(attempt_path(directory, row->path, to, error));
        if (is_named_before(&plan->checkpoints, i)) {
            continue;
        }
        enum status status = slurm_copy_checkpoint(from, to, row->sha256, &of_source, error);
        if (status == STATUS_OK) {
            any = any || row->epochs_done >= executor_forked_epoch(job->run);
            continue;
        }
        *ret_alone =
            of_source && status == STATUS_IO && job->n_unread < RECOVERY_MOST_INTERRUPTIONS;
        if (!of_source || *ret_alone) {
            job->n_unread += *ret_alone;
            return status;
        }
        if (status == STATUS_FORBIDDEN && !any) {
            const struct error why = *error;
            TRY(executor_pass_forbidden(&forbidden, row->path, &why, error));
        }
        const struct log_subject subject = run_row_subject(job->run);
        log_about(&subject, LOG_LEVEL_WARNING, "run %lld: cannot go on from %s: %s",
                  (long long)job->report.run_id, row->path, error->message);
    }
    return any ? STATUS_OK : executor_end_forbidden(&forbidden, error);
}

/* The line for it, or "". A job gets nothing of the daemon's environment but what its bits depend
 * on: OpenBLAS reads which processor to compute as before main. */
static void write_core_type(char *line, size_t size) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    const char *type = getenv("OPENBLAS_CORETYPE");
    bool good = type && type[strspn(type, allowed)] == '\0' && strlen(type) < size / 2;
    (void)snprintf(line, size, "%s%s%s", good ? "export OPENBLAS_CORETYPE=" : "", good ? type : "",
                   good ? "\n" : "");
}

static enum status write_script(const struct executor_slurm *slurm, const struct slurm_job *job,
                                struct error *error) {
    char path[ATTEMPT_PATH_SIZE];
    char core_type[128];
    CLEANUP(free_pointer) char *text = NULL;
    TRY(attempt_path(job->dir, "job.sh", path, error));
    write_core_type(core_type, sizeof(core_type));
    if (asprintf(&text, "#!/bin/sh\n%sexec '%s' train --attempt '%s'\n", core_type, slurm->program,
                 job->dir) < 0) {
        text = NULL;
        return error_set(error, STATUS_NO_MEMORY, "no memory for %s", path);
    }
    return text_file_write(path, text, error);
}

/* What the run's row does not say yet: its images and arithmetic may have been noted just now. */
static enum status write_order(struct executor_slurm *slurm, struct slurm_job *job,
                               const struct executor_plan *plan,
                               const struct executor_origin *origin, struct error *error) {
    const struct config *config = slurm->config;
    struct attempt_order order = {.shapes_train = config->shapes_train,
                                  .shapes_test = config->shapes_test,
                                  .n_threads = config->slurm.cpus,
                                  .checkpoint_interval_s = config->checkpoint_interval_s,
                                  .any_arithmetic = plan->any_arithmetic,
                                  .checkpoints = plan->checkpoints};
    order.run = *job->run; /* borrowed: not cleared */
    (void)snprintf(order.run.arithmetic, sizeof(order.run.arithmetic), "%s", origin->arithmetic);
    (void)snprintf(order.run.dataset_sha256, sizeof(order.run.dataset_sha256), "%s",
                   origin->dataset_sha256);
    (void)snprintf(order.isa, sizeof(order.isa), "%s", config->isa);
    for (int i = 0; i < config->n_datasets; i++) {
        if (!strcmp(config->datasets[i].name, job->run->dataset)) {
            (void)snprintf(order.dataset_directory, sizeof(order.dataset_directory), "%s",
                           config->datasets[i].directory);
        }
    }
    (void)snprintf(job->variant, sizeof(job->variant), "%s", origin->variant);
    return attempt_order_write(job->dir, &order, error);
}

static enum status write_all(struct executor_slurm *slurm, struct slurm_job *job,
                             const struct executor_plan *plan, const struct executor_origin *origin,
                             bool *ret_alone, struct error *error) {
    TRY(copy_checkpoints(job, plan, ret_alone, error));
    TRY(write_script(slurm, job, error));
    return write_order(slurm, job, plan, origin, error);
}

static void wait_with(struct executor_slurm *slurm, struct slurm_job *job, const char *why) {
    job->due_at_s = slurm_now_s() + TRY_AGAIN_S;
    (void)snprintf(job->why, sizeof(job->why), "%.90s", why);
    slurm_tell_placement(slurm, job);
}

/* Whether other attempts could be written at this moment. */
static bool others_can(const struct executor_slurm *slurm) {
    char path[ATTEMPT_PATH_SIZE];
    bool can = attempt_path(slurm->base, "probe", path, NULL) == STATUS_OK &&
               text_file_write(path, "cutoutd\n", NULL) == STATUS_OK;
    (void)unlink(path);
    return can;
}

/* What fails on the shared directory passes: it is tried again, and nothing more is claimed. What
 * concerns this run alone keeps nobody else waiting, and in the end another attempt, which has
 * another directory, is made. What fails otherwise is the run's. */
static void note_failure(struct executor_slurm *slurm, struct slurm_job *job, enum status status,
                         bool alone, const struct error *error) {
    if (!alone && (status == STATUS_IO || status == STATUS_NOT_FOUND) && others_can(slurm)) {
        alone = true;
        job->n_unmade++;
    }
    if (!may_pass(status) || job->n_unmade > RECOVERY_MOST_INTERRUPTIONS) {
        bool again = may_pass(status);
        slurm_end_job(slurm, job,
                      &(struct executor_outcome){.status = status,
                                                 .again = again,
                                                 .bounded = again,
                                                 .at_once = again,
                                                 .message = error->message});
        return;
    }
    if (alone) {
        log_warning("run %lld waits: %s", (long long)job->report.run_id, error->message);
    } else {
        if (!slurm->trouble[0]) {
            log_warning("the executor slurm waits: %s", error->message);
        }
        (void)snprintf(slurm->trouble, sizeof(slurm->trouble), "%s", error->message);
    }
    wait_with(slurm, job, error->message);
}

/* Notes what the run is trained with. Of another status the attempt is over. */
static enum status begin_attempt(struct executor_slurm *slurm, struct slurm_job *job,
                                 struct executor_plan *plan, struct executor_origin *origin) {
    struct error error = {.message = ""};
    enum status status = slurm->reports->begin(slurm->reports->user, &job->report, plan, &error);
    status = status == STATUS_OK
                 ? slurm->local->origin(slurm->local->user, job->run, origin, &error)
                 : status;
    if (status != STATUS_OK) {
        slurm_end_job(
            slurm, job,
            &(struct executor_outcome){.status = status,
                                       .again = status == STATUS_NO_SPACE || status == STATUS_IO,
                                       .bounded = true,
                                       .message = error.message});
    }
    return status;
}

void slurm_begin_job(struct executor_slurm *slurm, struct slurm_job *job) {
    CLEANUP(executor_plan_clear) struct executor_plan plan = {.variant = ""};
    struct executor_origin origin;
    struct error error = {.message = ""};
    bool alone = false;
    if (slurm_now_s() < job->due_at_s) {
        return;
    }
    enum status status = make_directories(slurm, job, &error);
    if (status == STATUS_OK) {
        if (begin_attempt(slurm, job, &plan, &origin) != STATUS_OK) {
            return;
        }
        status = write_all(slurm, job, &plan, &origin, &alone, &error);
    }
    if (status != STATUS_OK) {
        note_failure(slurm, job, status, alone, &error);
        return;
    }
    slurm->trouble[0] = '\0';
    job->phase = PHASE_UNSENT;
    job->due_at_s = slurm_nodes_take_delay(&slurm->nodes, job->report.run_id);
    job->why[0] = '\0';
}

/* ---- sbatch ---- */

/* The features of nodes whose kernels have the run's bits: those of AVX2 and AVX-512 are the same.
 */
static void find_constraint(const struct executor_slurm *slurm, const struct slurm_job *job,
                            char text[2 * CONFIG_TEXT_SIZE]) {
    const char *avx2 = slurm->config->text[CONFIG_SLURM_CONSTRAINT_AVX2];
    const char *avx512 = slurm->config->text[CONFIG_SLURM_CONSTRAINT_AVX512];
    bool x86 = !strcmp(job->variant, "avx2") || !strcmp(job->variant, "avx512");
    text[0] = '\0';
    if (!strcmp(job->variant, "blas")) {
        (void)snprintf(text, CONFIG_TEXT_SIZE, "%s",
                       slurm->config->text[CONFIG_SLURM_CONSTRAINT_BLAS]);
    } else if (x86) {
        bool both = avx2[0] && avx512[0] && strcmp(avx2, avx512) != 0;
        (void)snprintf(text, 2 * CONFIG_TEXT_SIZE,
                       both      ? "%s|%s"
                       : avx2[0] ? "%s"
                                 : "%.0s%s",
                       avx2, avx512);
    }
}

/* Of runs that need the same. */
static bool is_lacking(const struct executor_slurm *slurm, const char *constraint) {
    return constraint[0] && !strcmp(constraint, slurm->lacking.constraint) &&
           slurm_now_s() < slurm->lacking.until_s;
}

/* What sbatch says of features that no node has, or none that may be used. */
static bool says_lacking(const char *message) {
    return strstr(message, "nvalid feature") || strstr(message, "node configuration is not");
}

static void wait_for_node(struct executor_slurm *slurm, struct slurm_job *job) {
    char why[SLURM_REASON_SIZE];
    (void)snprintf(why, sizeof(why), "Slurm has no node with %.60s", slurm->lacking.constraint);
    wait_with(slurm, job, why);
    job->due_at_s = slurm->lacking.until_s;
    job->lacks_node = true;
}

static enum status submit(struct executor_slurm *slurm, struct slurm_job *job,
                          const char *constraint, struct error *error) {
    char script[ATTEMPT_PATH_SIZE];
    char output[ATTEMPT_PATH_SIZE];
    char exclude[1024];
    TRY(attempt_path(job->dir, "job.sh", script, error));
    TRY(attempt_path(job->dir, "output", output, error));
    (void)slurm_nodes_excluded(&slurm->nodes, slurm_now_s(), exclude, sizeof(exclude));
    const struct slurm_order order = {.name = job->handle,
                                      .comment = slurm->comment,
                                      .script = script,
                                      .output = output,
                                      .constraint = constraint,
                                      .exclude = exclude,
                                      .time = "",
                                      .nice = HIGHEST_PRIORITY - job->priority};
    return slurm_submit(&slurm->client, &order, job->id, error);
}

/* Features that no node has are this run's trouble alone; all else concerns the others as well. */
static void note_refusal(struct executor_slurm *slurm, struct slurm_job *job,
                         const char *constraint, const struct error *error) {
    if (constraint[0] && says_lacking(error->message)) {
        log_warning("run %lld waits: no node of Slurm has %s (%s)", (long long)job->report.run_id,
                    constraint, error->message);
        (void)snprintf(slurm->lacking.constraint, sizeof(slurm->lacking.constraint), "%s",
                       constraint);
        slurm->lacking.until_s = slurm_now_s() + LACKING_POLLS * slurm->config->slurm.poll_s;
        wait_for_node(slurm, job);
        return;
    }
    if (!slurm->refusal[0]) {
        log_warning("the executor slurm waits: %s", error->message);
    }
    (void)snprintf(slurm->refusal, sizeof(slurm->refusal), "%s", error->message);
    slurm->submit_at_s = slurm_now_s() + TRY_AGAIN_S;
    wait_with(slurm, job, error->message);
}

/* Whatever goes wrong once sbatch was started: Slurm may have the job. It is looked for before
 * another one is given; should both be there, the second finds the journal of the first and ends.
 */
void slurm_send_job(struct executor_slurm *slurm, struct slurm_job *job) {
    char constraint[2 * CONFIG_TEXT_SIZE];
    struct error error = {.message = ""};
    double now = slurm_now_s();
    if (now < job->due_at_s || now < slurm->submit_at_s || slurm->silence[0]) {
        return;
    }
    find_constraint(slurm, job, constraint);
    if (is_lacking(slurm, constraint)) {
        wait_for_node(slurm, job);
        return;
    }
    job->phase = PHASE_SOUGHT;
    job->lacks_node = false;
    job->sought_since = slurm->n_polls;
    job->sought_at_s = now;
    enum status status = submit(slurm, job, constraint, &error);
    if (status == STATUS_OK) {
        slurm->refusal[0] = '\0';
        job->phase = PHASE_SENT;
        job->moved_at_s = slurm_now_s();
        job->absent_at_s = 0;
        job->why[0] = '\0';
        (void)snprintf(job->state, sizeof(job->state), "PENDING");
        const struct log_subject subject = run_row_subject(job->run);
        log_about(&subject, LOG_LEVEL_INFO, "run %lld: attempt %d is job %s of Slurm",
                  (long long)job->report.run_id, job->report.attempt, job->id);
        slurm_tell_placement(slurm, job);
        return;
    }
    bool never_started = status == STATUS_NOT_FOUND || status == STATUS_IO;
    job->phase = never_started ? PHASE_UNSENT : PHASE_SOUGHT;
    job->sought_at_s = slurm_now_s();
    slurm->poll_at_s = 0;
    note_refusal(slurm, job, constraint, &error);
}
