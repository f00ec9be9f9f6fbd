/* Layer: daemon/work. Thread rule: pure functions. */
#include "daemon/work/executor.h"

#include <string.h>

#include "core/nn/arithmetic.h"

void executor_plan_clear(struct executor_plan *plan) {
    checkpoint_list_clear(&plan->checkpoints);
    memset(plan, 0, sizeof(*plan));
}

/* What a fork took over ends with the epoch that it was forked at. */
int executor_forked_epoch(const struct run_row *run) {
    return run->forked_from > 0 ? run->forked_epoch : 0;
}

bool executor_keeps_arithmetic(const struct run_row *run, const char *arithmetic) {
    return executor_forked_epoch(run) > 0 ? arithmetic_is_like(run->arithmetic, arithmetic)
                                          : strcmp(run->arithmetic, arithmetic) == 0;
}

bool executor_is_foreign(const struct run_row *run, const struct checkpoint_row *checkpoint) {
    return run->forked_from > 0 && checkpoint->step == 0 &&
           checkpoint->epochs_done <= executor_forked_epoch(run);
}

struct log_subject run_row_subject(const struct run_row *run) {
    return (struct log_subject){.run_id = run->id, .sweep_id = run->sweep_id, .owner = run->owner};
}

enum status executor_end_forbidden(const struct executor_forbidden *forbidden,
                                   struct error *error) {
    return !forbidden->path
               ? STATUS_OK
               : error_set(error, STATUS_FORBIDDEN,
                           "%.300s: it is not the daemon's to read; stop the daemon, do what "
                           "`cutoutd doctor` says of it, then requeue the run, which goes on from "
                           "there",
                           forbidden->why.message);
}

enum status executor_pass_forbidden(struct executor_forbidden *forbidden, const char *path,
                                    const struct error *why, struct error *error) {
    if (forbidden->path) {
        return strcmp(forbidden->path, path) == 0 ? STATUS_OK
                                                  : executor_end_forbidden(forbidden, error);
    }
    forbidden->path = path;
    forbidden->why = *why;
    return STATUS_OK;
}
