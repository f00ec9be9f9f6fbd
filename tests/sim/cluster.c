/* Thread rule: one thread. */
#include "tests/sim/cluster.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "daemon/spec/run_spec.h"
#include "tests/sim/fake_train.h"
#include "tests/sim/sched.h"
#include "tests/sim/sim.h"

enum { MOST_JOBS = 128, MOST_REPORTS = 128 };

enum report_kind { REPORT_STEP, REPORT_EPOCH, REPORT_CHECKPOINT, REPORT_OUTCOME };

struct job_report {
    enum report_kind kind;
    struct epoch_report epoch;
    struct checkpoint_report checkpoint;
    struct checkpoint_file file;
    enum status status;
    bool again;
};

struct job {
    char handle[RUN_HANDLE_SIZE];
    int64_t run_id;
    int attempt;
    int epochs;
    struct fake_state state;
    struct checkpoint_files files;
    char directory[256];
    char resumed[CHECKPOINT_NAME_SIZE]; /* the file that it went on from */
    bool stop;
    bool kill;
    bool checkpoint;
    bool over;     /* trains no more */
    bool followed; /* by the daemon that runs now */
    bool late;     /* an attach did not find it: it reports to every daemon, until one refuses it */
    bool forgotten;
    struct job_report *reports; /* [n_reports] */
    int n_reports;
    int n_told; /* to the daemon that runs now */
};

static struct job jobs[MOST_JOBS];
static int n_jobs;
static bool blind;
static const struct executor_reports *reports;
static int kick_fd = -1;

void cluster_set_blind(bool is_blind) {
    blind = is_blind;
}

void cluster_reset(void) {
    reports = NULL;
    kick_fd = -1;
    for (int i = 0; i < n_jobs; i++) {
        jobs[i].followed = false;
        jobs[i].n_told = 0;
    }
}

int cluster_count(void) {
    int n = 0;
    for (int i = 0; i < n_jobs; i++) {
        n += !jobs[i].over;
    }
    return n;
}

/* ---- what a job does ---- */

static struct job_report *add_report(struct job *job, enum report_kind kind) {
    static struct job_report store[MOST_JOBS][MOST_REPORTS];
    job->reports = store[job - jobs];
    if (job->n_reports == MOST_REPORTS) {
        sim_fail("everything ends", "the job %s reports without an end", job->handle);
    }
    struct job_report *report = &job->reports[job->n_reports++];
    *report = (struct job_report){.kind = kind};
    return report;
}

static void end(struct job *job, enum status status, bool again) {
    struct job_report *report = add_report(job, REPORT_OUTCOME);
    report->status = status;
    report->again = again;
    job->over = true;
}

static bool write_checkpoint(struct job *job, bool best) {
    struct checkpoint_file file;
    if (fake_checkpoint_write(&job->files, &job->state, &file, NULL) != STATUS_OK) {
        end(job, STATUS_NO_SPACE, true);
        return false;
    }
    struct job_report *report = add_report(job, REPORT_CHECKPOINT);
    report->file = file;
    report->checkpoint = (struct checkpoint_report){.best = best,
                                                    .n_bytes = file.n_bytes,
                                                    .epochs_done = job->state.epochs_done,
                                                    .step = job->state.step};
    return true;
}

static void go_on(struct job *job) {
    if (job->kill) {
        end(job, STATUS_IO, true);
    } else if (job->stop) {
        if (write_checkpoint(job, false)) {
            end(job, STATUS_STOPPED, false);
        }
    } else if (job->checkpoint) {
        job->checkpoint = false;
        (void)write_checkpoint(job, false);
    } else if (job->state.epochs_done >= job->epochs) {
        end(job, STATUS_OK, false);
    } else if (job->state.step < METRIC_STEPS) {
        job->state.step++;
        (void)add_report(job, REPORT_STEP);
    } else {
        struct job_report *report = add_report(job, REPORT_EPOCH);
        report->epoch = fake_epoch(&job->state);
        (void)write_checkpoint(job, report->epoch.best);
    }
}

