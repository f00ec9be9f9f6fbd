/* Layer: api. */
#include "api/http/background.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

/* A thread waits at a condition of its own, so that the one that slept last can be woken: its
 * caches still hold what the next job needs. */
struct worker {
    pthread_t thread;
    pthread_cond_t wake;
    struct background *background;
    /* Guarded by the background's mutex. */
    bool asleep;         /* in its list, and not woken yet */
    struct worker *next; /* that sleeps, longer than this one */
};

struct background {
    struct worker workers[BACKGROUND_MAX_THREADS];
    int n_threads; /* that were started */
    int most_waiting;
    pthread_mutex_t mutex;
    /* All guarded by mutex. */
    struct worker *sleeping; /* the one that slept last first */
    int n_waiting;
    struct background_job *first;
    struct background_job **end;
    bool stopping;
    unsigned long long n_begun;
    unsigned long long n_heard; /* of them, by background_stalled_s, as the next */
    double heard_at_s;
};

/* With the mutex held. Wakes the thread that slept last, if one sleeps. */
static void wake_one(struct background *background) {
    struct worker *worker = background->sleeping;
    if (worker) {
        background->sleeping = worker->next;
        worker->asleep = false;
        (void)pthread_cond_signal(&worker->wake);
    }
}

/* The next job, or NULL when there will be none. */
static struct background_job *take(struct worker *worker) {
    struct background *background = worker->background;
    (void)pthread_mutex_lock(&background->mutex);
    while (!background->first && !background->stopping) {
        worker->asleep = true;
        worker->next = background->sleeping;
        background->sleeping = worker;
        while (worker->asleep) {
            (void)pthread_cond_wait(&worker->wake, &background->mutex);
        }
    }
    struct background_job *job = background->first;
    if (job) {
        background->first = job->next;
        background->n_waiting--;
        background->n_begun++;
        if (!background->first) {
            background->end = &background->first;
        }
    }
    (void)pthread_mutex_unlock(&background->mutex);
    return job;
}

static void *work(void *user) {
    struct worker *worker = user;
    for (struct background_job *job = take(worker); job; job = take(worker)) {
        job->run(job->user);
    }
    return NULL;
}

enum status background_start(int n_threads, int most_waiting, struct background **ret_background,
                             struct error *error) {
    struct background *background = calloc(1, sizeof(*background));
    if (!background) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a background thread");
    }
    background->most_waiting = most_waiting;
    background->end = &background->first;
    (void)pthread_mutex_init(&background->mutex, NULL);
    while (background->n_threads < n_threads) {
        struct worker *worker = &background->workers[background->n_threads];
        worker->background = background;
        (void)pthread_cond_init(&worker->wake, NULL);
        int reason = pthread_create(&worker->thread, NULL, work, worker);
        if (reason != 0) {
            (void)pthread_cond_destroy(&worker->wake);
            background_stop(background);
            background_free(background);
            return error_set_errno(error, reason, "cannot start a thread");
        }
        background->n_threads++;
    }
    *ret_background = background;
    return STATUS_OK;
}

enum background_answer background_do(struct background *background, struct background_job *job) {
    enum background_answer answer = BACKGROUND_TAKEN;
    job->next = NULL;
    (void)pthread_mutex_lock(&background->mutex);
    if (background->stopping) {
        answer = BACKGROUND_STOPPING;
    } else if (background->n_waiting >= background->most_waiting) {
        answer = BACKGROUND_FULL;
    } else {
        job->accept(job->user);
        background->n_waiting++;
        *background->end = job;
        background->end = &job->next;
        wake_one(background);
    }
    (void)pthread_mutex_unlock(&background->mutex);
    return answer;
}

double background_stalled_s(struct background *background, double now_s) {
    (void)pthread_mutex_lock(&background->mutex);
    if (!background->first || background->n_begun != background->n_heard) {
        background->n_heard = background->n_begun;
        background->heard_at_s = now_s;
    }
    double stalled_s = now_s - background->heard_at_s;
    (void)pthread_mutex_unlock(&background->mutex);
    return stalled_s;
}

void background_stop(struct background *background) {
    if (!background) {
        return;
    }
    (void)pthread_mutex_lock(&background->mutex);
    background->stopping = true;
    while (background->sleeping) {
        wake_one(background);
    }
    (void)pthread_mutex_unlock(&background->mutex);
    while (background->n_threads > 0) {
        struct worker *worker = &background->workers[--background->n_threads];
        (void)pthread_join(worker->thread, NULL);
        (void)pthread_cond_destroy(&worker->wake);
    }
}

void background_free(struct background *background) {
    if (background) {
        (void)pthread_mutex_destroy(&background->mutex);
        free(background);
    }
}
