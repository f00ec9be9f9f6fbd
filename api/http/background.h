/* One thread for what takes long, so that the threads that serve connections go on meanwhile.
 *
 * Layer: api. Thread rule: background_start and background_stop by one thread, background_do from
 * any. Jobs run one after the other, in the order in which they came.
 */
#ifndef CUTOUTD_API_HTTP_BACKGROUND_H
#define CUTOUTD_API_HTTP_BACKGROUND_H

#include <stdbool.h>

#include "core/base/error.h"

/* Owned by the caller until `run` is called, which may free it. */
struct background_job {
    void (*accept)(void *user); /* before background_do returns true; must not block */
    void (*run)(void *user);
    void *user;
    struct background_job *next; /* of the background */
};

struct background;

/* STATUS_NO_MEMORY, STATUS_IO. */
enum status background_start(struct background **ret_background, struct error *error);

/* False: it stops, and the job will not be run. */
bool background_do(struct background *background, struct background_job *job);

/* Runs what waits, takes no more, and returns when all is done. It is not freed. NULL is fine. */
void background_stop(struct background *background);

/* After background_stop. NULL is fine. */
void background_free(struct background *background);

#endif
