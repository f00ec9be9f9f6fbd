/* What can be said of a run that this process would train: with what, and whether it could.
 *
 * Layer: daemon/work. Thread rule: any thread. executor_local: a struct executor_local.
 */
#ifndef CUTOUTD_DAEMON_WORK_LOCAL_ORIGIN_H
#define CUTOUTD_DAEMON_WORK_LOCAL_ORIGIN_H

#include "daemon/spec/run_spec.h"
#include "daemon/work/executor_local.h"

/* The run's own config, as it was stored. The caller owns *ret_spec (free). STATUS_NO_MEMORY,
 * STATUS_INVALID. */
enum status local_read_config(const struct run_row *run, struct run_spec **ret_spec,
                              struct error *error);

/* `origin`, `admit` and `missing` of struct executor. */
enum status local_origin(void *executor_local, const struct run_row *run,
                         struct executor_origin *ret_origin, struct error *error);
void local_admit(void *executor_local, const struct run_config *config,
                 struct executor_admission *ret_admission);
void local_missing(void *executor_local, char *text, size_t size);

/* What the run's next checkpoint takes of the disk; 0: unknown. */
int64_t local_checkpoint_bytes(const struct executor_local *local, const struct run_row *run);

#endif
