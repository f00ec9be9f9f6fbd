/* Checks, names and the arithmetic of epochs and learning rates. Layer: core/config. */
#include "core/config/run_config.h"

#include <math.h>
#include <string.h>

#include "core/config/run_fields.h"

/* Checks. Fields that the other choices leave unused (the momentum of an Adam run, the steps of a
 * cosine schedule) must be in range too, but are otherwise ignored: they are leftovers of a preset.
 */

static enum status check_text(const char *name, const char text[RUN_NAME_SIZE],
                              struct error *error) {
    size_t length = strnlen(text, RUN_NAME_SIZE);
    if (length == 0 || length == RUN_NAME_SIZE) {
        return error_set(error, STATUS_INVALID, "%s: must have 1 to %d characters", name,
                         RUN_NAME_SIZE - 1);
    }
    return STATUS_OK;
}

/* A number, false or true, or the index of a word: an enum that came from outside may hold any. */
static enum status check_number(const struct run_config_field *field,
                                const struct run_config *config, struct error *error) {
    double value = run_config_number(field, config);
    if (value >= field->least && value <= field->most && isfinite(value)) {
        return STATUS_OK;
    }
    if (isinf(field->most)) {
        return error_set(error, STATUS_INVALID,
                         "%s: must be a finite number of at least %g, not %g", field->name,
                         field->least, value);
    }
    return error_set(error, STATUS_INVALID, "%s: must be between %.15g and %.15g, not %.15g",
                     field->name, field->least, field->most, value);
}

static enum status check_schedule(const struct run_config_field *field,
                                  const struct run_config *config, struct error *error) {
    if ((unsigned)config->lr_schedule > LR_SCHEDULE_LINEAR) {
        return error_set(error, STATUS_INVALID, "%s: %u is no value of it", field->name,
                         (unsigned)config->lr_schedule);
    }
    if (!(config->lr_warmup >= 0 && config->lr_warmup <= RUN_MOST_WARMUP)) {
        return error_set(error, STATUS_INVALID, "%s: warmup must be between 0 and %g, not %g",
                         field->name, RUN_MOST_WARMUP, config->lr_warmup);
    }
    if (config->n_lr_steps < 0 || config->n_lr_steps > RUN_MAX_LR_STEPS) {
        return error_set(error, STATUS_INVALID, "%s: has %d steps, at most %d are allowed",
                         field->name, config->n_lr_steps, RUN_MAX_LR_STEPS);
    }
    for (int i = 0; i < config->n_lr_steps; i++) {
        const struct lr_step *step = &config->lr_steps[i];
        if (step->epoch < 0 || (i > 0 && step->epoch <= step[-1].epoch)) {
            return error_set(error, STATUS_INVALID,
                             "%s: the epochs must be 0 or more and rise from step to step",
                             field->name);
        }
        if (!(step->lr >= RUN_LEAST_LR && isfinite(step->lr))) {
            return error_set(error, STATUS_INVALID,
                             "%s: learning rates must be finite numbers of at least %g, not %g",
                             field->name, RUN_LEAST_LR, step->lr);
        }
    }
    return STATUS_OK;
}

static enum status check_stop(const struct run_config_field *field, const struct run_stop *stop,
                              struct error *error) {
    if (!(stop->val_error >= 0 && stop->val_error <= 1)) {
        return error_set(error, STATUS_INVALID, "%s: val_error must be between 0 and 1, not %g",
                         field->name, stop->val_error);
    }
    if (stop->patience < 0 || stop->patience > RUN_MOST_PATIENCE) {
        return error_set(error, STATUS_INVALID, "%s: patience must be between 0 and %d, not %d",
                         field->name, RUN_MOST_PATIENCE, stop->patience);
    }
    if (!(stop->max_seconds >= 0 && stop->max_seconds <= RUN_MOST_SECONDS)) {
        return error_set(error, STATUS_INVALID, "%s: max_seconds must be between 0 and %g, not %g",
                         field->name, RUN_MOST_SECONDS, stop->max_seconds);
    }
    return STATUS_OK;
}

