/* The executor that trains in this process. Layer: daemon/work. Thread rule: see executor.h. */
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "daemon/run_spec.h"
#include "daemon/work/executor.h"

static const char *variant(void *user) {
    const struct executor_local *local = user;
    return local->kernels->name;
}

static bool has_variant(void *user, const char *name) {
    (void)user;
    return kernels_find(name) != NULL;
}

/* The stored text was complete when it was accepted; that its data set exists was settled before.
 */
static enum status read_spec(const struct run_row *run, struct run_spec *ret_spec,
                             struct error *error) {
    CLEANUP(free_pointer) struct field_errors *errors = calloc(1, sizeof(*errors));
    if (!errors) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to read the run's config");
    }
    const struct run_spec_context context = {.default_dataset = run->dataset};
    enum status status =
        run_spec_parse(run->config_json, strlen(run->config_json), &context, ret_spec, errors);
    if (status != STATUS_OK) {
        return error_set(error, STATUS_INVALID, "the stored config cannot be used: %s %s",
                         errors->items[0].pointer, errors->items[0].detail);
    }
    return STATUS_OK;
}

static enum status execute(void *user, const struct execution *execution,
                           struct trainer_result *ret_result, struct error *error) {
    const struct executor_local *local = user;
    CLEANUP(free_pointer) struct run_spec *spec = calloc(1, sizeof(*spec));
    if (!spec) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to read the run's config");
    }
    TRY(read_spec(execution->run, spec, error));
    const struct trainer_options options = {
        .config = &spec->config,
        .dataset = execution->dataset,
        .kernels = kernels_find(execution->variant),
        .clock = local->clock,
        .n_threads = local->n_threads,
        .checkpoint_dir = execution->run_dir,
        .checkpoint_interval_s = local->checkpoint_interval_s,
        .resume_path = execution->resume_path,
        .resume_sha256 = execution->resume_sha256,
    };
    return trainer_run(&options, execution->callbacks, ret_result, error);
}

struct executor executor_local_make(struct executor_local *local) {
    return (struct executor){
        .user = local, .variant = variant, .has_variant = has_variant, .execute = execute};
}
