/* Everything around the workers, for the tests of daemon/work: store, queue, notifier, board, data
 * sets, and waiting for what a run becomes. */
#ifndef CUTOUTD_TESTS_DAEMON_WORK_FIXTURE_H
#define CUTOUTD_TESTS_DAEMON_WORK_FIXTURE_H

#include "tests/daemon/store_fixture.h"

#include <pthread.h>
#include <time.h>

#include "daemon/work/pool.h"

enum { WORK_DEADLINE_S = 60 };

struct work_fixture {
    struct store_fixture f;
    struct config config;
    struct notifier *notifier;
    struct queue *queue;
    struct progress_board *progress;
    struct dataset_registry *datasets;
    struct pool_options options; /* without an executor */
    struct pool *pool;           /* NULL: not started */

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
    ASSERT_OK(pool_start(&w->options, &w->pool, &fixture_error));
}

static inline void work_stop(struct work_fixture *w) {
    pool_stop(w->pool);
    w->pool = NULL;
}

/* Data set `shapes` with so many images. */
static inline void work_begin(struct work_fixture *w, int n_train, int n_test) {
    memset(w, 0, sizeof(*w));
    fixture_begin(&w->f);
    (void)pthread_mutex_init(&w->mutex, NULL);
    (void)pthread_cond_init(&w->changed, NULL);
    w->config.shapes_train = n_train;
    w->config.shapes_test = n_test;
    ASSERT_OK(notifier_create(&w->notifier, &fixture_error));
    store_observe(w->f.store, notifier_publish, w->notifier);
    ASSERT_OK(queue_create(w->f.store, &clock_system, &w->queue, &fixture_error));
    ASSERT_OK(progress_board_create(2, &w->progress, &fixture_error));
    ASSERT_OK(dataset_registry_create(&w->config, &w->datasets, &fixture_error));
    w->options = (struct pool_options){
        .n_workers = 2,
        .store = w->f.store,
        .queue = w->queue,
        .notifier = w->notifier,
        .progress = w->progress,
        .datasets = w->datasets,
        .clock = &clock_system,
        .state_dir = w->f.dir,
        .retry_delay_s = 0.01,
    };
}

static inline void work_end(struct work_fixture *w) {
    pool_stop(w->pool);
    dataset_registry_free(w->datasets);
    progress_board_free(w->progress);
    queue_free(w->queue);
    fixture_end(&w->f);
    notifier_free(w->notifier);
    (void)pthread_cond_destroy(&w->changed);
    (void)pthread_mutex_destroy(&w->mutex);
}

/* What a step of training takes: a millisecond, or less when something changes. */
static inline void work_wait_a_moment(struct work_fixture *w) {
    struct timespec at;
    (void)clock_gettime(CLOCK_REALTIME, &at);
    at.tv_nsec += 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&w->mutex);
    (void)pthread_cond_timedwait(&w->changed, &w->mutex, &at);
    (void)pthread_mutex_unlock(&w->mutex);
}

/* Waits until the run's row satisfies `is`, looking again at each change that the notifier tells
 * of. */
static inline void work_wait_until(struct work_fixture *w, int64_t id,
                                   bool (*is)(const struct run_row *), const char *what) {
    struct timespec deadline;
    (void)clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WORK_DEADLINE_S;
    notifier_set(w->notifier, work_note_change, w);
    bool done = false;
    int code = 0;
    while (!done && code == 0) {
        (void)pthread_mutex_lock(&w->mutex);
        int seen = w->n_changes;
        (void)pthread_mutex_unlock(&w->mutex);
        struct run_row row = fixture_get_run(w->f.store, id);
        done = is(&row);
        run_row_clear(&row);
        (void)pthread_mutex_lock(&w->mutex);
        while (!done && code == 0 && w->n_changes == seen) {
            code = pthread_cond_timedwait(&w->changed, &w->mutex, &deadline);
        }
        (void)pthread_mutex_unlock(&w->mutex);
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

static inline bool work_has_trained(const struct run_row *row) {
    return row->state == RUN_RUNNING && row->epochs_done >= 1;
}

#endif
