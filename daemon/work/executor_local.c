/* The executor that trains in this process. Layer: daemon/work.
 *
 * Thread rule: `mutex` guards which runs[] are taken; a run's members are its thread's, but for the
 * atomic ones.
 */
#include "daemon/work/executor_local.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/base/log.h"
#include "core/base/regular_file.h"
#include "daemon/spec/run_spec.h"
#include "daemon/work/local_bench.h"
#include "daemon/work/local_kernels.h"
#include "daemon/work/local_origin.h"
#include "daemon/work/recovery.h"

struct local_run {
    struct executor_local *local;
    pthread_t thread;
    bool joinable;                /* guarded by mutex */
    atomic_bool busy;             /* between start and the outcome */
    char handle[RUN_HANDLE_SIZE]; /* guarded by mutex */
    const struct run_row *run;
    struct run_report report; /* names the attempt in every report */
    atomic_int stop;          /* 0, EXECUTOR_STOP, EXECUTOR_KILL */
    atomic_bool checkpoint;   /* one is asked for */
    atomic_ullong heartbeat;  /* counts steps, and what else shows that it moves */
    unsigned long long heard; /* stalled_s's own memory of it, as the next */
    double heard_at_s;
    atomic_bool leaving; /* it knows that it shall stop: what is left is its checkpoint */

    const struct checkpoint_row *from; /* what it goes on from; NULL: from the beginning */
    const char *fallback;              /* to be said as soon as it has gone on; NULL: nothing */
    struct error unread;               /* of a checkpoint that may be whole; STATUS_OK: of none */
    bool moved;                        /* a callback came: it has gone on */
    bool has_images;                   /* what cannot be read from here on is no data set */
    bool pinned;                       /* its thread is */
};

/* ---- callbacks of the trainer ---- */

/* Says where it went on, now that it has: a checkpoint that is named here was intact. */
static enum status note_moved(struct local_run *r, struct error *error) {
    r->moved = true;
    atomic_fetch_add(&r->heartbeat, 1);
    if (!r->fallback) {
        return STATUS_OK;
    }
    char reason[RUN_REASON_SIZE];
    if (r->from) {
        (void)snprintf(reason, sizeof(reason), "%s; went on from epoch %d, step %d", r->fallback,
                       r->from->epochs_done, r->from->step);
    } else {
        (void)snprintf(reason, sizeof(reason), "no checkpoint is intact; started anew");
    }
    const struct log_subject subject = run_row_subject(r->run);
    log_about(&subject, LOG_LEVEL_WARNING, "run %lld: %s", (long long)r->run->id, reason);
    r->fallback = NULL;
    const struct executor_reports *reports = r->local->reports;
    return reports->fell_back ? reports->fell_back(reports->user, &r->report,
                                                   r->from ? r->from->path : NULL, reason, error)
                              : reports->note(reports->user, &r->report, reason, error);
}

static enum status on_step(void *user, const struct step_report *step, struct error *error) {
    struct local_run *r = user;
    TRY(note_moved(r, error));
    return r->local->reports->step(r->local->reports->user, &r->report, step, error);
}

static enum status on_epoch(void *user, const struct epoch_report *epoch, struct error *error) {
    struct local_run *r = user;
    TRY(note_moved(r, error));
    return r->local->reports->epoch(r->local->reports->user, &r->report, epoch, error);
}

static enum status on_checkpoint(void *user, const struct checkpoint_report *checkpoint,
                                 struct error *error) {
    struct local_run *r = user;
    TRY(note_moved(r, error));
    return r->local->reports->checkpoint(r->local->reports->user, &r->report, checkpoint, error);
}

static bool should_stop(void *user) {
    struct local_run *r = user;
    atomic_fetch_add(&r->heartbeat, 1);
    bool leaves = atomic_load(&r->stop) != 0 || atomic_load(&r->local->stopping);
    atomic_store(&r->leaving, leaves);
    return leaves;
}

static bool stops_at_once(void *user) {
    struct local_run *r = user;
    return atomic_load(&r->stop) == EXECUTOR_KILL;
}

static bool should_checkpoint(void *user) {
    struct local_run *r = user;
    return atomic_exchange(&r->checkpoint, false);
}

/* ---- training ---- */

/* What one try needs. */
struct local_try {
    const struct run_spec *spec;
    const struct dataset *dataset;
    const struct executor_plan *plan;
};

/* A thread that has been pinned stays where it is. */
static bool pin(struct local_run *r, int n_threads) {
    if (!r->pinned) {
        r->pinned = local_pin((int)(r - r->local->runs), n_threads);
        if (!r->pinned) {
            log_warning("run %lld: its threads cannot be pinned", (long long)r->run->id);
        }
    }
    return r->pinned;
}

