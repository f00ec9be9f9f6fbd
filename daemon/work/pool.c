/* The workers. Layer: daemon/work.
 *
 * Each worker is a thread with a slot. `moves` is held while a run enters or leaves a slot together
 * with its move in the store, so that a request always finds a run either in the store's queue or
 * in a slot, never in between. `mutex` and `stopped` only let a waiting worker be woken when the
 * daemon stops. Order: moves, then everything else; mutex is a leaf.
 */
#include "daemon/work/pool.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "core/base/log.h"
#include "daemon/store/change/setting_change.h"
#include "daemon/work/attempt.h"

struct slot {
    struct pool *pool;
    int index;
    pthread_t thread;
    bool started;             /* the thread exists; guarded by growing */
    int64_t run_id;           /* guarded by moves; 0: idle */
    atomic_int request;       /* enum run_request of the run in the slot */
    atomic_bool idle;         /* waiting for work */
    atomic_ullong heartbeat;  /* moves on while the worker does */
    unsigned long long heard; /* pool_is_alive's own memory of it */
};

struct pool {
    struct pool_options options;
    pthread_mutex_t moves;
    pthread_mutex_t growing; /* the number of threads, and the settings that are stored */
    atomic_int n_workers;    /* wanted: no run starts while so many are running */
    atomic_bool draining;
    atomic_bool stop;
    pthread_mutex_t mutex;
    pthread_cond_t stopped;
    struct slot *slots; /* [POOL_MAX_WORKERS] */
};

/* Waits, unless the daemon stops. */
static void wait_a_while(struct pool *pool, double seconds) {
    struct timespec deadline;
    (void)clock_gettime(CLOCK_MONOTONIC, &deadline);
    int64_t ns = (int64_t)deadline.tv_nsec + (int64_t)(seconds * 1e9);
    deadline.tv_sec += (time_t)(ns / 1000000000);
    deadline.tv_nsec = (long)(ns % 1000000000);
    (void)pthread_mutex_lock(&pool->mutex);
    int code = 0;
    while (!atomic_load(&pool->stop) && code == 0) {
        code = pthread_cond_timedwait(&pool->stopped, &pool->mutex, &deadline);
    }
    (void)pthread_mutex_unlock(&pool->mutex);
}

/* With moves held. */
static int count_running(const struct pool *pool) {
    int n_running = 0;
    for (int i = 0; i < POOL_MAX_WORKERS; i++) {
        n_running += pool->slots[i].run_id != 0;
    }
    return n_running;
}

static enum status take_run(struct slot *slot, struct run_row *ret_run, struct error *error) {
    struct pool *pool = slot->pool;
    (void)pthread_mutex_lock(&pool->moves);
    /* What changes either answer wakes the queue as well. */
    bool may_start =
        !atomic_load(&pool->draining) && count_running(pool) < atomic_load(&pool->n_workers);
    enum status status = may_start
                             ? queue_claim(pool->options.queue, ret_run, error)
                             : error_set(error, STATUS_NOT_FOUND, "no run may start at present");
    if (status == STATUS_OK) {
        slot->run_id = ret_run->id;
        atomic_store(&slot->request, RUN_REQUEST_NONE);
    }
    (void)pthread_mutex_unlock(&pool->moves);
    return status;
}

static enum status store_verdict(struct slot *slot, int64_t run_id, const struct verdict *verdict,
                                 struct error *error) {
    struct queue *queue = slot->pool->options.queue;
    enum run_request request = (enum run_request)atomic_load(&slot->request);
    if (verdict->to == RUN_QUEUED && request != RUN_REQUEST_NONE) {
        return queue_finish(queue, run_id, run_request_state(request), run_request_reason(request),
                            error);
    }
    return verdict->to == RUN_QUEUED
               ? queue_requeue(queue, run_id, verdict->reason, error)
               : queue_finish(queue, run_id, verdict->to, verdict->reason, error);
}

/* Empties the slot once the move is stored; after a refusal too, because then the row is not ours.
 */
static enum status leave_run(struct slot *slot, int64_t run_id, const struct verdict *verdict,
                             struct error *error) {
    (void)pthread_mutex_lock(&slot->pool->moves);
    enum status status = store_verdict(slot, run_id, verdict, error);
    if (status == STATUS_OK || status == STATUS_CONFLICT || status == STATUS_NOT_FOUND) {
        slot->run_id = 0;
    }
    bool left = slot->run_id == 0;
    (void)pthread_mutex_unlock(&slot->pool->moves);
    if (left) {
        /* Followers that read between the commit and this saw progress of a finished run: tell
         * them to look again. */
        progress_board_clear(slot->pool->options.progress, slot->index);
        hub_publish(slot->pool->options.hub, run_id);
        queue_wake(slot->pool->options.queue); /* there is room for one more */
    }
    return left ? STATUS_OK : status;
}

