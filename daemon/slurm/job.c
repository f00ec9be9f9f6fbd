/* Layer: daemon/slurm.
 *
 * Thread rule: reports come from the thread of the executor, one at a time; the main thread waits
 * for signals, reads requests and renews the lease.
 */
#include "daemon/slurm/job.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/text.h"
#include "daemon/slurm/attempt_dir.h"
#include "daemon/slurm/journal.h"
#include "daemon/slurm/record.h"
#include "daemon/work/executor_local.h"
#include "daemon/work/main_signals.h"

/* Steps are told no more often than this. */
static const double STEP_INTERVAL_S = 2.0;
static const double ROUND_S = 1.0;
static const double LEASE_INTERVAL_S = 5.0;
/* Without a sign of movement for so long the lease is not renewed. */
static const double STALLED_S = 600.0;
/* attempt.json may be out of sight for a while. */
static const double ORDER_LAG_S = 90.0;

struct job {
    const char *directory;
    FILE *out;
    struct attempt_order order;
    struct config *config;
    struct dataset_registry *datasets;
    struct executor_local local;
    struct executor executor;
    struct executor_reports reports;
    struct journal journal; /* of the reporting thread, once it runs */
    char checkpoint_dir[ATTEMPT_PATH_SIZE];
    int64_t n_records;
    double step_at_s;
    atomic_int stop;    /* enum record_stop */
    atomic_int written; /* enum status of the outcome's record */
    int ended_fd;       /* an eventfd: the outcome was told, or could not be */
    int signal_fd;
    struct attempt_requests done; /* of the main thread, as the rest */
    double lease_at_s;
    double order_seen_s;
    int64_t n_renewed;
};

static double now_s(void) {
    return clock_monotonic_s(&clock_system);
}

/* ---- reports ---- */

static enum status put(struct job *job, struct record *record, bool flush, struct error *error) {
    record->report = (struct run_report){.run_id = job->order.run.id,
                                         .attempt = job->order.run.attempt,
                                         .number = job->n_records + 1};
    CLEANUP(free_pointer) char *text = record_write(record);
    if (!text) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a report");
    }
    TRY(journal_append(&job->journal, text, flush, error));
    job->n_records++;
    return STATUS_OK;
}

/* Slurm's name of it, where that placed the job. */
static void name_node(char node[RECORD_NODE_SIZE]) {
    const char *given = getenv("SLURMD_NODENAME");
    char host[HOST_NAME_MAX + 1] = "";
    (void)gethostname(host, sizeof(host) - 1);
    (void)snprintf(node, RECORD_NODE_SIZE, "%.63s", given ? given : host);
}

static enum status check_origin(const struct job *job, const struct executor_origin *found,
                                struct error *error) {
    const struct run_row *run = &job->order.run;
    char node[RECORD_NODE_SIZE];
    name_node(node);
    if (strcmp(found->dataset_sha256, run->dataset_sha256) != 0) {
        return error_set(error, STATUS_CONFLICT,
                         "the data set %s on %s is not the one that the daemon has (sha256 %.12s, "
                         "not %.12s)",
                         run->dataset, node, found->dataset_sha256, run->dataset_sha256);
    }
    if (!job->order.any_arithmetic && !executor_keeps_arithmetic(run, found->arithmetic)) {
        return error_set(error, STATUS_UNSUPPORTED,
                         "%s cannot train with the arithmetic %s; its kernels have %s", node,
                         run->arithmetic, found->arithmetic);
    }
    return STATUS_OK;
}

static enum status begin(void *user, const struct run_report *report,
                         struct executor_plan *ret_plan, struct error *error) {
    struct job *job = user;
    struct executor_origin origin;
    struct record record = {.kind = RECORD_BEGIN};
    const char *number = getenv("SLURM_JOB_ID");
    (void)report;
    TRY(job->executor.origin(&job->local, &job->order.run, &origin, error));
    TRY(check_origin(job, &origin, error));
    name_node(record.node);
    (void)snprintf(record.job, sizeof(record.job), "%s", number ? number : "");
    (void)snprintf(record.variant, sizeof(record.variant), "%s", origin.variant);
    (void)snprintf(ret_plan->variant, sizeof(ret_plan->variant), "%s", origin.variant);
    (void)snprintf(ret_plan->run_dir, sizeof(ret_plan->run_dir), "%s", job->checkpoint_dir);
    ret_plan->any_arithmetic = job->order.any_arithmetic;
    ret_plan->checkpoints = job->order.checkpoints; /* given away: the plan frees it */
    job->order.checkpoints = (struct checkpoint_list){0};
    return put(job, &record, true, error);
}

/* One that cannot be written is no loss. */
static enum status step(void *user, const struct run_report *report, const struct step_report *step,
                        struct error *error) {
    struct job *job = user;
    double now = now_s();
    (void)report;
    (void)error;
    if (now - job->step_at_s >= STEP_INTERVAL_S) {
        struct record record = {.kind = RECORD_STEP, .step = *step};
        job->step_at_s = now;
        (void)put(job, &record, false, NULL);
    }
    return STATUS_OK;
}