static enum status train_from(struct local_run *r, const struct local_try *t,
                              const struct checkpoint_row *from, struct error *error) {
    struct executor_local *local = r->local;
    char path[EXECUTOR_PATH_SIZE + CHECKPOINT_ROW_PATH_SIZE + 1];
    int n_threads = atomic_load(&local->n_threads);
    const struct trainer_callbacks callbacks = {
        .user = r,
        .on_step = on_step,
        .on_epoch = on_epoch,
        .on_checkpoint = on_checkpoint,
        .should_stop = should_stop,
        .stops_at_once = stops_at_once,
        .should_checkpoint = should_checkpoint,
    };
    struct trainer_options options = {
        .config = &t->spec->config,
        .dataset = t->dataset,
        .kernels = local_kernels_find(local->kernels, t->plan->variant),
        .clock = local->clock,
        .n_threads = n_threads,
        .pin_threads = local->pin_threads && pin(r, n_threads),
        .checkpoint_dir = t->plan->run_dir,
        .checkpoint_interval_s = atomic_load(&local->checkpoint_interval_s),
    };
    if (from) {
        (void)snprintf(path, sizeof(path), "%s/%s", t->plan->run_dir, from->path);
        options.resume_path = path;
        options.resume_sha256 = from->sha256;
        options.resume_foreign = executor_is_foreign(r->run, from);
        options.resume_any_arithmetic = t->plan->any_arithmetic;
        const struct log_subject subject = run_row_subject(r->run);
        log_about(&subject, LOG_LEVEL_INFO, "run %lld: attempt %d goes on from epoch %d, step %d",
                  (long long)r->run->id, r->run->attempt, from->epochs_done, from->step);
    }
    struct trainer_result result = {.epochs_done = 0};
    r->from = from;
    r->moved = false;
    TRY((local->train ? local->train : trainer_run)(&options, &callbacks, &result, error));
    TRY(note_moved(r, error));
    return error_set(error, STATUS_OK, "%s", result.reason);
}

/* Whether the try failed because of the file that it should have gone on from, nothing was trained,
 * and to try it again is of no use: what fails for a moment (the disk, too many open files) says
 * nothing of the file, until the last attempt that the run has. *ret_forbidden: the daemon may not
 * read it, so that it may be whole. */
static bool is_unusable(struct local_run *r, const struct local_try *t,
                        const struct checkpoint_row *from, enum status status,
                        const struct error *why, bool *ret_forbidden) {
    *ret_forbidden = false;
    char path[EXECUTOR_PATH_SIZE + CHECKPOINT_ROW_PATH_SIZE + 1];
    if (r->moved || status != STATUS_IO) {
        return !r->moved && (status == STATUS_CORRUPT || status == STATUS_NOT_FOUND);
    }
    (void)snprintf(path, sizeof(path), "%s/%s", t->plan->run_dir, from->path);
    enum regular_file_look look = regular_file_look(path);
    *ret_forbidden = look == REGULAR_FILE_FORBIDDEN;
    if (look == REGULAR_FILE_FAILED) {
        r->unread = *why;
    }
    return look == REGULAR_FILE_LOST || *ret_forbidden ||
           (look == REGULAR_FILE_FAILED && r->run->interruptions >= RECOVERY_MOST_INTERRUPTIONS);
}

/* A fork goes on from where it was forked or from later ones of its own. What lies before was
 * trained under other settings, so to repeat it under the fork's is another experiment. */
static enum status refuse_anew(const struct local_run *r, struct error *error) {
    const struct run_row *run = r->run;
    if (executor_forked_epoch(run) == 0) {
        return STATUS_OK;
    }
    return r->unread.code != STATUS_OK
               ? error_set(error, r->unread.code, "%s", r->unread.message)
               : error_set(error, STATUS_CORRUPT,
                           "no checkpoint from epoch %d on is intact, and a fork of run %lld does "
                           "not begin before that: fork it again",
                           run->forked_epoch, (long long)run->forked_from);
}

