/* The pool, as it is seen from outside. Layer: daemon/work. Thread rule: see pool_threads.c. */
#include "daemon/work/pool.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/decimal.h"
#include "core/base/log.h"
#include "daemon/store/change/setting_change.h"
#include "daemon/work/pool_internal.h"

/* ---- settings ---- */

static const char SETTING_WORKERS[] = "workers";
static const char SETTING_DRAINING[] = "draining";

/* A number that was set over the API; *ret_number stays when none was. */
static enum status read_number(const struct pool *pool, const char *name, int *ret_number,
                               struct error *error) {
    char text[16];
    enum status status = setting_table_get(pool->options.store, name, text, sizeof(text), error);
    if (status == STATUS_OK) {
        (void)text_to_int(text, 0, POOL_MAX_WORKERS, ret_number);
    }
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static void share(const struct pool *pool, int n_workers) {
    for (size_t i = 0; i < pool->options.n_executors; i++) {
        const struct executor *e = &pool->options.executors[i];
        if (e->share) {
            e->share(e->user, n_workers);
        }
    }
}

enum status pool_set_workers(struct pool *pool, int n_workers, struct error *error) {
    (void)pthread_mutex_lock(&pool->growing);
    char value[16];
    char before[32];
    char after[32];
    (void)snprintf(value, sizeof(value), "%d", n_workers);
    (void)snprintf(before, sizeof(before), "{\"workers\":%d}", atomic_load(&pool->n_workers));
    (void)snprintf(after, sizeof(after), "{\"workers\":%d}", n_workers);
    const struct setting_change change = {
        .name = SETTING_WORKERS, .value = value, .before = before, .after = after};
    enum status status = setting_change(pool->options.store, &change, error);
    if (status == STATUS_OK) {
        share(pool, n_workers);
        atomic_store(&pool->n_workers, n_workers);
    }
    (void)pthread_mutex_unlock(&pool->growing);
    queue_wake(pool->options.queue);
    return status;
}

bool pool_configure_workers(struct pool *pool, int n_workers) {
    (void)pthread_mutex_lock(&pool->growing);
    int stored = 0; /* one that cannot be read is taken for set: the setting stays as it is */
    bool free_to_change =
        read_number(pool, SETTING_WORKERS, &stored, NULL) == STATUS_OK && stored == 0;
    if (free_to_change) {
        share(pool, n_workers);
        atomic_store(&pool->n_workers, n_workers);
    }
    (void)pthread_mutex_unlock(&pool->growing);
    queue_wake(pool->options.queue);
    return free_to_change;
}

void pool_set_limits(struct pool *pool, int max_running, int64_t max_disk) {
    atomic_store(&pool->max_running, max_running);
    atomic_store(&pool->max_disk, max_disk);
    queue_wake(pool->options.queue);
}

void pool_set_arithmetic_change(struct pool *pool, enum arithmetic_change rule) {
    atomic_store(&pool->attempts.arithmetic_change, (int)rule);
}

enum status pool_set_draining(struct pool *pool, bool draining,
                              const struct idempotency_answer *answer, struct error *error) {
    static const char is_draining[] = "{\"draining\":true}";
    static const char is_not_draining[] = "{\"draining\":false}";
    (void)pthread_mutex_lock(&pool->growing);
    const char *before = atomic_load(&pool->draining) ? is_draining : is_not_draining;
    const struct setting_change change = {.name = SETTING_DRAINING,
                                          .value = draining ? "1" : "0",
                                          .before = before,
                                          .after = draining ? is_draining : is_not_draining,
                                          .answer = answer};
    enum status status = setting_change(pool->options.store, &change, error);
    if (status == STATUS_OK) {
        atomic_store(&pool->draining, draining);
    }
    (void)pthread_mutex_unlock(&pool->growing);
    queue_wake(pool->options.queue);
    return status;
}

/* ---- begin and stop ---- */

static enum status read_settings(struct pool *pool, struct error *error) {
    int n_workers = pool->options.n_workers;
    int draining = 0;
    TRY(read_number(pool, SETTING_WORKERS, &n_workers, error));
    TRY(read_number(pool, SETTING_DRAINING, &draining, error));
    atomic_store(&pool->n_workers, n_workers);
    atomic_store(&pool->draining, draining != 0);
    if (n_workers != pool->options.n_workers) {
        log_info("%d worker(s), as was set by the API; the config says %d", n_workers,
                 pool->options.n_workers);
    }
    if (atomic_load(&pool->draining)) {
        log_warning("the scheduler is draining: no run starts before POST /scheduler/resume");
    }
    share(pool, n_workers);
    return STATUS_OK;
}

static enum status open_executors(struct pool *pool, struct error *error) {
    for (; pool->n_open < pool->options.n_executors; pool->n_open++) {
        const struct executor *e = &pool->options.executors[pool->n_open];
        TRY(e->open(e->user, &pool->attempts.reports, error));
    }
    return STATUS_OK;
}

enum status pool_create(const struct pool_options *options, struct pool **ret_pool,
                        struct error *error) {
    struct pool *pool = calloc(1, sizeof(*pool));
    if (!pool) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the pool");
    }
    pool->options = *options;
    pool->quiet = options->quiet;
    atomic_store(&pool->max_running, options->max_running);
    atomic_store(&pool->max_disk, options->max_disk);
    pool->look_at_s = (double)INFINITY;
    for (size_t i = 0; i < options->n_executors; i++) {
        pool->names[i] = options->executors[i].name;
    }
    (void)pthread_mutex_init(&pool->moves, NULL);
    (void)pthread_mutex_init(&pool->growing, NULL);
    (void)pthread_mutex_init(&pool->telling, NULL);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&pool->ended, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    attempt_table_init(&pool->attempts, &pool->options, pool_on_outcome, pool);
    pool->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    enum status status = pool->wake_fd >= 0
                             ? open_executors(pool, error)
                             : error_set(error, STATUS_IO, "no file descriptor for the pool");
    status = status == STATUS_OK ? read_settings(pool, error) : status;
    if (status != STATUS_OK) {
        pool_stop(pool);
        return status;
    }
    *ret_pool = pool;
    return STATUS_OK;
}

