/* Layer: daemon/work. */
#include "daemon/work/local_origin.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/cleanup.h"
#include "core/train/checkpoint.h"
#include "daemon/work/local_kernels.h"

enum status local_read_config(const struct run_row *run, struct run_spec **ret_spec,
                              struct error *error) {
    struct run_spec *spec = calloc(1, sizeof(*spec));
    enum status status = spec ? run_spec_read_stored(run->config_json, spec, error)
                              : error_set(error, STATUS_NO_MEMORY, "no memory to read the config");
    if (status != STATUS_OK) {
        free(spec);
        return status;
    }
    *ret_spec = spec;
    return STATUS_OK;
}

enum status local_origin(void *executor_local, const struct run_row *run,
                         struct executor_origin *ret_origin, struct error *error) {
    struct executor_local *local = executor_local;
    const struct dataset *dataset = NULL;
    struct executor_origin found = {.steps_per_epoch = 0};
    CLEANUP(free_pointer) struct run_spec *spec = NULL;
    TRY(local_read_config(run, &spec, error));
    TRY(dataset_registry_acquire(local->datasets, run->dataset, &dataset, found.dataset_sha256,
                                 error));
    int n_train = dataset->train.n;
    dataset_registry_release(local->datasets, dataset);
    if (spec->config.train_images > 0 && spec->config.train_images < n_train) {
        n_train = spec->config.train_images;
    }
    const struct kernels *kernels =
        local_kernels_choose(local->kernels, run, &spec->config, found.arithmetic);
    (void)snprintf(found.variant, sizeof(found.variant), "%s", kernels->name);
    found.steps_per_epoch = run_steps_per_epoch(&spec->config, n_train);
    found.images_per_epoch = run_images_per_epoch(&spec->config, n_train);
    *ret_origin = found;
    return STATUS_OK;
}

void local_admit(void *executor_local, const struct run_config *config,
                 struct executor_admission *ret_admission) {
    struct executor_local *local = executor_local;
    struct dataset_description dataset;
    dataset_registry_find(local->datasets, config->dataset, &dataset);
    *ret_admission = (struct executor_admission){
        .needed_bytes = trainer_memory_bytes(config, dataset.n_classes, local->kernels,
                                             atomic_load(&local->n_threads)),
        .limit_bytes = atomic_load(&local->memory_limit_bytes),
        .has_images = dataset.known,
        .n_train_images = dataset.n_train,
        .n_test_images = dataset.n_test};
}

void local_missing(void *executor_local, char *text, size_t size) {
    const struct executor_local *local = executor_local;
    dataset_registry_write_missing(local->datasets, EXECUTOR_NAME_LOCAL, text, size);
}

int64_t local_checkpoint_bytes(const struct executor_local *local, const struct run_row *run) {
    CLEANUP(free_pointer) struct run_spec *spec = NULL;
    struct dataset_description dataset;
    if (local_read_config(run, &spec, NULL) != STATUS_OK) {
        return 0;
    }
    dataset_registry_find(local->datasets, run->dataset, &dataset);
    return checkpoint_bytes(&spec->config, dataset.n_classes);
}
