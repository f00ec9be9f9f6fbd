/* The process that trains one attempt on a node: `cutoutd train --attempt DIR`.
 *
 * Layer: daemon/slurm. Thread rule: one thread, before there are others; handles signals.
 *
 * It trains as the daemon itself would (executor_local) and reports to DIR's journal
 * (attempt_dir.h). Of several processes with the same directory one trains; the others end.
 * SIGUSR1 asks for a checkpoint; SIGUSR2 says that the time limit is near, and like SIGTERM, SIGINT
 * and SIGHUP asks for a checkpoint and an end. Without attempt.json it ends at once.
 */
#ifndef CUTOUTD_DAEMON_SLURM_JOB_H
#define CUTOUTD_DAEMON_SLURM_JOB_H

#include <stdio.h>

enum job_exit {
    JOB_EXIT_TOLD = 0,      /* the outcome, whatever it is, stands in the journal */
    JOB_EXIT_FAILED = 1,    /* nothing was begun; `out` says why */
    JOB_EXIT_NOT_MINE = 3,  /* another process has begun the attempt */
    JOB_EXIT_UNTOLD = 74,   /* the outcome could not be written */
    JOB_EXIT_NO_SPACE = 75, /* likewise: the shared disk is full */
};

/* Returns the exit status. Messages for people go to `out`. */
enum job_exit job_train(const char *directory, FILE *out);

#endif