static void kick(void) {
    if (kick_fd >= 0) {
        (void)eventfd_write(kick_fd, 1);
    }
}

void cluster_go_on(struct stream *choices) {
    for (int i = 0; i < n_jobs; i++) {
        if (!jobs[i].over && stream_chance(choices, 60)) {
            go_on(&jobs[i]);
        }
    }
    kick();
}

/* ---- the seam ---- */

static enum status origin(void *user, const struct run_row *run, struct executor_origin *ret_origin,
                          struct error *error) {
    (void)user;
    (void)run;
    (void)error;
    *ret_origin = (struct executor_origin){.variant = SIM_ELSEWHERE,
                                           .arithmetic = "elsewhere-1",
                                           .steps_per_epoch = METRIC_STEPS,
                                           .images_per_epoch = METRIC_IMAGES};
    memset(ret_origin->dataset_sha256, 'd', SHA256_HEX_SIZE - 1);
    return STATUS_OK;
}

static void admit(void *user, const struct run_config *config,
                  struct executor_admission *ret_admission) {
    (void)user;
    (void)config;
    *ret_admission = (struct executor_admission){
        .limit_bytes = INT64_MAX, .has_images = true, .n_train_images = METRIC_IMAGES};
}

static enum status open_cluster(void *user, const struct executor_reports *to,
                                struct error *error) {
    (void)user;
    reports = to;
    kick_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    for (int i = 0; i < n_jobs; i++) {
        jobs[i].followed = jobs[i].late;
    }
    return kick_fd >= 0 ? STATUS_OK : error_set(error, STATUS_IO, "no descriptor");
}

static struct job *find(const char *handle) {
    for (int i = 0; i < n_jobs; i++) {
        if (strcmp(jobs[i].handle, handle) == 0) {
            return &jobs[i];
        }
    }
    return NULL;
}

/* The newest checkpoint that can be read. */
static void resume(struct job *job, const struct executor_plan *plan) {
    checkpoint_files_begin(&job->files, job->directory, NULL);
    for (size_t i = 0; i < plan->checkpoints.n; i++) {
        char path[512];
        struct fake_state state;
        const struct checkpoint_row *row = &plan->checkpoints.rows[i];
        (void)snprintf(path, sizeof(path), "%s/%s", job->directory, row->path);
        if (fake_checkpoint_read(path, row->sha256, &state, NULL) == STATUS_OK) {
            job->state = state;
            checkpoint_files_begin(&job->files, job->directory, path);
            memcpy(job->resumed, job->files.previous, sizeof(job->resumed));
            return;
        }
    }
}

static enum status start(void *user, const struct run_row *run, struct error *error) {
    (void)user;
    const struct run_report report = {.run_id = run->id, .attempt = run->attempt};
    CLEANUP(executor_plan_clear) struct executor_plan plan = {.variant = ""};
    if (find(run->handle)) {
        sim_fail("one running attempt a run", "%s is started twice", run->handle);
    }
    TRY(reports->begin(reports->user, &report, &plan, error));
    if (n_jobs == MOST_JOBS) {
        return error_set(error, STATUS_BUSY, "the cluster is full");
    }
    struct job *job = &jobs[n_jobs];
    *job = (struct job){.run_id = run->id,
                        .attempt = run->attempt,
                        .epochs = run->epochs,
                        .state.seed = metric_seed(run->seed, run->m),
                        .followed = true};
    (void)snprintf(job->handle, sizeof(job->handle), "%s", run->handle);
    (void)snprintf(job->directory, sizeof(job->directory), "%.200s", plan.run_dir);
    sched_calm++; /* the cluster reads by itself */
    resume(job, &plan);
    sched_calm--;
    n_jobs++;
    return STATUS_OK;
}

