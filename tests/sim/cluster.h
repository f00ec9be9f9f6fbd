/* An executor whose attempts outlive the daemon: what trains "elsewhere". It is a fake for the seam
 * of daemon/work/executor.h; its jobs go on when the driver says so (cluster_go_on). */
#ifndef CUTOUTD_TESTS_SIM_CLUSTER_H
#define CUTOUTD_TESTS_SIM_CLUSTER_H

#include "daemon/work/executor.h"
#include "tests/sim/stream.h"

struct executor cluster_make(void);

/* In the driver: some jobs do their next step, epoch or checkpoint. */
void cluster_go_on(struct stream *choices);

/* The next attaches find nothing, although the jobs go on and report later. */
void cluster_set_blind(bool blind);

/* The daemon is gone; the jobs are not. */
void cluster_reset(void);

/* Jobs that train. */
int cluster_count(void);

#endif