static enum status check_field(const struct run_config_field *field,
                               const struct run_config *config, struct error *error) {
    switch (field->type) {
    case RUN_CONFIG_PRESET:
    case RUN_CONFIG_DATASET:
        return check_text(field->name, (const char *)config + field->offset, error);
    case RUN_CONFIG_SCHEDULE:
        return check_schedule(field, config, error);
    case RUN_CONFIG_STOP:
        return check_stop(field, &config->stop, error);
    case RUN_CONFIG_SEED:
        return STATUS_OK; /* any: it is only in JSON that it must be exact in a double */
    case RUN_CONFIG_INT:
    case RUN_CONFIG_DEPTH:
    case RUN_CONFIG_BOOL:
    case RUN_CONFIG_NUMBER:
    case RUN_CONFIG_CHOICE:
    case RUN_CONFIG_SWITCH:
        break;
    }
    return check_number(field, config, error);
}

enum status run_config_check(const struct run_config *config, struct error *error) {
    size_t n_fields = 0;
    const struct run_config_field *fields = run_config_fields(&n_fields);
    for (size_t i = 0; i < n_fields; i++) {
        TRY(check_field(&fields[i], config, error));
    }
    if ((config->depth - 2) % 6 != 0) {
        return error_set(error, STATUS_INVALID, "depth: must be 6n+2 (8, 14, 20, ... 110), not %d",
                         config->depth);
    }
    if (config->unique_per_batch && config->batch_size % config->m != 0) {
        return error_set(error, STATUS_INVALID,
                         "unique_per_batch: a batch_size of %d is no multiple of m = %d, so it "
                         "cannot be made of whole images with all their copies",
                         config->batch_size, config->m);
    }
    if (config->drop_last && config->train_images > 0 &&
        config->train_images < run_batch_sources(config)) {
        return error_set(
            error, STATUS_INVALID,
            "train_images: %d images are less than one batch of %d, and this run drops "
            "the last, smaller batch of an epoch: nothing would be trained",
            config->train_images, run_batch_sources(config));
    }
    return STATUS_OK;
}

/* Epochs and learning rates. */

int run_batch_sources(const struct run_config *config) {
    int sources = config->unique_per_batch ? config->batch_size / config->m : config->batch_size;
    return sources > 0 ? sources : 1; /* of a config that is not checked yet */
}

int run_batch_images(const struct run_config *config) {
    return run_batch_sources(config) * config->m;
}

int run_steps_per_epoch(const struct run_config *config, int n_train) {
    int whole = n_train / run_batch_sources(config);
    bool partial = n_train % run_batch_sources(config) != 0;
    return partial && !config->drop_last ? whole + 1 : whole;
}

int64_t run_images_per_epoch(const struct run_config *config, int n_train) {
    int64_t n_sources = n_train;
    if (config->drop_last) {
        n_sources -= n_train % run_batch_sources(config);
    }
    return n_sources * config->m;
}

double run_schedule_lr(const struct run_config *config, int epoch) {
    const double pi = 3.14159265358979323846;
    double lr = config->lr;
    switch (config->lr_schedule) {
    case LR_SCHEDULE_COSINE:
        return lr / 2 * (1 + cos(pi * epoch / config->epochs));
    case LR_SCHEDULE_LINEAR:
        return run_step_lr(config, epoch, 0, 1);
    case LR_SCHEDULE_STEPS:
        break;
    }
    for (int i = 0; i < config->n_lr_steps && config->lr_steps[i].epoch <= epoch; i++) {
        lr = config->lr_steps[i].lr;
    }
    return lr;
}

double run_step_lr(const struct run_config *config, int epoch, int step, int steps_per_epoch) {
    if (config->lr_schedule != LR_SCHEDULE_LINEAR) {
        return run_schedule_lr(config, epoch);
    }
    double total = (double)config->epochs * steps_per_epoch;
    double at = (double)epoch * steps_per_epoch + step;
    double warmup = config->lr_warmup * total;
    double up = warmup > 0 ? (at + 1) / warmup : 1.0;
    double down = (total - at) / (total - warmup);
    return config->lr * fmin(1.0, fmin(up, down));
}
