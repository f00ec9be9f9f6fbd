/* The two threads of the pool. Layer: daemon/work.
 *
 * The dispatcher claims runs and has their executors start them; the follower waits for what
 * executors elsewhere report, and for what is to be tried again later. Executors that train in this
 * process have threads of their own and report from them.
 *
 * Thread rule: `moves` is held while a run enters or leaves the table of attempts together with its
 * move in the store, so that a request always finds a run either in the store's queue or in the
 * table, never in between. Order: growing, moves, then everything else.
 */
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "core/base/log.h"
#include "daemon/config/state_dir.h"
#include "daemon/work/pool_internal.h"

/* How often a data set that cannot be read is looked for. */
static const double LOOK_INTERVAL_S = 10.0;

enum { CLAIM_TEXT_SIZE = 1024 };

static double now_s(void) {
    return clock_monotonic_s(&clock_system);
}

void pool_wake_follower(const struct pool *pool) {
    (void)eventfd_write(pool->wake_fd, 1);
}

/* ---- where a run goes ---- */

/* With moves held. */
static enum status store_destination(struct pool *pool, const struct attempt *a,
                                     const struct destination *destination, struct error *error) {
    struct queue *queue = pool->options.queue;
    return destination->to == RUN_QUEUED
               ? queue_requeue(queue, a->run.id, destination->reason, destination->count, error)
               : queue_finish(queue, a->run.id, destination->to, destination->reason, error);
}

static void pause_executor(struct pool *pool, const struct attempt *a) {
    size_t executor = (size_t)(a->executor - pool->options.executors);
    pool->not_before_s[executor] = now_s() + pool->options.retry_delay_s;
    pool_wait_for(pool, a->status, a->needed_bytes, a->message);
}

/* What became of it is known, and stays untold: it trains no more. */
static void show_waiting(struct pool *pool, struct attempt *a, const struct error *error) {
    (void)snprintf(a->progress.waits, sizeof(a->progress.waits),
                   "it does not train: its state cannot be stored, which is tried again: %.120s",
                   error->message);
    progress_board_set(pool->options.progress, a->slot, &a->progress);
    notifier_publish(pool->options.notifier, a->run.id);
}

/* A full disk must not keep what became of a run from being stored: that is what the ballast is
 * for. */
static enum status store_with_ballast(struct pool *pool, struct attempt *a,
                                      const struct destination *destination, struct error *error) {
    enum status status = store_destination(pool, a, destination, error);
    if (status != STATUS_NO_SPACE || !state_dir_drop_ballast(pool->options.state_dir)) {
        return status;
    }
    log_warning("the disk is full: freed the %d MiB that were kept for this",
                STATE_DIR_BALLAST_BYTES >> 20);
    return store_destination(pool, a, destination, error);
}

bool pool_leave(struct pool *pool, struct attempt *a) {
    struct error error;
    struct destination destination;
    const struct log_subject subject = run_row_subject(&a->run);
    attempt_decide(a, atomic_load(&pool->stop), &destination);
    enum status status = store_with_ballast(pool, a, &destination, &error);
    if (status != STATUS_OK && status != STATUS_CONFLICT && status != STATUS_NOT_FOUND) {
        log_about(&subject, LOG_LEVEL_ERROR, "run %lld: cannot store that it is %s: %s",
                  (long long)a->run.id, run_state_name(destination.to), error.message);
        a->retry_at_s = now_s() + pool->options.retry_delay_s;
        pool_wait_for(pool, status, 0, error.message);
        show_waiting(pool, a, &error);
        return false;
    }
    if (destination.wait) {
        pause_executor(pool, a);
    }
    /* Before another attempt may have the slot. */
    progress_board_clear(pool->options.progress, a->slot);
    attempt_table_remove(&pool->attempts, a);
    /* What nobody asked for. */
    bool bad = destination.to == RUN_FAILED || destination.wait;
    log_about(&subject, bad ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "run %lld: %s%s%s%s",
              (long long)a->run.id, run_state_name(destination.to),
              destination.reason[0] ? " (" : "", destination.reason,
              destination.reason[0] ? ")" : "");
    return true;
}

void pool_forget(struct pool *pool, struct attempt *a) {
    /* Who read between the commit and this saw progress of a run that is over: tell them to look
     * again. */
    notifier_publish(pool->options.notifier, a->run.id);
    attempt_free(a);
    queue_wake(pool->options.queue); /* there is room for one more */
}

void pool_on_outcome(void *user, struct attempt *a) {
    struct pool *pool = user;
    (void)pthread_mutex_lock(&pool->moves);
    a->ended = true;
    (void)pthread_cond_broadcast(&pool->ended);
    /* The dispatcher still uses one that start has not returned for. */
    bool left = a->started && pool_leave(pool, a);
    (void)pthread_mutex_unlock(&pool->moves);
    if (left) {
        pool_forget(pool, a);
    }
}

