/* Whether the cluster would train runs: asked of the cluster itself.
 *
 * Layer: daemon/slurm. Thread rule: one thread; for a command in the foreground.
 */
#ifndef CUTOUTD_DAEMON_SLURM_SLURM_CHECK_H
#define CUTOUTD_DAEMON_SLURM_SLURM_CHECK_H

#include "daemon/config/config.h"

/* Gives Slurm a job that has the nodes' cutoutd write its version to the shared directory, and
 * waits for that, at most wait_s. What is wrong is added to *problems; the job and what it wrote
 * are removed. */
void slurm_check(const struct config *config, double wait_s, struct config_problems *problems);

#endif
