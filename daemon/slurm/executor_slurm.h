/* The executor that has Slurm place its runs: each attempt is a job that trains as this process
 * would (job.h) and reports to a journal on a file system that both see.
 *
 * Layer: daemon/slurm. Thread rule: the members before `mutex` are set before open. A thread of its
 * own asks Slurm and follows the journals; it begins once `most` was asked for the first time.
 *
 * Its attempts outlive the process: whoever has begun one is found again by its directory and by
 * the name and the comment of its job.
 */
#ifndef CUTOUTD_DAEMON_SLURM_EXECUTOR_SLURM_H
#define CUTOUTD_DAEMON_SLURM_EXECUTOR_SLURM_H

#include <pthread.h>
#include <stdatomic.h>

#include "daemon/slurm/slurm_client.h"
#include "daemon/slurm/slurm_nodes.h"
#include "daemon/work/dataset_registry.h"
#include "daemon/work/executor.h"

#define EXECUTOR_NAME_SLURM "slurm"

struct slurm_job;

struct executor_slurm {
    const struct config *config;
    const struct executor *local; /* knows what runs are trained with; not opened for that */
    struct dataset_registry *datasets;
    char instance[64];        /* of the database: jobs of another one are not ours */
    void (*wake)(void *user); /* it may start runs again; any thread; may be NULL */
    void *wake_user;

    pthread_mutex_t mutex;               /* guards the next three, and what jobs are asked */
    struct slurm_job *arrived;           /* those that the thread has not seen yet */
    struct slurm_job *first;             /* the thread's: it changes them with the mutex held */
    struct executor_condition condition; /* as it is told */
    atomic_bool begun;
    atomic_bool stopping;
    int kick_fd; /* wakes the thread */
    pthread_t thread;
    bool has_thread;
    const struct executor_reports *reports;

    /* The thread's own. */
    char base[EXECUTOR_PATH_SIZE]; /* SHARED_DIR/cutoutd-INSTANCE */
    char program[CONFIG_TEXT_SIZE];
    char comment[SLURM_COMMENT_SIZE];
    struct slurm_client client;
    struct slurm_nodes nodes;
    char silence[RUN_REASON_SIZE]; /* Slurm does not answer; "": it does, or was not asked */
    char refusal[RUN_REASON_SIZE]; /* sbatch takes no jobs at present */
    char trouble[RUN_REASON_SIZE]; /* the shared directory cannot be used */
    struct {
        char constraint[2 * CONFIG_TEXT_SIZE]; /* no node has these features; "": all were found */
        double until_s;                        /* not asked for again before */
    } lacking;
    double poll_at_s; /* the next question, as the next */
    double submit_at_s;
    double orphans_at_s;
    int n_polls; /* that were answered */
};

/* *slurm must outlive the executor, and stay where it is. */
struct executor executor_slurm_make(struct executor_slurm *slurm);

#endif
