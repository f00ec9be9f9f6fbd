/* Layer: api. Thread rule: the mutex guards the list and `stopping`. */
#include "api/http/background.h"

#include <pthread.h>
#include <stdlib.h>

struct background {
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct background_job *first;
    struct background_job **end;
    bool stopping;
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

enum status background_start(struct background **ret_background, struct error *error) {
    struct background *background = calloc(1, sizeof(*background));
    if (!background) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the background thread");
    }
    background->end = &background->first;
    (void)pthread_mutex_init(&background->mutex, NULL);
    (void)pthread_cond_init(&background->wake, NULL);
    int reason = pthread_create(&background->thread, NULL, work, background);
    background->started = reason == 0;
    if (!background->started) {
        background_free(background);
        return error_set_errno(error, reason, "cannot start a thread");
    }
    *ret_background = background;
    return STATUS_OK;
}

bool background_do(struct background *background, struct background_job *job) {
    job->next = NULL;
    (void)pthread_mutex_lock(&background->mutex);
    bool taken = !background->stopping;
    if (taken) {
        job->accept(job->user);
        *background->end = job;
        background->end = &job->next;
        (void)pthread_cond_signal(&background->wake);
    }
    (void)pthread_mutex_unlock(&background->mutex);
    return taken;
}

void background_stop(struct background *background) {
    if (!background || !background->started) {
        return;
    }
    (void)pthread_mutex_lock(&background->mutex);
    background->stopping = true;
    (void)pthread_cond_signal(&background->wake);
    (void)pthread_mutex_unlock(&background->mutex);
    (void)pthread_join(background->thread, NULL);
    background->started = false;
}

void background_free(struct background *background) {
    if (background) {
        (void)pthread_cond_destroy(&background->wake);
        (void)pthread_mutex_destroy(&background->mutex);
        free(background);
    }
}
