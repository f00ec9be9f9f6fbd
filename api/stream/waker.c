/* Layer: api. Thread rule: the mutex guards the numbers that wait; it is held for a few
 * instructions, so that training never waits for streams. */
#include "api/stream/waker.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/log.h"
#include "daemon/work/notifier.h"

struct waker {
    const struct api_context *context;
    waker_callback *callback;
    void *user;

    pthread_mutex_t mutex;
    pthread_cond_t noted;       /* and must_stop */
    struct run_numbers waiting; /* guarded by mutex */
    bool must_stop;             /* guarded by mutex */
    pthread_t thread;
    bool started;
};

static bool contains(const struct run_numbers *runs, int64_t id) {
    bool found = runs->more;
    for (int i = 0; i < runs->n && !found; i++) {
        found = runs->ids[i] == id;
    }
    return found;
}

static void add(struct run_numbers *runs, int64_t id) {
    if (contains(runs, id)) {
        return;
    }
    if (runs->n < NEWS_RUNS) {
        runs->ids[runs->n++] = id;
    } else {
        runs->more = true;
    }
}

bool news_are_about(const struct stream_news *news, const struct watch *watch) {
    /* Which runs belong to a sweep is not known here. */
    return watch->kind != WATCH_RUN || contains(&news->touched, watch->id);
}

bool news_may_delete(const struct stream_news *news, const struct watch *watch) {
    return watch->kind == WATCH_RUN ? contains(&news->gone, watch->id)
                                    : news->gone.n > 0 || news->gone.more;
}

/* The notifier's callback: runs on threads that commit or train, so it takes the number only. */
static void note_run(void *user, int64_t run_id) {
    struct waker *waker = user;
    (void)pthread_mutex_lock(&waker->mutex);
    add(&waker->waiting, run_id);
    (void)pthread_cond_signal(&waker->noted);
    (void)pthread_mutex_unlock(&waker->mutex);
}

/* A run without a new event made a step, was changed, or was deleted. When which one is not known
 * it counts as deleted: its streams then look for themselves. */
static void find_gone(const struct waker *waker, struct stream_news *news) {
    news->gone.more = news->touched.more || news->events.more;
    for (int i = 0; i < news->touched.n; i++) {
        const struct watch watch = {WATCH_RUN, news->touched.ids[i]};
        bool there = true;
        struct error error;
        if (!tail_news_match(&news->events, &watch) &&
            (watch_table_has_run(waker->context->options.store, watch.id, &there, &error) !=
                 STATUS_OK ||
             !there)) {
            add(&news->gone, watch.id);
        }
    }
}

/* Returns how many streams it woke. */
static int pass_on(const struct waker *waker, const struct run_numbers *touched) {
    struct stream_news news = {.touched = *touched};
    struct error error;
    if (tail_update(waker->context->tail, &news.events, &error) != STATUS_OK) {
        log_error("the newest events: %s", error.message);
        news.events.more = true; /* every stream reads the store by itself */
    }
    find_gone(waker, &news);
    news.now_s = clock_monotonic_s(waker->context->options.clock);
    return waker->callback(waker->user, &news);
}

/* With the mutex held. To wake a stream and send it something takes 20 to 40 us of a core (row
 * `load` of tests/torture): of WAKER_PAUSE_US that is a fortieth or so. A thousand streams are
 * woken no more often than their steps are told (once a second), so that these come along. */
static void pause_after(struct waker *waker, int n_woken) {
    int64_t pause_us = (int64_t)n_woken * WAKER_PAUSE_US;
    if (pause_us > (int64_t)WAKER_MOST_PAUSE_MS * 1000) {
        pause_us = (int64_t)WAKER_MOST_PAUSE_MS * 1000;
    }
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += pause_us * 1000;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    int code = 0;
    while (!waker->must_stop && code == 0) {
        code = pthread_cond_timedwait(&waker->noted, &waker->mutex, &until);
    }
}

static void *work(void *user) {
    struct waker *waker = user;
    (void)pthread_mutex_lock(&waker->mutex);
    while (!waker->must_stop) {
        if (waker->waiting.n == 0) {
            (void)pthread_cond_wait(&waker->noted, &waker->mutex);
            continue;
        }
        struct run_numbers touched = waker->waiting;
        waker->waiting = (struct run_numbers){.n = 0};
        (void)pthread_mutex_unlock(&waker->mutex);
        int n_woken = pass_on(waker, &touched);
        (void)pthread_mutex_lock(&waker->mutex);
        pause_after(waker, n_woken);
    }
    (void)pthread_mutex_unlock(&waker->mutex);
    return NULL;
}

static enum status start(struct waker *waker, struct error *error) {
    int reason = pthread_create(&waker->thread, NULL, work, waker);
    if (reason != 0) {
        return error_set_errno(error, reason, "cannot start a thread");
    }
    waker->started = true;
    notifier_set(waker->context->options.notifier, note_run, waker);
    return STATUS_OK;
}

enum status waker_start(const struct api_context *context, waker_callback *callback, void *user,
                        struct waker **ret_waker, struct error *error) {
    struct waker *waker = calloc(1, sizeof(*waker));
    if (!waker) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the waker of the streams");
    }
    pthread_condattr_t monotonic;
    waker->context = context;
    waker->callback = callback;
    waker->user = user;
    (void)pthread_mutex_init(&waker->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&waker->noted, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    enum status status = start(waker, error);
    if (status != STATUS_OK) {
        waker_stop(waker);
        return status;
    }
    *ret_waker = waker;
    return STATUS_OK;
}

void waker_stop(struct waker *waker) {
    if (!waker) {
        return;
    }
    if (waker->started) {
        notifier_set(waker->context->options.notifier, NULL, NULL);
        (void)pthread_mutex_lock(&waker->mutex);
        waker->must_stop = true;
        (void)pthread_cond_signal(&waker->noted);
        (void)pthread_mutex_unlock(&waker->mutex);
        (void)pthread_join(waker->thread, NULL);
    }
    (void)pthread_cond_destroy(&waker->noted);
    (void)pthread_mutex_destroy(&waker->mutex);
    free(waker);
}
