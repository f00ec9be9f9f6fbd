/* The executor that trains in this process. Layer: daemon/work. Thread rule: see executor.h. */
#include <stdlib.h>

#include "core/base/cleanup.h"
#include "daemon/spec/run_spec.h"
#include "daemon/work/executor.h"

static const char *variant(void *user) {
    const struct executor_local *local = user;
    return local->kernels->name;
}

static bool has_variant(void *user, const char *name) {
    (void)user;
    return kernels_find(name) != NULL;
}

static enum status execute(void *user, const struct execution *execution,
                           struct trainer_result *ret_result, struct error *error) {
    struct executor_local *local = user;
    CLEANUP(free_pointer) struct run_spec *spec = calloc(1, sizeof(*spec));
    if (!spec) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to read the run's config");
    }
    /* That its data set exists was settled before. */
    TRY(run_spec_read_stored(execution->run->config_json, spec, error));
    const struct trainer_options options = {
        .config = &spec->config,
        .dataset = execution->dataset,
        .kernels = kernels_find(execution->variant),
        .clock = local->clock,
        .n_threads = atomic_load(&local->n_threads),
        .checkpoint_dir = execution->run_dir,
        .checkpoint_interval_s = local->checkpoint_interval_s,
        .resume_path = execution->resume_path,
        .resume_sha256 = execution->resume_sha256,
        .resume_foreign = execution->resume_foreign,
    };
    return trainer_run(&options, execution->callbacks, ret_result, error);
}

static void share(void *user, int n_workers) {
    struct executor_local *local = user;
    if (local->n_cores > 0) {
        int n = local->n_cores / n_workers;
        atomic_store(&local->n_threads, n > 0 ? n : 1);
    }
}

struct executor executor_local_make(struct executor_local *local) {
    return (struct executor){.user = local,
                             .variant = variant,
                             .has_variant = has_variant,
                             .share = share,
                             .execute = execute};
}