enum status pool_attach(struct pool *pool, int64_t run_id, struct error *error) {
    struct attempt *a = NULL;
    TRY(attempt_new(&a, error));
    enum status status = run_table_get(pool->options.store, run_id, &a->run, error);
    a->executor = status == STATUS_OK ? pool_executor(pool, a->run.executor) : NULL;
    if (!a->executor || !a->executor->attach) {
        attempt_free(a);
        return status != STATUS_OK ? status
                                   : error_set(error, STATUS_NOT_FOUND, "nobody trains run %lld",
                                               (long long)run_id);
    }
    a->request = a->run.request;
    (void)pthread_mutex_lock(&pool->moves);
    attempt_table_add(&pool->attempts, a);
    (void)pthread_mutex_unlock(&pool->moves);
    status = a->executor->attach(a->executor->user, &a->run, error);
    (void)pthread_mutex_lock(&pool->moves);
    a->started = status == STATUS_OK;
    pool_pass_on_request(a);
    bool left = status == STATUS_OK && a->ended && pool_leave(pool, a);
    if (status != STATUS_OK) {
        progress_board_clear(pool->options.progress, a->slot);
        attempt_table_remove(&pool->attempts, a);
        attempt_free(a);
    }
    (void)pthread_mutex_unlock(&pool->moves);
    if (left) {
        pool_forget(pool, a);
    }
    return status;
}

enum status pool_begin(struct pool *pool, struct error *error) {
    for (int i = 0; i < POOL_THREADS; i++) { /* time before they were there does not count */
        pool->heard_at_s[i] = clock_monotonic_s(pool->options.clock);
    }
    int code = pthread_create(&pool->follower, NULL, pool_follow, pool);
    pool->following = code == 0;
    if (code == 0) {
        code = pthread_create(&pool->dispatcher, NULL, pool_dispatch, pool);
        pool->dispatching = code == 0;
    }
    return code == 0 ? STATUS_OK : error_set_errno(error, code, "cannot start a thread");
}

void pool_ask_stop(struct pool *pool) {
    if (!pool) {
        return;
    }
    atomic_store(&pool->stop, true);
    for (size_t i = 0; i < pool->n_open; i++) {
        const struct executor *e = &pool->options.executors[i];
        if (e->stop) {
            e->stop(e->user);
        }
    }
    queue_wake(pool->options.queue);
    pool_wake_follower(pool);
}

/* With moves held. Those that are trained elsewhere do not end with the process. */
static int count_trained_here(const struct pool *pool) {
    int n = 0;
    for (const struct attempt *a = pool->attempts.first; a; a = a->next) {
        n += a->executor->stop && !a->ended;
    }
    return n;
}

int pool_wait_idle(struct pool *pool, double most_s) {
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    double whole_s = floor(most_s);
    until.tv_sec += (time_t)whole_s;
    until.tv_nsec += (long)((most_s - whole_s) * 1e9);
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    int code = 0;
    (void)pthread_mutex_lock(&pool->moves);
    int n = count_trained_here(pool);
    while (n > 0 && code == 0) {
        code = pthread_cond_timedwait(&pool->ended, &pool->moves, &until);
        n = count_trained_here(pool);
    }
    (void)pthread_mutex_unlock(&pool->moves);
    return n;
}

bool pool_is_saving(const struct pool *pool) {
    for (size_t i = 0; i < pool->n_open; i++) {
        const struct executor *e = &pool->options.executors[i];
        if (e->is_saving && e->is_saving(e->user)) {
            return true;
        }
    }
    return false;
}

void pool_stop(struct pool *pool) {
    if (!pool) {
        return;
    }
    pool_ask_stop(pool);
    if (pool->dispatching) {
        (void)pthread_join(pool->dispatcher, NULL);
    }
    if (pool->following) {
        (void)pthread_join(pool->follower, NULL);
    }
    for (size_t i = 0; i < pool->n_open; i++) {
        const struct executor *e = &pool->options.executors[i];
        e->close(e->user);
    }
    attempt_table_destroy(&pool->attempts);
    if (pool->wake_fd >= 0) {
        (void)close(pool->wake_fd);
    }
    (void)pthread_mutex_destroy(&pool->telling);
    (void)pthread_cond_destroy(&pool->ended);
    (void)pthread_mutex_destroy(&pool->growing);
    (void)pthread_mutex_destroy(&pool->moves);
    free(pool);
}