/* ---- the dispatcher ---- */

/* With moves held: appends ",NAME" for each executor that may start a run now, and a last ','. */
static bool name_ready(struct pool *pool, char *text, size_t size) {
    size_t used = 0;
    double now = now_s();
    int64_t change_ms = 0;
    bool quiet = pool_is_quiet(pool, &change_ms);
    for (size_t i = 0; i < pool->options.n_executors; i++) {
        const struct executor *e = &pool->options.executors[i];
        int most = pool_places(pool, e);
        if (now >= pool->not_before_s[i] && !(quiet && e->heeds_quiet) &&
            attempt_table_count(&pool->attempts, e) < most) {
            used += (size_t)snprintf(text + used, size - used, ",%s", e->name);
        }
    }
    (void)snprintf(text + used, size - used, ",");
    return used > 0;
}

/* Data sets that cannot be read, "," in front. */
static void name_missing(const struct pool *pool, char *text, size_t size) {
    (void)snprintf(text, size, ",");
    for (size_t i = 0; i < pool->options.n_executors; i++) {
        const struct executor *e = &pool->options.executors[i];
        size_t used = strlen(text);
        if (e->missing) {
            e->missing(e->user, text + used, size - used);
        }
    }
}

/* Of run_claim. */
static int cores_of(void *user, const char *name) {
    const struct executor *e = pool_executor(user, name);
    return e && e->cores ? e->cores(e->user) : 1;
}

/* With moves held. */
static enum status claim(struct pool *pool, const char *missing, struct attempt *a,
                         struct error *error) {
    char ready[CLAIM_TEXT_SIZE];
    bool may_start = !atomic_load(&pool->draining) && now_s() >= pool->claim_at_s &&
                     name_ready(pool, ready, sizeof(ready));
    if (!may_start) {
        return error_set(error, STATUS_NOT_FOUND, "no run may start at present");
    }
    const struct run_claim wanted = {.executors = ready,
                                     .datasets = missing,
                                     .max_running = atomic_load(&pool->max_running),
                                     .max_disk = atomic_load(&pool->max_disk),
                                     .cores = cores_of,
                                     .user = pool};
    TRY(queue_claim(pool->options.queue, &wanted, &a->run, error));
    a->executor = pool_executor(pool, a->run.executor);
    attempt_table_add(&pool->attempts, a);
    return STATUS_OK;
}

/* Claims a run for *ret_attempt. */
static enum status take_run(struct pool *pool, struct attempt **ret_attempt, struct error *error) {
    char missing[CLAIM_TEXT_SIZE];
    struct attempt *a = NULL;
    TRY(attempt_new(&a, error));
    name_missing(pool, missing, sizeof(missing));
    (void)pthread_mutex_lock(&pool->moves);
    enum status status = claim(pool, missing, a, error);
    bool was_missing = isfinite(pool->look_at_s);
    pool->look_at_s = missing[1] ? now_s() + LOOK_INTERVAL_S : (double)INFINITY;
    (void)pthread_mutex_unlock(&pool->moves);
    if (missing[1] || was_missing) {
        pool_wake_follower(pool);
    }
    if (status != STATUS_OK) {
        attempt_free(a);
        return status;
    }
    *ret_attempt = a;
    return STATUS_OK;
}

void pool_pass_on_request(const struct attempt *a) {
    if (a->started && !a->ended && (a->request != RUN_REQUEST_NONE || a->quiet_until_ms > 0)) {
        a->executor->ask(a->executor->user, a->run.handle,
                         a->request == RUN_REQUEST_KILL ? EXECUTOR_KILL : EXECUTOR_STOP);
    }
}

static void start_run(struct pool *pool, struct attempt *a) {
    struct error error = {.message = ""};
    state_dir_make_ballast(pool->options.state_dir);
    const struct log_subject subject = run_row_subject(&a->run);
    log_about(&subject, LOG_LEVEL_INFO, "run %lld: attempt %d starts with the executor %s",
              (long long)a->run.id, a->run.attempt, a->executor->name);
    enum status status = a->executor->start(a->executor->user, &a->run, &error);
    (void)pthread_mutex_lock(&pool->moves);
    if (status != STATUS_OK) {
        a->status = status;
        a->again = status == STATUS_IO || status == STATUS_NO_SPACE || status == STATUS_NO_MEMORY ||
                   status == STATUS_BUSY;
        a->bounded = true;
        (void)snprintf(a->message, sizeof(a->message), "%s", error.message);
        a->ended = true;
        (void)pthread_cond_broadcast(&pool->ended);
    }
    a->started = true;
    pool_pass_on_request(a);
    bool left = a->ended && pool_leave(pool, a);
    (void)pthread_mutex_unlock(&pool->moves);
    if (left) {
        pool_forget(pool, a);
    }
}

