/* Which kernels this process trains a run with.
 *
 * Layer: daemon/work. Thread rule: pure functions; local_pin is about the calling thread.
 */
#ifndef CUTOUTD_DAEMON_WORK_LOCAL_KERNELS_H
#define CUTOUTD_DAEMON_WORK_LOCAL_KERNELS_H

#include "core/config/run_config.h"
#include "core/kernels/kernels.h"
#include "daemon/store/table/run_table.h"

/* `preferred`, or one that this processor has. NULL: it has none of that name. */
const struct kernels *local_kernels_find(const struct kernels *preferred, const char *variant);

/* For a run that has begun: its own kernels if they still give its bits, otherwise the preferred or
 * any others that do; if none does, its own, which then give other bits, or the preferred. Sets
 * what their arithmetic is called. */
const struct kernels *local_kernels_choose(const struct kernels *preferred,
                                           const struct run_row *run,
                                           const struct run_config *config,
                                           char ret_arithmetic[RUN_ARITHMETIC_SIZE]);

/* Keeps the thread, and those that it starts, on processors n_threads * place and the following
 * ones of those that it may use, in a ring: so teams that are pinned side by side share none while
 * there are enough. False: the system refused. */
bool local_pin(int place, int n_threads);

/* Lowers the priority of the thread, and of those that it starts. */
void local_yield_to_others(void);

#endif