static enum status epoch(void *user, const struct run_report *report,
                         const struct epoch_report *epoch, struct error *error) {
    struct record record = {.kind = RECORD_EPOCH, .epoch = *epoch};
    (void)report;
    return put(user, &record, true, error);
}

static enum status checkpoint(void *user, const struct run_report *report,
                              const struct checkpoint_report *checkpoint, struct error *error) {
    struct record record = {.kind = RECORD_CHECKPOINT, .checkpoint = *checkpoint};
    const char *slash = strrchr(checkpoint->path, '/');
    (void)report;
    (void)snprintf(record.file, sizeof(record.file), "%s", slash ? slash + 1 : checkpoint->path);
    (void)snprintf(record.sha256, sizeof(record.sha256), "%s", checkpoint->sha256);
    return put(user, &record, true, error);
}

static enum status note(void *user, const struct run_report *report, const char *reason,
                        struct error *error) {
    struct record record = {.kind = RECORD_NOTE};
    (void)report;
    (void)snprintf(record.message, sizeof(record.message), "%s", reason);
    text_make_plain(record.message);
    return put(user, &record, true, error);
}

static enum status fell_back(void *user, const struct run_report *report, const char *path,
                             const char *reason, struct error *error) {
    struct record record = {.kind = RECORD_FALLBACK};
    (void)report;
    (void)snprintf(record.file, sizeof(record.file), "%s", path ? path : "");
    (void)snprintf(record.message, sizeof(record.message), "%s", reason);
    text_make_plain(record.message);
    return put(user, &record, true, error);
}

static void outcome(void *user, const struct run_report *report,
                    const struct executor_outcome *outcome) {
    struct job *job = user;
    struct record record = {.kind = RECORD_OUTCOME,
                            .status = outcome->status,
                            .again = outcome->again,
                            .bounded = outcome->bounded,
                            .needed_bytes = outcome->needed_bytes,
                            .stop = (enum record_stop)atomic_load(&job->stop)};
    struct error error = {.message = ""};
    (void)report;
    (void)snprintf(record.message, sizeof(record.message), "%s", outcome->message);
    text_make_plain(record.message);
    enum status status = put(job, &record, true, &error);
    if (status != STATUS_OK) {
        (void)fprintf(job->out,
                      "cutoutd train: its end cannot be told: %s (it ended with %s: %s)\n",
                      error.message, status_name(outcome->status), outcome->message);
    }
    atomic_store(&job->written, (int)status);
    (void)eventfd_write(job->ended_fd, 1);
}

/* ---- what it is asked ---- */

static void ask(struct job *job, enum executor_request request, enum record_stop stop) {
    int none = RECORD_STOP_NONE;
    if (request != EXECUTOR_CHECKPOINT) {
        (void)atomic_compare_exchange_strong(&job->stop, &none, (int)stop);
    }
    job->executor.ask(&job->local, job->order.run.handle, request);
}

static void obey_signal(struct job *job, int number) {
    if (number == SIGUSR1) {
        ask(job, EXECUTOR_CHECKPOINT, RECORD_STOP_NONE);
    } else {
        ask(job, EXECUTOR_STOP, number == SIGUSR2 ? RECORD_STOP_TIME_LIMIT : RECORD_STOP_SIGNAL);
    }
}

static void obey_requests(struct job *job) {
    struct attempt_requests requests = job->done;
    attempt_requests_read(job->directory, &requests);
    if (requests.n_checkpoints > job->done.n_checkpoints) {
        ask(job, EXECUTOR_CHECKPOINT, RECORD_STOP_NONE);
    }
    if (requests.kill && !job->done.kill) {
        ask(job, EXECUTOR_KILL, RECORD_STOP_REQUEST);
    } else if (requests.stop && !job->done.stop) {
        ask(job, EXECUTOR_STOP, RECORD_STOP_REQUEST);
    }
    job->done = requests;
}

/* The daemon has removed the attempt: nobody wants it any more. */
static void look_for_order(struct job *job, double now) {
    char path[ATTEMPT_PATH_SIZE];
    (void)attempt_path(job->directory, "attempt.json", path, NULL);
    if (access(path, F_OK) == 0 || errno != ENOENT) {
        job->order_seen_s = now;
    } else if (now - job->order_seen_s > ORDER_LAG_S && !job->done.kill) {
        job->done.kill = true;
        ask(job, EXECUTOR_KILL, RECORD_STOP_REQUEST);
    }
}