static void pause_claims(struct pool *pool, enum status status, const struct error *error) {
    (void)pthread_mutex_lock(&pool->moves);
    pool->claim_at_s = now_s() + pool->options.retry_delay_s;
    pool_wait_for(pool, status, 0, error->message);
    (void)pthread_mutex_unlock(&pool->moves);
}

void *pool_dispatch(void *user) {
    struct pool *pool = user;
    struct queue *queue = pool->options.queue;
    for (;;) {
        struct attempt *a = NULL;
        struct error error;
        /* Read before anything is looked at: whatever changes after that changes the generation, a
         * stop as well, and is not slept over. */
        uint64_t seen = queue_generation(queue);
        atomic_fetch_add(&pool->rounds[POOL_DISPATCHER], 1);
        if (atomic_load(&pool->stop)) {
            return NULL;
        }
        enum status status = take_run(pool, &a, &error);
        if (status == STATUS_OK) {
            start_run(pool, a);
            continue;
        }
        if (status != STATUS_NOT_FOUND) {
            log_error("cannot take a run from the queue: %s", error.message);
            pause_claims(pool, status, &error);
        }
        pool_note_next_start(pool);
        queue_wait(queue, seen);
    }
}

/* ---- the follower ---- */

/* With moves held: when the next of what waits for a time is due; what is due now is done. */
static double work_off(struct pool *pool, struct attempt **ret_left) {
    double now = now_s();
    double next = fmin(now + pool_follow_quiet(pool), now + pool_wait_for_start(pool));
    bool wake = false;
    for (struct attempt *a = pool->attempts.first, *after = NULL; a; a = after) {
        after = a->next;
        if (!a->ended || !a->started) {
            continue;
        }
        if (a->retry_at_s <= now && pool_leave(pool, a)) {
            a->next = *ret_left;
            *ret_left = a;
        } else {
            next = fmin(next, a->retry_at_s);
        }
    }
    double *times[EXECUTOR_MOST + 2] = {&pool->claim_at_s, &pool->look_at_s};
    size_t n_times = 2;
    for (size_t i = 0; i < pool->options.n_executors; i++) {
        times[n_times++] = &pool->not_before_s[i];
    }
    for (size_t i = 0; i < n_times; i++) {
        if (*times[i] > now) {
            next = fmin(next, *times[i]);
        } else if (*times[i] > 0) {
            *times[i] = times[i] == &pool->look_at_s ? (double)INFINITY : 0;
            wake = true;
        }
    }
    if (wake) {
        pool_wait_is_over(pool);
        queue_wake(pool->options.queue);
    }
    return pool->room.needed_bytes > 0 ? fmin(next, pool->room.look_at_s) : next;
}

/* Returns the milliseconds until it has something to do again, as poll takes them. */
static int do_due(struct pool *pool) {
    struct attempt *left = NULL;
    pool_look_for_room(pool, now_s());
    (void)pthread_mutex_lock(&pool->moves);
    double next = work_off(pool, &left);
    (void)pthread_mutex_unlock(&pool->moves);
    while (left) {
        struct attempt *a = left;
        left = a->next;
        pool_forget(pool, a);
    }
    return isfinite(next) ? (int)fmin(fmax(ceil((next - now_s()) * 1000.0), 0), 3600e3) : -1;
}

void *pool_follow(void *user) {
    struct pool *pool = user;
    struct pollfd fds[EXECUTOR_MOST + 1] = {{.fd = pool->wake_fd, .events = POLLIN}};
    size_t n = pool->options.n_executors;
    for (size_t i = 0; i < n; i++) {
        const struct executor *e = &pool->options.executors[i];
        fds[i + 1].fd = e->events ? e->events(e->user) : -1;
        fds[i + 1].events = POLLIN;
    }
    while (!atomic_load(&pool->stop)) {
        eventfd_t count;
        (void)poll(fds, n + 1, do_due(pool));
        atomic_fetch_add(&pool->rounds[POOL_FOLLOWER], 1);
        if (fds[0].revents) {
            (void)eventfd_read(pool->wake_fd, &count);
        }
        for (size_t i = 0; i < n; i++) {
            if (fds[i + 1].revents && !atomic_load(&pool->stop)) {
                pool->options.executors[i].follow(pool->options.executors[i].user);
            }
        }
    }
    return NULL;
}
