/* What trains one attempt of one run. Local today; another engine fits in without touching the
 * queue or the API.
 *
 * Layer: daemon/work. Thread rule: execute is called by several workers at once, each with its own
 * execution; callbacks come on the calling thread.
 */
#ifndef CUTOUTD_DAEMON_WORK_EXECUTOR_H
#define CUTOUTD_DAEMON_WORK_EXECUTOR_H

#include <stdatomic.h>

#include "core/train/trainer.h"
#include "daemon/store/table/run_table.h"

struct execution {
    const struct run_row *run;
    const struct dataset *dataset;
    const char *variant;       /* kernel variant to train with */
    const char *run_dir;       /* exists; checkpoints go here */
    const char *resume_path;   /* absolute, or NULL: start anew */
    const char *resume_sha256; /* valid with resume_path */
    bool resume_foreign;       /* of the run that this one was forked from */
    const struct trainer_callbacks *callbacks;
};

struct executor {
    void *user;
    /* The variant for runs that start now. */
    const char *(*variant)(void *user);
    /* Whether a run that started with `variant` can go on with it here. */
    bool (*has_variant)(void *user, const char *variant);
    /* May be NULL: from now on so many runs are trained at once. */
    void (*share)(void *user, int n_workers);
    /* Blocks until the attempt is over. Statuses: those of trainer_run; STATUS_INVALID when the
     * stored config cannot be read. */
    enum status (*execute)(void *user, const struct execution *execution,
                           struct trainer_result *ret_result, struct error *error);
};

/* Trains in this process. */
struct executor_local {
    const struct kernels *kernels; /* chosen at start */
    const struct clock *clock;
    atomic_int n_threads; /* of each run that starts from now on */
    int n_cores;          /* to share among the workers; 0: n_threads stays as it is */
    double checkpoint_interval_s;
};

/* *local must outlive the executor. */
struct executor executor_local_make(struct executor_local *local);

#endif
