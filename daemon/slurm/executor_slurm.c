/* The executor slurm as the pool sees it, and its thread. Layer: daemon/slurm.
 *
 * Thread rule: start, attach and ask add to `arrived` and to what is asked, under `mutex`; all else
 * is done by the thread, which alone changes its list, and so reads it without.
 */
#include "daemon/slurm/executor_slurm.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "daemon/slurm/slurm_internal.h"

static const double ROUND_S = 1.0;
/* What attempts have left behind is kept for so long, to be looked at. */
static const time_t KEEP_S = 86400;
static const double SWEEP_S = 3600.0;

enum { SENT_A_ROUND = 5 }; /* calls of sbatch between two looks at the journals */

static void kick(const struct executor_slurm *slurm) {
    (void)eventfd_write(slurm->kick_fd, 1);
}

/* ---- the thread ---- */

/* While a command is waited for. */
static bool follow_meanwhile(void *user) {
    struct executor_slurm *slurm = user;
    for (struct slurm_job *job = slurm->first; job; job = job->next) {
        slurm_follow_job(slurm, job);
    }
    return !atomic_load(&slurm->stopping);
}

static void send_jobs(struct executor_slurm *slurm) {
    int n = 0;
    for (struct slurm_job *job = slurm->first; job && n < SENT_A_ROUND; job = job->next) {
        if (atomic_load(&slurm->stopping)) {
            return;
        }
        if (job->run && job->phase == PHASE_NEW) {
            slurm_begin_job(slurm, job);
        }
        if (job->run && job->phase == PHASE_UNSENT) {
            slurm_send_job(slurm, job);
            n += job->phase != PHASE_UNSENT;
        }
    }
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static void remove_directory(const char *path) {
    (void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void free_job(struct slurm_job *job) {
    journal_reader_clear(&job->reader);
    free(job);
}

/* In the order in which they came. */
static void take_arrived(struct executor_slurm *slurm) {
    (void)pthread_mutex_lock(&slurm->mutex);
    struct slurm_job **link = &slurm->first;
    while (*link) {
        link = &(*link)->next;
    }
    *link = slurm->arrived;
    slurm->arrived = NULL;
    (void)pthread_mutex_unlock(&slurm->mutex);
}

/* Jobs that Slurm has ended and whose outcome was told. */
static void reap(struct executor_slurm *slurm) {
    (void)pthread_mutex_lock(&slurm->mutex);
    struct slurm_job *gone = NULL;
    for (struct slurm_job **link = &slurm->first; *link;) {
        struct slurm_job *job = *link;
        if (!job->run && job->phase == PHASE_GONE) {
            *link = job->next;
            job->next = gone;
            gone = job;
        } else {
            link = &job->next;
        }
    }
    (void)pthread_mutex_unlock(&slurm->mutex);
    while (gone) {
        struct slurm_job *job = gone;
        gone = job->next;
        if (job->has_outcome &&
            (job->outcome.status == STATUS_OK || job->outcome.status == STATUS_STOPPED)) {
            remove_directory(job->dir);
        }
        free_job(job);
    }
}

/* What no job is about to try again is over. */
static void forget_troubles(struct executor_slurm *slurm) {
    bool begins = false;
    bool asks = false;
    for (const struct slurm_job *job = slurm->first; job; job = job->next) {
        begins = begins || (job->run && job->phase == PHASE_NEW);
        asks = asks || (job->run && job->phase < PHASE_SENT && !job->lacks_node);
    }
    if (!begins) {
        slurm->trouble[0] = '\0';
    }
    if (!asks) {
        slurm->refusal[0] = '\0';
        slurm->submit_at_s = 0;
    }
}

static void tell_condition(struct executor_slurm *slurm) {
    struct executor_condition now = {.problem = ""};
    for (const struct slurm_job *job = slurm->first; job; job = job->next) {
        bool runs = slurm_job_has_node(job);
        now.n_running += job->run && runs;
        now.n_pending += job->run && !runs;
    }
    if (slurm->silence[0]) {
        (void)snprintf(now.problem, sizeof(now.problem), "Slurm does not answer: %.400s",
                       slurm->silence);
    } else if (slurm->refusal[0]) {
        (void)snprintf(now.problem, sizeof(now.problem), "Slurm takes no jobs: %.400s",
                       slurm->refusal);
    } else if (slurm->trouble[0]) {
        (void)snprintf(now.problem, sizeof(now.problem), "%.400s", slurm->trouble);
    }
    now.n_excluded =
        slurm_nodes_excluded(&slurm->nodes, slurm_now_s(), now.excluded, sizeof(now.excluded));
    (void)pthread_mutex_lock(&slurm->mutex);
    bool better = slurm->condition.problem[0] && !now.problem[0];
    slurm->condition = now;
    (void)pthread_mutex_unlock(&slurm->mutex);
    if (better && slurm->wake) {
        slurm->wake(slurm->wake_user);
    }
}

static void do_round(struct executor_slurm *slurm) {
    for (struct slurm_job *job = slurm->first; job; job = job->next) {
        slurm_follow_job(slurm, job);
        slurm_carry_out(slurm, job);
        slurm_settle(slurm, job);
    }
    send_jobs(slurm);
    slurm_poll(slurm);
    for (struct slurm_job *job = slurm->first; job; job = job->next) {
        slurm_settle(slurm, job);
    }
    slurm_cancel_jobs(slurm);
    reap(slurm);
    forget_troubles(slurm);
    tell_condition(slurm);
}

/* Attempts of which nobody knows any more. */
static void sweep(struct executor_slurm *slurm) {
    DIR *directory = opendir(slurm->base);
    if (!directory) {
        return;
    }
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        struct stat info;
        char path[ATTEMPT_PATH_SIZE];
        bool attempt = !strncmp(entry->d_name, "run-", 4);
        const struct slurm_job *job = slurm->first;
        while (job && strcmp(job->handle, entry->d_name) != 0) {
            job = job->next;
        }
        if (attempt && !job && attempt_path(slurm->base, entry->d_name, path, NULL) == STATUS_OK &&
            stat(path, &info) == 0 && info.st_mtime + KEEP_S < time(NULL)) {
            remove_directory(path);
        }
    }
    (void)closedir(directory);
}

static void *thread_main(void *user) {
    struct executor_slurm *slurm = user;
    struct pollfd fd = {.fd = slurm->kick_fd, .events = POLLIN};
    double sweep_at_s = 0;
    while (!atomic_load(&slurm->stopping)) {
        eventfd_t count;
        bool idle = !slurm->first && !slurm->silence[0];
        (void)poll(&fd, 1, idle || !atomic_load(&slurm->begun) ? -1 : (int)(ROUND_S * 1000.0));
        (void)eventfd_read(slurm->kick_fd, &count);
        if (!atomic_load(&slurm->begun) || atomic_load(&slurm->stopping)) {
            continue;
        }
        take_arrived(slurm);
        if (slurm_now_s() >= sweep_at_s) {
            sweep(slurm);
            sweep_at_s = slurm_now_s() + SWEEP_S;
        }
        do_round(slurm);
    }
    return NULL;
}

/* ---- as the pool sees it ---- */

static enum status find_program(struct executor_slurm *slurm, struct error *error) {
    const char *given = slurm->config->slurm.program;
    if (given[0]) {
        (void)snprintf(slurm->program, sizeof(slurm->program), "%s", given);
        return STATUS_OK;
    }
    ssize_t n = readlink("/proc/self/exe", slurm->program, sizeof(slurm->program) - 1);
    if (n <= 0 || strchr(slurm->program, '\'')) {
        return error_set(error, STATUS_NOT_FOUND,
                         "where this program is cannot be found out: set program in [slurm]");
    }
    slurm->program[n] = '\0';
    return STATUS_OK;
}

static enum status open_slurm(void *user, const struct executor_reports *reports,
                              struct error *error) {
    struct executor_slurm *slurm = user;
    slurm->reports = reports;
    TRY(slurm_client_open(&slurm->client, slurm->config, error));
    slurm->client.meanwhile = follow_meanwhile;
    slurm->client.user = slurm;
    TRY(find_program(slurm, error));
    (void)snprintf(slurm->base, sizeof(slurm->base), "%s/cutoutd-%s",
                   slurm->config->slurm.shared_dir, slurm->instance);
    (void)snprintf(slurm->comment, sizeof(slurm->comment), "cutoutd:%s", slurm->instance);
    (void)pthread_mutex_init(&slurm->mutex, NULL);
    slurm->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int code =
        slurm->kick_fd >= 0 ? pthread_create(&slurm->thread, NULL, thread_main, slurm) : errno;
    slurm->has_thread = code == 0;
    return code == 0 ? STATUS_OK : error_set_errno(error, code, "cannot start a thread");
}

static struct slurm_job *job_new(const struct executor_slurm *slurm, const struct run_row *run,
                                 struct error *error) {
    struct slurm_job *job = calloc(1, sizeof(*job));
    if (!job) {
        (void)error_set(error, STATUS_NO_MEMORY, "no memory for a job");
        return NULL;
    }
    job->run = run;
    job->report = (struct run_report){.run_id = run->id, .attempt = run->attempt};
    job->priority = run->priority;
    job->asked_priority = run->priority;
    job->best_epoch = run->best_epoch;
    job->moved_at_s = slurm_now_s();
    (void)snprintf(job->handle, sizeof(job->handle), "%s", run->handle);
    if (attempt_path(slurm->base, run->handle, job->dir, error) != STATUS_OK) {
        free(job);
        return NULL;
    }
    return job;
}

static void add_job(struct executor_slurm *slurm, struct slurm_job *job) {
    (void)pthread_mutex_lock(&slurm->mutex);
    struct slurm_job **link = &slurm->arrived;
    while (*link) {
        link = &(*link)->next;
    }
    *link = job;
    (void)pthread_mutex_unlock(&slurm->mutex);
    kick(slurm);
}

static enum status start(void *user, const struct run_row *run, struct error *error) {
    struct executor_slurm *slurm = user;
    struct slurm_job *job = job_new(slurm, run, error);
    if (!job) {
        return STATUS_NO_MEMORY;
    }
    add_job(slurm, job);
    return STATUS_OK;
}

/* Without its order nothing was given to Slurm. Where not even the directory of all attempts is,
 * the file system may not be mounted. */
static bool was_never_sent(const struct executor_slurm *slurm, const struct slurm_job *job) {
    char path[ATTEMPT_PATH_SIZE];
    return access(slurm->base, F_OK) == 0 &&
           attempt_path(job->dir, "attempt.json", path, NULL) == STATUS_OK &&
           access(path, F_OK) != 0 && errno == ENOENT;
}

static enum status attach(void *user, const struct run_row *run, struct error *error) {
    struct executor_slurm *slurm = user;
    struct slurm_job *job = job_new(slurm, run, error);
    if (!job) {
        return STATUS_NO_MEMORY;
    }
    if (was_never_sent(slurm, job)) {
        free_job(job);
        return error_set(error, STATUS_NOT_FOUND, "%s was not given to Slurm", run->handle);
    }
    job->phase = PHASE_SOUGHT;
    job->sought_at_s = slurm_now_s();
    (void)snprintf(job->variant, sizeof(job->variant), "%s", run->variant);
    (void)snprintf(job->node, sizeof(job->node), "%s", run->placement.node);
    add_job(slurm, job);
    return STATUS_OK;
}

/* With the mutex held. */
static struct slurm_job *find_job(struct executor_slurm *slurm, const char *handle) {
    struct slurm_job *lists[] = {slurm->first, slurm->arrived};
    for (int i = 0; i < 2; i++) {
        for (struct slurm_job *job = lists[i]; job; job = job->next) {
            if (!strcmp(job->handle, handle)) {
                return job;
            }
        }
    }
    return NULL;
}

static void ask(void *user, const char *handle, enum executor_request request) {
    struct executor_slurm *slurm = user;
    (void)pthread_mutex_lock(&slurm->mutex);
    struct slurm_job *job = find_job(slurm, handle);
    if (job) {
        job->asked.n_checkpoints += request == EXECUTOR_CHECKPOINT;
        job->asked.stop = job->asked.stop || request == EXECUTOR_STOP;
        job->asked.kill = job->asked.kill || request == EXECUTOR_KILL;
    }
    (void)pthread_mutex_unlock(&slurm->mutex);
    kick(slurm);
}

static void prioritize(void *user, const char *handle, int priority) {
    struct executor_slurm *slurm = user;
    (void)pthread_mutex_lock(&slurm->mutex);
    struct slurm_job *job = find_job(slurm, handle);
    if (job) {
        job->asked_priority = priority;
    }
    (void)pthread_mutex_unlock(&slurm->mutex);
    kick(slurm);
}

static enum status origin(void *user, const struct run_row *run, struct executor_origin *ret_origin,
                          struct error *error) {
    struct executor_slurm *slurm = user;
    return slurm->local->origin(slurm->local->user, run, ret_origin, error);
}

static void admit(void *user, const struct run_config *config,
                  struct executor_admission *ret_admission) {
    struct executor_slurm *slurm = user;
    int64_t mem = slurm->config->slurm.mem_bytes;
    slurm->local->admit(slurm->local->user, config, ret_admission);
    ret_admission->limit_bytes = mem > 0 ? mem : INT64_MAX;
}

static void missing(void *user, char *text, size_t size) {
    struct executor_slurm *slurm = user;
    dataset_registry_write_missing(slurm->datasets, EXECUTOR_NAME_SLURM, text, size);
}

static int most(void *user) {
    struct executor_slurm *slurm = user;
    if (!atomic_exchange(&slurm->begun, true)) {
        kick(slurm);
    }
    (void)pthread_mutex_lock(&slurm->mutex);
    bool ready = !slurm->condition.problem[0];
    (void)pthread_mutex_unlock(&slurm->mutex);
    return ready ? slurm->config->slurm.max_jobs : 0;
}

static void describe(void *user, struct executor_condition *ret_condition) {
    struct executor_slurm *slurm = user;
    (void)pthread_mutex_lock(&slurm->mutex);
    *ret_condition = slurm->condition;
    (void)pthread_mutex_unlock(&slurm->mutex);
}

static void close_slurm(void *user) {
    struct executor_slurm *slurm = user;
    atomic_store(&slurm->stopping, true);
    if (slurm->has_thread) {
        kick(slurm);
        (void)pthread_join(slurm->thread, NULL);
    }
    take_arrived(slurm);
    while (slurm->first) {
        struct slurm_job *job = slurm->first;
        slurm->first = job->next;
        free_job(job);
    }
    if (slurm->kick_fd >= 0) {
        (void)close(slurm->kick_fd);
    }
    (void)pthread_mutex_destroy(&slurm->mutex);
}

/* What waits in Slurm uses nothing yet: slurm_tell_placement. */
static int cores(void *user) {
    (void)user;
    return 0;
}

struct executor executor_slurm_make(struct executor_slurm *slurm) {
    return (struct executor){.name = EXECUTOR_NAME_SLURM,
                             .user = slurm,
                             .heeds_quiet = slurm->config->slurm.heeds_quiet,
                             .origin = origin,
                             .admit = admit,
                             .missing = missing,
                             .open = open_slurm,
                             .start = start,
                             .attach = attach,
                             .ask = ask,
                             .prioritize = prioritize,
                             .most = most,
                             .cores = cores,
                             .describe = describe,
                             .close = close_slurm};
}
