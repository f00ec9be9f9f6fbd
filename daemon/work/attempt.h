/* One attempt of one run, from its data set to the verdict on where the run goes.
 *
 * Layer: daemon/work (used by pool.c only). Thread rule: attempt_run is called by one worker; the
 * two flags may be raised by any thread meanwhile.
 */
#ifndef CUTOUTD_DAEMON_WORK_ATTEMPT_H
#define CUTOUTD_DAEMON_WORK_ATTEMPT_H

#include <stdatomic.h>

#include "daemon/work/pool.h"

/* Everything is borrowed. */
struct attempt {
    const struct pool_options *options;
    int slot;                  /* of the progress board */
    const struct run_row *run; /* in state running */
    const atomic_int *request; /* enum run_request: what the user wants of it */
    const atomic_bool *stop;   /* the daemon stops */
    atomic_ullong *heartbeat;  /* counted up whenever something moves */
};

/* Where the run goes. */
struct verdict {
    enum run_state to; /* RUN_QUEUED: one more attempt */
    char reason[RUN_REASON_SIZE];
    bool wait; /* before the worker takes another run: the same would happen again at once */
};

/* What a request means for a run that has stopped: canceled or paused, and why. */
void verdict_of_request(enum run_request request, struct verdict *ret_verdict);

/* Blocks until the attempt is over. Always gives a verdict; carrying it out is the caller's. */
void attempt_run(const struct attempt *attempt, struct verdict *ret_verdict);

#endif