static enum status attach(void *user, const struct run_row *run, struct error *error) {
    (void)user;
    struct job *job = find(run->handle);
    if (!job || job->forgotten) {
        return error_set(error, STATUS_NOT_FOUND, "nothing was started as %s", run->handle);
    }
    job->followed = true;
    job->late = blind;
    kick();
    return blind ? error_set(error, STATUS_NOT_FOUND, "blind") : STATUS_OK;
}

static void ask(void *user, const char *handle, enum executor_request request) {
    (void)user;
    struct job *job = find(handle);
    if (job) {
        job->stop |= request == EXECUTOR_STOP;
        job->kill |= request == EXECUTOR_KILL;
        job->checkpoint |= request == EXECUTOR_CHECKPOINT;
    }
}

static int events(void *user) {
    (void)user;
    return kick_fd;
}

static enum status tell(struct job *job, int index) {
    const struct executor_reports *to = reports;
    struct job_report *r = &job->reports[index];
    struct error error = {.message = ""};
    struct run_report report = {
        .run_id = job->run_id, .attempt = job->attempt, .number = index + 1};
    const struct step_report step = {.epoch = 1, .epochs = job->epochs, .step = 1};
    const struct executor_outcome outcome = {
        .status = r->status,
        .again = r->again,
        .message = r->status == STATUS_OK ? "" : "as the cluster says"};
    switch (r->kind) {
    case REPORT_STEP:
        return to->step(to->user, &report, &step, &error);
    case REPORT_EPOCH:
        return to->epoch(to->user, &report, &r->epoch, &error);
    case REPORT_CHECKPOINT:
        r->checkpoint.path = r->file.path;
        r->checkpoint.sha256 = r->file.sha256;
        return to->checkpoint(to->user, &report, &r->checkpoint, &error);
    case REPORT_OUTCOME:
        to->outcome(to->user, &report, &outcome);
        job->forgotten = true;
        break;
    }
    return STATUS_OK;
}

/* All but the newest two and the best: of several that were told at once the one before the last is
 * not what the last retirement knew. */
static void retire(struct job *job) {
    const struct job_report *newest[2] = {NULL, NULL};
    for (int i = 0; i < job->n_reports; i++) {
        if (job->reports[i].kind == REPORT_CHECKPOINT) {
            newest[1] = newest[0];
            newest[0] = &job->reports[i];
        }
    }
    (void)snprintf(job->files.previous, sizeof(job->files.previous), "%s",
                   newest[1] ? strrchr(newest[1]->file.path, '/') + 1 : job->resumed);
    sched_calm++;
    checkpoint_files_retire(&job->files, newest[0]->file.path, job->state.best_epoch);
    sched_calm--;
}

/* What the store does not take is told again at the next look. Files go when what replaces them is
 * known. */
static void follow_job(struct job *job) {
    while (job->followed && !job->forgotten && job->n_told < job->n_reports) {
        const struct job_report *r = &job->reports[job->n_told];
        enum status status = tell(job, job->n_told);
        if (status == STATUS_CONFLICT) {
            sim_tell("the cluster ends %s, whose report was refused", job->handle);
            job->over = true;
            job->forgotten = true;
            return;
        }
        if (status != STATUS_OK) {
            return;
        }
        job->n_told++;
        if (r->kind == REPORT_CHECKPOINT && job->n_told == job->n_reports) {
            retire(job);
        }
    }
}

static void follow(void *user) {
    (void)user;
    eventfd_t count;
    (void)eventfd_read(kick_fd, &count);
    for (int i = 0; i < n_jobs; i++) {
        follow_job(&jobs[i]);
    }
}

static int most(void *user) {
    (void)user;
    return SIM_PLACES;
}

static void close_cluster(void *user) {
    (void)user;
    (void)close(kick_fd);
    cluster_reset();
}

struct executor cluster_make(void) {
    return (struct executor){.name = SIM_ELSEWHERE,
                             .origin = origin,
                             .admit = admit,
                             .open = open_cluster,
                             .start = start,
                             .attach = attach,
                             .ask = ask,
                             .events = events,
                             .follow = follow,
                             .most = most,
                             .close = close_cluster};
}