/* ---- from outside ---- */

/* The row is read under the lock: of two changes, whoever comes last tells the later one. */
void pool_note_priority(struct pool *pool, int64_t run_id) {
    (void)pthread_mutex_lock(&pool->moves);
    const struct attempt *a = attempt_table_find(&pool->attempts, run_id);
    CLEANUP(run_row_clear) struct run_row row = {0};
    if (a && a->started && !a->ended && a->executor->prioritize &&
        run_table_get(pool->options.store, run_id, &row, NULL) == STATUS_OK) {
        a->executor->prioritize(a->executor->user, a->run.handle, row.priority);
    }
    (void)pthread_mutex_unlock(&pool->moves);
}

/* The lock keeps every run where its row says it is, from the first row that is read to the last
 * executor that is told. What an executor obeys is stored first. */
enum status pool_act(struct pool *pool, const struct queue_action *asked,
                     struct run_outcomes *ret_outcomes, struct error *error) {
    (void)pthread_mutex_lock(&pool->moves);
    enum status status = queue_act(pool->options.queue, asked, ret_outcomes, error);
    for (size_t i = 0; status == STATUS_OK && i < ret_outcomes->n; i++) {
        const struct run_outcome *outcome = &ret_outcomes->items[i];
        struct attempt *a = outcome->action == BATCH_REQUEST
                                ? attempt_table_find(&pool->attempts, outcome->id)
                                : NULL;
        if (a) {
            a->request = outcome->row.request;
            pool_pass_on_request(a);
        }
    }
    (void)pthread_mutex_unlock(&pool->moves);
    return status;
}

bool pool_checkpoint(struct pool *pool, int64_t run_id) {
    (void)pthread_mutex_lock(&pool->moves);
    const struct attempt *a = attempt_table_find(&pool->attempts, run_id);
    bool asked = a && a->started && !a->ended;
    if (asked) {
        a->executor->ask(a->executor->user, a->run.handle, EXECUTOR_CHECKPOINT);
    }
    (void)pthread_mutex_unlock(&pool->moves);
    return asked;
}

void pool_get_status(struct pool *pool, struct pool_status *ret_status) {
    *ret_status = (struct pool_status){.n_workers = atomic_load(&pool->n_workers),
                                       .n_running = attempt_table_count(&pool->attempts, NULL),
                                       .draining = atomic_load(&pool->draining),
                                       .max_running = atomic_load(&pool->max_running),
                                       .max_disk = atomic_load(&pool->max_disk)};
    int64_t change_ms = 0;
    if (pool_is_quiet(pool, &change_ms)) {
        ret_status->quiet_until_ms = change_ms > 0 ? change_ms : INT64_MAX;
    }
    (void)pthread_mutex_lock(&pool->telling);
    (void)snprintf(ret_status->waits_for, sizeof(ret_status->waits_for), "%s", pool->waits_for);
    (void)pthread_mutex_unlock(&pool->telling);
}

const struct executor *pool_executor(const struct pool *pool, const char *name) {
    for (size_t i = 0; i < pool->options.n_executors; i++) {
        if (!name[0] || strcmp(pool->options.executors[i].name, name) == 0) {
            return &pool->options.executors[i];
        }
    }
    return NULL;
}

int pool_places(const struct pool *pool, const struct executor *executor) {
    return executor->most ? executor->most(executor->user) : atomic_load(&pool->n_workers);
}

int pool_count_running(struct pool *pool, const struct executor *executor) {
    return attempt_table_count(&pool->attempts, executor);
}

const char *const *pool_executor_names(const struct pool *pool, size_t *ret_n) {
    *ret_n = pool->options.n_executors;
    return pool->names;
}

double pool_runs_stalled_s(struct pool *pool) {
    double most = 0.0;
    for (size_t i = 0; i < pool->n_open; i++) {
        const struct executor *e = &pool->options.executors[i];
        most = fmax(most, e->stalled_s ? e->stalled_s(e->user) : 0.0);
    }
    return most;
}

double pool_scheduler_stalled_s(struct pool *pool) {
    const bool there[POOL_THREADS] = {pool->dispatching, pool->following};
    double now_s = clock_monotonic_s(pool->options.clock);
    double most = 0.0;
    for (int i = 0; i < POOL_THREADS; i++) {
        unsigned long long rounds = atomic_load(&pool->rounds[i]);
        if (!there[i] || rounds != pool->heard[i]) {
            pool->heard[i] = rounds;
            pool->heard_at_s[i] = now_s;
        }
        most = fmax(most, now_s - pool->heard_at_s[i]);
    }
    queue_wake(pool->options.queue);
    pool_wake_follower(pool);
    return most;
}