/* Newest checkpoint first, then the ones before it, then from the beginning. */
static enum status train_from_list(struct local_run *r, const struct local_try *t,
                                   struct error *error) {
    const struct checkpoint_list *list = &t->plan->checkpoints;
    struct executor_forbidden forbidden = {.path = NULL};
    for (size_t i = 0; i < list->n; i++) {
        const struct checkpoint_row *from = &list->rows[i];
        if (from->epochs_done < executor_forked_epoch(r->run)) {
            continue;
        }
        struct error why = {.code = STATUS_OK, .message = ""};
        enum status status = train_from(r, t, from, &why);
        bool is_forbidden = false;
        if (!is_unusable(r, t, from, status, &why, &is_forbidden)) {
            return error_set(error, status, "%s", why.message);
        }
        if (is_forbidden) {
            TRY(executor_pass_forbidden(&forbidden, from->path, &why, error));
        }
        const struct log_subject subject = run_row_subject(r->run);
        log_about(&subject, LOG_LEVEL_WARNING, "run %lld: cannot go on from %s: %s",
                  (long long)r->run->id, from->path, why.message);
        if (!r->fallback) {
            r->fallback = status == STATUS_IO ? "the last checkpoint cannot be read"
                                              : "the last checkpoint is damaged";
        }
    }
    TRY(executor_end_forbidden(&forbidden, error));
    TRY(refuse_anew(r, error));
    return train_from(r, t, NULL, error);
}

static enum status train_run(struct local_run *r, struct error *error) {
    struct executor_local *local = r->local;
    const struct executor_reports *reports = local->reports;
    CLEANUP(free_pointer) struct run_spec *spec = NULL;
    CLEANUP(executor_plan_clear) struct executor_plan plan = {.variant = ""};
    char sha256[SHA256_HEX_SIZE];
    struct local_try t = {.plan = &plan};
    TRY(local_read_config(r->run, &spec, error));
    t.spec = spec;
    /* Held from here on, so that what begin looks at is what is trained. */
    TRY(dataset_registry_acquire(local->datasets, r->run->dataset, &t.dataset, sha256, error));
    r->has_images = true;
    enum status status = reports->begin(reports->user, &r->report, &plan, error);
    if (status == STATUS_OK) {
        status = train_from_list(r, &t, error);
    }
    dataset_registry_release(local->datasets, t.dataset);
    return status;
}

static void *thread_main(void *user) {
    struct local_run *r = user;
    const struct executor_reports *reports = r->local->reports;
    const struct run_report report = r->report;
    struct error error = {.code = STATUS_OK};
    local_yield_to_others();
    enum status status = train_run(r, &error);
    bool io = status == STATUS_IO;
    bool unmounted = status != STATUS_OK && !r->moved &&
                     dataset_registry_is_missing(r->local->datasets, r->run->dataset);
    const struct executor_outcome outcome = {
        .status = status,
        .again = status == STATUS_NO_SPACE || io || unmounted,
        .bounded = io && (r->has_images || !unmounted),
        .needed_bytes = status == STATUS_NO_SPACE ? local_checkpoint_bytes(r->local, r->run) : 0,
        .message = error.message};
    /* Free before the outcome is told, which may start the next run: start joins this thread. */
    atomic_store(&r->busy, false);
    reports->outcome(reports->user, &report, &outcome);
    return NULL;
}

/* ---- from outside ---- */

bool executor_local_is_training(const struct executor_local *local) {
    for (int i = 0; i < EXECUTOR_LOCAL_MOST; i++) {
        if (atomic_load(&local->runs[i].busy)) {
            return true;
        }
    }
    return false;
}

static enum status open_local(void *user, const struct executor_reports *reports,
                              struct error *error) {
    struct executor_local *local = user;
    local->runs = calloc(EXECUTOR_LOCAL_MOST, sizeof(*local->runs));
    if (!local->runs) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the runs that are trained");
    }
    (void)pthread_mutex_init(&local->mutex, NULL);
    (void)pthread_mutex_init(&local->bench.mutex, NULL);
    atomic_store(&local->stopping, false);
    local->reports = reports;
    for (int i = 0; i < EXECUTOR_LOCAL_MOST; i++) {
        local->runs[i].local = local;
    }
    return STATUS_OK;
}

/* With the mutex held. */
static struct local_run *find_free(struct executor_local *local) {
    for (int i = 0; i < EXECUTOR_LOCAL_MOST; i++) {
        if (!atomic_load(&local->runs[i].busy)) {
            return &local->runs[i];
        }
    }
    return NULL;
}

/* Its thread tells the outcome, for which it may need the pool's locks: the mutex is not held. */
static void join(struct executor_local *local, struct local_run *r) {
    (void)pthread_mutex_lock(&local->mutex);
    bool joinable = r->joinable;
    r->joinable = false;
    (void)pthread_mutex_unlock(&local->mutex);
    if (joinable) {
        (void)pthread_join(r->thread, NULL);
    }
}