/* Tries until the verdict is stored. When the daemon stops first, the row stays `running` and the
 * next start recovers it. */
static void carry_out(struct slot *slot, int64_t run_id, const struct verdict *verdict) {
    struct pool *pool = slot->pool;
    struct error error;
    while (leave_run(slot, run_id, verdict, &error) != STATUS_OK) {
        log_error("run %lld: cannot store that it is %s: %s", (long long)run_id,
                  run_state_name(verdict->to), error.message);
        if (atomic_load(&pool->stop)) {
            return;
        }
        atomic_fetch_add(&slot->heartbeat, 1);
        wait_a_while(pool, pool->options.retry_delay_s);
    }
    log_info("run %lld: %s%s%s%s", (long long)run_id, run_state_name(verdict->to),
             verdict->reason[0] ? " (" : "", verdict->reason, verdict->reason[0] ? ")" : "");
}

static void see_through(struct slot *slot, const struct run_row *run) {
    struct pool *pool = slot->pool;
    const struct attempt attempt = {
        .options = &pool->options,
        .slot = slot->index,
        .run = run,
        .request = &slot->request,
        .stop = &pool->stop,
        .heartbeat = &slot->heartbeat,
    };
    struct verdict verdict;
    log_info("run %lld: attempt %d starts on worker %d", (long long)run->id, run->attempt,
             slot->index + 1);
    attempt_run(&attempt, &verdict);
    carry_out(slot, run->id, &verdict);
    if (verdict.wait) {
        wait_a_while(pool, pool->options.retry_delay_s);
    }
}

/* Training takes every core for days; an answer takes a millisecond. So the threads of the API come
 * first: on Linux this is the calling thread's alone, and the threads that it makes have it from
 * it. */
static void yield_to_others(void) {
    enum { TRAINING_NICENESS = 10 };
    if (setpriority(PRIO_PROCESS, 0, TRAINING_NICENESS) != 0) {
        log_warning("training threads keep their priority: answers may be slow while they run");
    }
}

static void *work(void *user) {
    struct slot *slot = user;
    yield_to_others();
    struct pool *pool = slot->pool;
    struct queue *queue = pool->options.queue;
    while (!atomic_load(&pool->stop)) {
        uint64_t seen = queue_generation(queue);
        struct run_row run = {0};
        struct error error;
        enum status status = take_run(slot, &run, &error);
        atomic_store(&slot->idle, status != STATUS_OK);
        if (status == STATUS_OK) {
            see_through(slot, &run);
            run_row_clear(&run);
        } else if (status == STATUS_NOT_FOUND) {
            /* The stop may have come since the loop looked; it changes the generation as well. */
            queue_wait(queue, seen);
        } else {
            log_error("cannot take a run from the queue: %s", error.message);
            wait_a_while(pool, pool->options.retry_delay_s);
        }
    }
    return NULL;
}

