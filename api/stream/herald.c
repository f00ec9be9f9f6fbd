/* Layer: api. Thread rule: the mutex guards what was heard of; it is held for a few instructions,
 * so that training never waits for streams. */
#include "api/stream/herald.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "daemon/work/hub.h"

struct herald {
    const struct api_context *context;
    herald_tell *tell;
    void *user;
    struct hub_subscription *subscription;

    pthread_mutex_t mutex;
    pthread_cond_t called;
    struct herald_runs heard; /* guarded by mutex */
    bool must_stop;           /* guarded by mutex */
    pthread_t thread;
    bool started;
};

static bool contains(const struct herald_runs *runs, int64_t id) {
    bool found = runs->more;
    for (int i = 0; i < runs->n && !found; i++) {
        found = runs->ids[i] == id;
    }
    return found;
}

static void add(struct herald_runs *runs, int64_t id) {
    if (contains(runs, id)) {
        return;
    }
    if (runs->n < HERALD_RUNS) {
        runs->ids[runs->n++] = id;
    } else {
        runs->more = true;
    }
}

bool herald_is_heard(const struct herald_news *news, const struct watch *watch) {
    /* Which runs of a sweep are meant is not known here. */
    return watch->kind != WATCH_RUN || contains(&news->heard, watch->id);
}

bool herald_is_gone(const struct herald_news *news, const struct watch *watch) {
    return watch->kind == WATCH_RUN ? contains(&news->gone, watch->id)
                                    : news->gone.n > 0 || news->gone.more;
}

/* Called by the hub, on threads that have better things to do. */
static void hear(void *user, int64_t run_id) {
    struct herald *herald = user;
    (void)pthread_mutex_lock(&herald->mutex);
    add(&herald->heard, run_id);
    (void)pthread_cond_signal(&herald->called);
    (void)pthread_mutex_unlock(&herald->mutex);
}

/* A run that was heard of without an event made a step, was changed, or is deleted. */
static void find_gone(const struct herald *herald, struct herald_news *news) {
    news->gone.more = news->heard.more;
    for (int i = 0; i < news->heard.n; i++) {
        const struct watch watch = {WATCH_RUN, news->heard.ids[i]};
        bool there = true;
        struct error error;
        if (!tail_news_match(&news->events, &watch) &&
            watch_table_has_run(herald->context->options.store, watch.id, &there, &error) ==
                STATUS_OK &&
            !there) {
            add(&news->gone, watch.id);
        }
    }
}

static void tell_news(const struct herald *herald, const struct herald_runs *heard) {
    struct herald_news news = {.heard = *heard};
    struct error error;
    if (tail_update(herald->context->tail, &news.events, &error) != STATUS_OK) {
        log_error("the newest events: %s", error.message);
        news.events.more = true; /* let every stream look for itself */
    }
    find_gone(herald, &news);
    news.now_s = clock_monotonic_s(herald->context->options.clock);
    herald->tell(herald->user, &news);
}

static void *work(void *user) {
    struct herald *herald = user;
    (void)pthread_mutex_lock(&herald->mutex);
    while (!herald->must_stop) {
        if (herald->heard.n == 0) {
            (void)pthread_cond_wait(&herald->called, &herald->mutex);
            continue;
        }
        struct herald_runs heard = herald->heard;
        herald->heard = (struct herald_runs){.n = 0};
        (void)pthread_mutex_unlock(&herald->mutex);
        tell_news(herald, &heard);
        (void)pthread_mutex_lock(&herald->mutex);
    }
    (void)pthread_mutex_unlock(&herald->mutex);
    return NULL;
}

static enum status start(struct herald *herald, struct error *error) {
    TRY(hub_subscribe(herald->context->options.hub, 0, hear, herald, &herald->subscription, error));
    int reason = pthread_create(&herald->thread, NULL, work, herald);
    if (reason != 0) {
        return error_set_errno(error, reason, "cannot start a thread");
    }
    herald->started = true;
    return STATUS_OK;
}

enum status herald_start(const struct api_context *context, herald_tell *tell, void *user,
                         struct herald **ret_herald, struct error *error) {
    struct herald *herald = calloc(1, sizeof(*herald));
    if (!herald) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the streams' herald");
    }
    herald->context = context;
    herald->tell = tell;
    herald->user = user;
    (void)pthread_mutex_init(&herald->mutex, NULL);
    (void)pthread_cond_init(&herald->called, NULL);
    enum status status = start(herald, error);
    if (status != STATUS_OK) {
        herald_stop(herald);
        return status;
    }
    *ret_herald = herald;
    return STATUS_OK;
}

void herald_stop(struct herald *herald) {
    if (!herald) {
        return;
    }
    hub_unsubscribe(herald->context->options.hub, herald->subscription);
    if (herald->started) {
        (void)pthread_mutex_lock(&herald->mutex);
        herald->must_stop = true;
        (void)pthread_cond_signal(&herald->called);
        (void)pthread_mutex_unlock(&herald->mutex);
        (void)pthread_join(herald->thread, NULL);
    }
    (void)pthread_cond_destroy(&herald->called);
    (void)pthread_mutex_destroy(&herald->mutex);
    free(herald);
}