static void forget(struct local_run *r, const struct run_row *run) {
    (void)snprintf(r->handle, sizeof(r->handle), "%s", run->handle);
    r->run = run;
    r->report = (struct run_report){.run_id = run->id, .attempt = run->attempt};
    r->from = NULL;
    r->fallback = NULL;
    r->unread = (struct error){.code = STATUS_OK};
    r->moved = false;
    r->has_images = false;
    r->pinned = false;
    atomic_store(&r->stop, 0);
    atomic_store(&r->leaving, false);
    /* A run that was interrupted before it got on shall get on: if its first step is done, the next
     * end of the daemon is not counted against it. */
    atomic_store(&r->checkpoint, run->interruptions > 0);
}

static enum status start(void *user, const struct run_row *run, struct error *error) {
    struct executor_local *local = user;
    struct local_run *r = find_free(local);
    if (!r) {
        return error_set(error, STATUS_BUSY, "%d runs are trained already", EXECUTOR_LOCAL_MOST);
    }
    join(local, r);
    (void)pthread_mutex_lock(&local->mutex);
    forget(r, run);
    atomic_fetch_add(&r->heartbeat, 1);
    atomic_store(&r->busy, true);
    int code = pthread_create(&r->thread, NULL, thread_main, r);
    r->joinable = code == 0;
    if (code != 0) {
        atomic_store(&r->busy, false);
    }
    (void)pthread_mutex_unlock(&local->mutex);
    return code == 0 ? STATUS_OK : error_set_errno(error, code, "cannot start a thread");
}

static void ask(void *user, const char *handle, enum executor_request request) {
    struct executor_local *local = user;
    (void)pthread_mutex_lock(&local->mutex);
    for (int i = 0; i < EXECUTOR_LOCAL_MOST; i++) {
        struct local_run *r = &local->runs[i];
        bool asked = atomic_load(&r->busy) && strcmp(r->handle, handle) == 0;
        if (asked && request == EXECUTOR_CHECKPOINT) {
            atomic_store(&r->checkpoint, true);
        } else if (asked) {
            atomic_store(&r->stop, (int)request);
        }
    }
    (void)pthread_mutex_unlock(&local->mutex);
}

static int cores(void *user) {
    return atomic_load(&((const struct executor_local *)user)->n_threads);
}

static void share(void *user, int n_workers) {
    struct executor_local *local = user;
    if (local->n_cores > 0 && n_workers > 0) {
        int n = local->n_cores > n_workers ? local->n_cores / n_workers : 1;
        atomic_store(&local->n_threads, n);
    }
}

/* Each run by its own clock: two that step in turns are both seen to move. */
static double stalled_s(void *user) {
    struct executor_local *local = user;
    double now_s = clock_monotonic_s(local->clock);
    double most = 0.0;
    for (int i = 0; i < EXECUTOR_LOCAL_MOST; i++) {
        struct local_run *r = &local->runs[i];
        unsigned long long heartbeat = atomic_load(&r->heartbeat);
        if (!atomic_load(&r->busy) || heartbeat != r->heard) {
            r->heard = heartbeat;
            r->heard_at_s = now_s;
        }
        most = fmax(most, now_s - r->heard_at_s);
    }
    return most;
}

static bool is_saving(void *user) {
    const struct executor_local *local = user;
    bool saving = false;
    for (int i = 0; i < EXECUTOR_LOCAL_MOST; i++) {
        saving |= atomic_load(&local->runs[i].busy) && atomic_load(&local->runs[i].leaving);
    }
    return saving;
}

static void stop(void *user) {
    struct executor_local *local = user;
    atomic_store(&local->stopping, true);
}

static void close_local(void *user) {
    struct executor_local *local = user;
    if (!local->runs) {
        return;
    }
    for (int i = 0; i < EXECUTOR_LOCAL_MOST; i++) {
        join(local, &local->runs[i]);
    }
    (void)pthread_mutex_destroy(&local->mutex);
    (void)pthread_mutex_destroy(&local->bench.mutex);
    local_bench_clear(&local->bench);
    free(local->runs);
    local->runs = NULL;
}

struct executor executor_local_make(struct executor_local *local) {
    return (struct executor){.name = EXECUTOR_NAME_LOCAL,
                             .user = local,
                             .origin = local_origin,
                             .admit = local_admit,
                             .measure = local_bench_measure,
                             .missing = local_missing,
                             .open = open_local,
                             .start = start,
                             .ask = ask,
                             .share = share,
                             .heeds_quiet = true,
                             .cores = cores,
                             .stalled_s = stalled_s,
                             .is_saving = is_saving,
                             .stop = stop,
                             .close = close_local};
}