static struct pool *pool_new(const struct pool_options *options) {
    struct pool *pool = calloc(1, sizeof(*pool));
    struct slot *slots = calloc(POOL_MAX_WORKERS, sizeof(*slots));
    if (!pool || !slots) {
        free(pool);
        free(slots);
        return NULL;
    }
    pool->options = *options;
    pool->slots = slots;
    (void)pthread_mutex_init(&pool->moves, NULL);
    (void)pthread_mutex_init(&pool->growing, NULL);
    (void)pthread_mutex_init(&pool->mutex, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&pool->stopped, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    for (int i = 0; i < POOL_MAX_WORKERS; i++) {
        slots[i].pool = pool;
        slots[i].index = i;
        atomic_init(&slots[i].idle, true);
    }
    return pool;
}

/* With growing held, or before anybody else knows the pool. */
static enum status grow(struct pool *pool, int n_workers, struct error *error) {
    for (int i = 0; i < n_workers; i++) {
        struct slot *slot = &pool->slots[i];
        int code = slot->started ? 0 : pthread_create(&slot->thread, NULL, work, slot);
        if (code != 0) {
            return error_set_errno(error, code, "cannot start worker %d", i + 1);
        }
        slot->started = true;
    }
    return STATUS_OK;
}

static const char SETTING_WORKERS[] = "workers";
static const char SETTING_DRAINING[] = "draining";

/* A number that was set over the API, or `fallback`. */
static int stored_number(const struct pool *pool, const char *name, int fallback) {
    char text[16];
    enum status status = setting_table_get(pool->options.store, name, text, sizeof(text), NULL);
    return status == STATUS_OK ? (int)strtol(text, NULL, 10) : fallback;
}

static enum status store_number(struct pool *pool, const char *name, int value,
                                const struct idempotency_answer *answer, struct error *error) {
    char text[16];
    (void)snprintf(text, sizeof(text), "%d", value);
    return setting_table_put(pool->options.store, name, text, answer, error);
}

static void share(const struct pool *pool, int n_workers) {
    const struct executor *executor = &pool->options.executor;
    if (executor->share) {
        executor->share(executor->user, n_workers);
    }
}

enum status pool_set_workers(struct pool *pool, int n_workers, struct error *error) {
    (void)pthread_mutex_lock(&pool->growing);
    enum status status = store_number(pool, SETTING_WORKERS, n_workers, NULL, error);
    if (status == STATUS_OK) {
        share(pool, n_workers);
        atomic_store(&pool->n_workers, n_workers);
        status = grow(pool, n_workers, error);
    }
    (void)pthread_mutex_unlock(&pool->growing);
    queue_wake(pool->options.queue);
    return status;
}

enum status pool_set_draining(struct pool *pool, bool draining,
                              const struct idempotency_answer *answer, struct error *error) {
    (void)pthread_mutex_lock(&pool->growing);
    enum status status = store_number(pool, SETTING_DRAINING, draining, answer, error);
    if (status == STATUS_OK) {
        atomic_store(&pool->draining, draining);
    }
    (void)pthread_mutex_unlock(&pool->growing);
    queue_wake(pool->options.queue);
    return status;
}

void pool_get_status(struct pool *pool, struct pool_status *ret_status) {
    (void)pthread_mutex_lock(&pool->moves);
    int n_running = count_running(pool);
    (void)pthread_mutex_unlock(&pool->moves);
    *ret_status = (struct pool_status){.n_workers = atomic_load(&pool->n_workers),
                                       .n_running = n_running,
                                       .draining = atomic_load(&pool->draining)};
}

enum status pool_start(const struct pool_options *options, struct pool **ret_pool,
                       struct error *error) {
    struct pool *pool = pool_new(options);
    if (!pool) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the workers");
    }
    int n_workers = stored_number(pool, SETTING_WORKERS, options->n_workers);
    atomic_store(&pool->n_workers, n_workers);
    atomic_store(&pool->draining, stored_number(pool, SETTING_DRAINING, 0) != 0);
    if (n_workers != options->n_workers) {
        log_info("%d worker(s), as was set by the API; the config says %d", n_workers,
                 options->n_workers);
    }
    if (atomic_load(&pool->draining)) {
        log_warning("the scheduler is draining: no run starts before POST /scheduler/resume");
    }
    share(pool, n_workers);
    enum status status = grow(pool, n_workers, error);
    if (status != STATUS_OK) {
        pool_stop(pool);
        return status;
    }
    *ret_pool = pool;
    return STATUS_OK;
}

void pool_stop(struct pool *pool) {
    if (!pool) {
        return;
    }
    (void)pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->stop, true);
    (void)pthread_cond_broadcast(&pool->stopped);
    (void)pthread_mutex_unlock(&pool->mutex);
    queue_wake(pool->options.queue);
    for (int i = 0; i < POOL_MAX_WORKERS; i++) {
        if (pool->slots[i].started) {
            (void)pthread_join(pool->slots[i].thread, NULL);
        }
    }
    (void)pthread_cond_destroy(&pool->stopped);
    (void)pthread_mutex_destroy(&pool->mutex);
    (void)pthread_mutex_destroy(&pool->growing);
    (void)pthread_mutex_destroy(&pool->moves);
    free(pool->slots);
    free(pool);
}

static struct slot *find_slot(struct pool *pool, int64_t run_id) {
    for (int i = 0; i < POOL_MAX_WORKERS; i++) {
        if (pool->slots[i].run_id == run_id) {
            return &pool->slots[i];
        }
    }
    return NULL;
}

/* The lock keeps every run where its row says it is, from the first row that is read to the last
 * worker that is told. What a worker obeys is stored first. */
enum status pool_act(struct pool *pool, const struct queue_action *asked,
                     struct run_outcomes *ret_outcomes, struct error *error) {
    (void)pthread_mutex_lock(&pool->moves);
    enum status status = queue_act(pool->options.queue, asked, ret_outcomes, error);
    for (size_t i = 0; status == STATUS_OK && i < ret_outcomes->n; i++) {
        const struct run_outcome *outcome = &ret_outcomes->items[i];
        struct slot *slot = outcome->action == BATCH_REQUEST ? find_slot(pool, outcome->id) : NULL;
        if (slot) {
            atomic_store(&slot->request, (int)outcome->row.request);
        }
    }
    (void)pthread_mutex_unlock(&pool->moves);
    return status;
}

bool pool_is_alive(struct pool *pool) {
    bool alive = true;
    for (int i = 0; i < POOL_MAX_WORKERS; i++) {
        struct slot *slot = &pool->slots[i];
        unsigned long long heartbeat = atomic_load(&slot->heartbeat);
        alive = alive && (atomic_load(&slot->idle) || heartbeat != slot->heard);
        slot->heard = heartbeat;
    }
    return alive;
}
