/* How fast this process would train a run: some of its steps, timed.
 *
 * Layer: daemon/work. Thread rule: any thread; one measurement at a time.
 */
#ifndef CUTOUTD_DAEMON_WORK_LOCAL_BENCH_H
#define CUTOUTD_DAEMON_WORK_LOCAL_BENCH_H

#include "daemon/work/executor_local.h"

/* `measure` of struct executor; its user is a struct executor_local. What was measured before, with
 * as many threads, is not measured again. */
enum status local_bench_measure(void *executor_local, const struct run_config *config,
                                double most_s, struct executor_speed *ret_speed,
                                struct error *error);

/* Forgets what is known. No measurement may be under way. */
void local_bench_clear(struct local_bench *bench);

#endif
