/* Layer: api. */
#include "api/http/background.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct background {
    pthread_t threads[BACKGROUND_MAX_THREADS];
    int n_threads; /* that were started */
    int most_waiting;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    /* All guarded by mutex. */
    int n_waiting;
    struct background_job *first;
    struct background_job **end;
    bool stopping;
    unsigned long long n_begun;
    unsigned long long n_heard; /* of them, by background_stalled_s, as the next */
    double heard_at_s;
};

/* The next job, or NULL when there will be none. */
static struct background_job *take(struct background *background) {
    (void)pthread_mutex_lock(&background->mutex);
    while (!background->first && !background->stopping) {
        (void)pthread_cond_wait(&background->wake, &background->mutex);
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
    for (struct background_job *job = take(user); job; job = take(user)) {
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
    (void)pthread_cond_init(&background->wake, NULL);
    while (background->n_threads < n_threads) {
        int reason =
            pthread_create(&background->threads[background->n_threads], NULL, work, background);
        if (reason != 0) {
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
        (void)pthread_cond_signal(&background->wake);
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
    (void)pthread_cond_broadcast(&background->wake);
    (void)pthread_mutex_unlock(&background->mutex);
    while (background->n_threads > 0) {
        (void)pthread_join(background->threads[--background->n_threads], NULL);
    }
}

void background_free(struct background *background) {
    if (background) {
        (void)pthread_cond_destroy(&background->wake);
        (void)pthread_mutex_destroy(&background->mutex);
        free(background);
    }
}
