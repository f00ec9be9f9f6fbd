/* Everything around the pool, for the tests of daemon/work: store, queue, notifier, board, data
 * sets, and waiting for what happens. Nothing sleeps: whatever a test waits for counts a change. */
#ifndef CUTOUTD_TESTS_DAEMON_WORK_FIXTURE_H
#define CUTOUTD_TESTS_DAEMON_WORK_FIXTURE_H

#include "tests/daemon/store_fixture.h"

#include <pthread.h>
#include <time.h>

#include "daemon/work/executor_local.h"
#include "daemon/work/pool.h"

enum { WORK_DEADLINE_S = 60 };

struct work_fixture {
    struct store_fixture f;
    struct config config;
    struct notifier *notifier;
    struct queue *queue;
    struct progress_board *progress;
    struct dataset_registry *datasets;
    struct pool_options options;
    struct executor_local local; /* the only executor, unless the test puts others into options */
    struct executor executor;
    struct pool *pool; /* NULL: not started */

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int n_changes; /* guarded by mutex */
};

static inline void work_note_change(void *user, int64_t run_id) {
    struct work_fixture *w = user;
    (void)run_id;
    (void)pthread_mutex_lock(&w->mutex);
    w->n_changes++;
    (void)pthread_cond_broadcast(&w->changed);
    (void)pthread_mutex_unlock(&w->mutex);
}

static inline void work_start(struct work_fixture *w) {
    ASSERT_OK(pool_create(&w->options, &w->pool, &fixture_error));
    ASSERT_OK(pool_begin(w->pool, &fixture_error));
}

static inline void work_stop(struct work_fixture *w) {
    pool_ask_stop(w->pool);
    work_note_change(w, 0);
    pool_stop(w->pool);
    w->pool = NULL;
}

/* In the directory that w->f names; all else in *w is zero. Data set `shapes` with so many images.
 */
static inline void work_open(struct work_fixture *w, int n_train, int n_test) {
    fixture_open_store(&w->f);
    (void)pthread_mutex_init(&w->mutex, NULL);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&w->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    w->config.shapes_train = n_train;
    w->config.shapes_test = n_test;
    ASSERT_OK(notifier_create(&w->notifier, &fixture_error));
    store_observe(w->f.store, notifier_publish, w->notifier);
    ASSERT_OK(queue_create(w->f.store, &clock_system, &w->queue, &fixture_error));
    ASSERT_OK(progress_board_create(2, &w->progress, &fixture_error));
    ASSERT_OK(dataset_registry_create(&w->config, &w->datasets, &fixture_error));
    w->local = (struct executor_local){.kernels = &kernels_blas,
                                       .clock = &clock_system,
                                       .datasets = w->datasets,
                                       .n_threads = 1,
                                       .checkpoint_interval_s = 1000.0};
    w->executor = executor_local_make(&w->local);
    w->options = (struct pool_options){
        .n_workers = 2,
        .store = w->f.store,
        .queue = w->queue,
        .notifier = w->notifier,
        .progress = w->progress,
        .executors = &w->executor,
        .n_executors = 1,
        .clock = &clock_system,
        .state_dir = w->f.dir,
        .retry_delay_s = 0.01,
    };
}

static inline void work_begin(struct work_fixture *w, int n_train, int n_test) {
    memset(w, 0, sizeof(*w));
    fixture_make_dir(&w->f);
    work_open(w, n_train, n_test);
}

static inline void work_end(struct work_fixture *w) {
    work_stop(w);
    dataset_registry_free(w->datasets);
    progress_board_free(w->progress);
    queue_free(w->queue);
    fixture_end(&w->f);
    notifier_free(w->notifier);
    (void)pthread_cond_destroy(&w->changed);
    (void)pthread_mutex_destroy(&w->mutex);
}

static inline struct timespec work_deadline(void) {
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += WORK_DEADLINE_S;
    return at;
}

static inline int work_changes(struct work_fixture *w) {
    (void)pthread_mutex_lock(&w->mutex);
    int n = w->n_changes;
    (void)pthread_mutex_unlock(&w->mutex);
    return n;
}

/* Waits for a change after the one that `seen` counts. False: none came in time. */
static inline bool work_wait_for_change(struct work_fixture *w, int seen) {
    const struct timespec deadline = work_deadline();
    int code = 0;
    (void)pthread_mutex_lock(&w->mutex);
    while (w->n_changes == seen && code == 0) {
        code = pthread_cond_timedwait(&w->changed, &w->mutex, &deadline);
    }
    (void)pthread_mutex_unlock(&w->mutex);
    return code == 0;
}

/* Waits until the run's row satisfies `is`, looking again at each change that the notifier tells
 * of. */
static inline void work_wait_until(struct work_fixture *w, int64_t id,
                                   bool (*is)(const struct run_row *), const char *what) {
    notifier_set(w->notifier, work_note_change, w);
    bool done = false;
    bool in_time = true;
    while (!done && in_time) {
        int seen = work_changes(w);
        struct run_row row = fixture_get_run(w->f.store, id);
        done = is(&row);
        run_row_clear(&row);
        in_time = done || work_wait_for_change(w, seen);
    }
    notifier_set(w->notifier, NULL, NULL);
    if (!done) {
        struct run_row row = fixture_get_run(w->f.store, id);
        fail_msg("run %lld is %s (%s), not %s", (long long)id, run_state_name(row.state),
                 row.reason, what);
    }
}

static inline bool work_is_final(const struct run_row *row) {
    return run_state_is_final(row->state);
}

static inline bool work_has_left(const struct run_row *row) {
    return row->state != RUN_RUNNING;
}

static inline bool work_has_trained(const struct run_row *row) {
    return row->state == RUN_RUNNING && row->epochs_done >= 1;
}

#endif
