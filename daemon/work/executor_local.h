/* The executor that trains in this process, a thread and a team of threads for each run.
 *
 * Layer: daemon/work. Thread rule: the members before `mutex` are set before open; the atomic ones
 * may be changed at any time. The rest is the executor's own.
 *
 * Its attempts do not outlive the process: there is no attach, and recovery queues such runs.
 */
#ifndef CUTOUTD_DAEMON_WORK_EXECUTOR_LOCAL_H
#define CUTOUTD_DAEMON_WORK_EXECUTOR_LOCAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "daemon/work/dataset_registry.h"
#include "daemon/work/executor.h"

enum { EXECUTOR_LOCAL_MOST = 64 }; /* runs at once */

typedef enum status executor_local_train(const struct trainer_options *options,
                                         const struct trainer_callbacks *callbacks,
                                         struct trainer_result *ret_result, struct error *error);

struct local_run;

enum { LOCAL_BENCH_KNOWN = 16 };

struct local_bench_entry {
    char *kind; /* of runs (local_bench.c); owned */
    struct executor_speed speed;
};

/* What was measured; guarded by its mutex, which is held during a measurement. */
struct local_bench {
    pthread_mutex_t mutex;
    struct local_bench_entry known[LOCAL_BENCH_KNOWN]; /* a ring */
    int n;                                             /* ever added */
};

struct executor_local {
    const struct kernels *kernels; /* chosen at start */
    const struct clock *clock;
    struct dataset_registry *datasets;
    atomic_int n_threads; /* of each run that starts from now on */
    int n_cores;          /* to share among the workers; 0: n_threads stays as it is */
    _Atomic double checkpoint_interval_s; /* of each run that starts from now on */
    _Atomic int64_t memory_limit_bytes;   /* of one run */
    bool pin_threads;                     /* each thread of a team to a processor */
    executor_local_train *train;          /* NULL: trainer_run */

    pthread_mutex_t mutex;
    struct local_run *runs; /* [EXECUTOR_LOCAL_MOST] */
    const struct executor_reports *reports;
    atomic_bool stopping;
    struct local_bench bench;
};

/* *local must outlive the executor. */
struct executor executor_local_make(struct executor_local *local);

/* Any thread; after open. */
bool executor_local_is_training(const struct executor_local *local);

#endif
