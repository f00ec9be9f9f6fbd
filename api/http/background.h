/* Threads for what waits for the store or takes long, so that those that serve connections go on
 * meanwhile.
 *
 * Layer: api. Thread rule: background_start and background_stop by one thread, background_do from
 * any. Jobs begin in the order in which they came; with one thread they run one after the other.
 */
#ifndef CUTOUTD_API_HTTP_BACKGROUND_H
#define CUTOUTD_API_HTTP_BACKGROUND_H

#include "core/base/error.h"

/* Owned by the caller until `run` is called, which may free it. */
struct background_job {
    void (*accept)(void *user); /* before BACKGROUND_TAKEN is returned; must not block */
    void (*run)(void *user);
    void *user;
    struct background_job *next; /* of the background */
};

struct background;

enum { BACKGROUND_MAX_THREADS = 4 };

/* n_threads: 1 .. BACKGROUND_MAX_THREADS; most_waiting: jobs that may wait for one of them.
 * STATUS_NO_MEMORY, STATUS_IO. */
enum status background_start(int n_threads, int most_waiting, struct background **ret_background,
                             struct error *error);

enum background_answer {
    BACKGROUND_TAKEN,
    BACKGROUND_FULL,     /* too many wait; the job will not be run */
    BACKGROUND_STOPPING, /* likewise */
};

enum background_answer background_do(struct background *background, struct background_job *job);

/* For how many seconds, as the calls saw it, jobs have waited and none was begun. One caller. */
double background_stalled_s(struct background *background, double now_s);

/* Runs what waits, takes no more, and returns when all is done. It is not freed. NULL is fine. */
void background_stop(struct background *background);

/* After background_stop. NULL is fine. */
void background_free(struct background *background);

#endif