/* Not flushed: what counts is that others see it change. */
static void renew_lease(struct job *job, double now) {
    char path[ATTEMPT_PATH_SIZE];
    char text[32];
    if (now - job->lease_at_s < LEASE_INTERVAL_S ||
        job->executor.stalled_s(&job->local) > STALLED_S) {
        return;
    }
    (void)attempt_path(job->directory, "lease", path, NULL);
    CLEANUP(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    int n = snprintf(text, sizeof(text), "%012lld\n", (long long)++job->n_renewed);
    if (fd >= 0 && pwrite(fd, text, (size_t)n, 0) == n) {
        job->lease_at_s = now;
    }
    look_for_order(job, now);
}

static void wait_for_end(struct job *job) {
    struct pollfd fds[2] = {{.fd = job->signal_fd, .events = POLLIN},
                            {.fd = job->ended_fd, .events = POLLIN}};
    while (!(fds[1].revents & POLLIN)) {
        struct signalfd_siginfo info;
        (void)poll(fds, 2, (int)(ROUND_S * 1000.0));
        while (read(job->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
            obey_signal(job, (int)info.ssi_signo);
        }
        obey_requests(job);
        renew_lease(job, now_s());
    }
}

/* ---- putting it together ---- */

/* Before there is another thread of ours. */
static enum status take_signals(struct job *job, struct error *error) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGUSR1);
    (void)sigaddset(&set, SIGUSR2);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* the write fails with EFBIG, which says what is wrong */
    job->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    main_signals_block(&set);
    job->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return job->ended_fd >= 0 && job->signal_fd >= 0
               ? STATUS_OK
               : error_set_errno(error, errno, "cannot wait for signals");
}

/* What the daemon's settings are to an attempt. */
static enum status make_config(struct job *job, struct error *error) {
    const struct attempt_order *order = &job->order;
    job->config = calloc(1, sizeof(*job->config));
    if (!job->config) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the settings");
    }
    job->config->shapes_train = order->shapes_train;
    job->config->shapes_test = order->shapes_test;
    if (order->dataset_directory[0]) {
        struct config_dataset *d = &job->config->datasets[job->config->n_datasets++];
        (void)snprintf(d->name, sizeof(d->name), "%s", order->run.dataset);
        (void)snprintf(d->directory, sizeof(d->directory), "%s", order->dataset_directory);
    }
    return dataset_registry_create(job->config, &job->datasets, error);
}

static enum status prepare(struct job *job, struct error *error) {
    char path[ATTEMPT_PATH_SIZE];
    const struct kernels *kernels = NULL;
    TRY(attempt_order_read(job->directory, &job->order, error));
    TRY(attempt_path(job->directory, "checkpoints", job->checkpoint_dir, error));
    TRY(attempt_path(job->directory, "journal", path, error));
    TRY(take_signals(job, error));
    TRY(make_config(job, error));
    TRY(kernels_select(job->order.isa, &kernels, error));
    job->local = (struct executor_local){
        .kernels = kernels,
        .clock = &clock_system,
        .datasets = job->datasets,
        .n_threads = job->order.n_threads,
        .checkpoint_interval_s = job->order.checkpoint_interval_s,
        .memory_limit_bytes = INT64_MAX,
    };
    job->executor = executor_local_make(&job->local);
    job->reports = (struct executor_reports){job,  begin,   step, epoch,     checkpoint,
                                             note, outcome, NULL, fell_back, NULL};
    return journal_create(path, &job->journal, error);
}

static enum status train(struct job *job, struct error *error) {
    TRY(job->executor.open(&job->local, &job->reports, error));
    job->order_seen_s = now_s();
    enum status status = job->executor.start(&job->local, &job->order.run, error);
    if (status == STATUS_OK) {
        wait_for_end(job);
    }
    job->executor.close(&job->local);
    return status;
}

static enum job_exit exit_of(const struct job *job, enum status status) {
    enum status written = (enum status)atomic_load(&job->written);
    if (status != STATUS_OK) {
        return status == STATUS_CONFLICT   ? JOB_EXIT_NOT_MINE
               : status == STATUS_NO_SPACE ? JOB_EXIT_NO_SPACE
                                           : JOB_EXIT_FAILED;
    }
    return written == STATUS_OK         ? JOB_EXIT_TOLD
           : written == STATUS_NO_SPACE ? JOB_EXIT_NO_SPACE
                                        : JOB_EXIT_UNTOLD;
}

static void close_if_open(int fd) {
    if (fd >= 0) {
        (void)close(fd);
    }
}

enum job_exit job_train(const char *directory, FILE *out) {
    struct error error = {.message = ""};
    struct job *job = calloc(1, sizeof(*job));
    if (!job) {
        (void)fputs("cutoutd train: out of memory\n", out);
        return JOB_EXIT_FAILED;
    }
    job->directory = directory;
    job->out = out;
    job->journal.fd = -1;
    job->ended_fd = -1;
    job->signal_fd = -1;
    enum status status = prepare(job, &error);
    status = status == STATUS_OK ? train(job, &error) : status;
    if (status != STATUS_OK) {
        (void)fprintf(out, "cutoutd train: %s\n", error.message);
    }
    enum job_exit code = exit_of(job, status);
    journal_close(&job->journal);
    close_if_open(job->ended_fd);
    close_if_open(job->signal_fd);
    dataset_registry_free(job->datasets);
    attempt_order_clear(&job->order);
    free(job->config);
    free(job);
    return code;
}
