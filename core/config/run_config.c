/* Checks, names and the arithmetic of epochs and learning rates. Layer: core/train. */
#include "core/config/run_config.h"

#include <math.h>
#include <string.h>

/* Checks. Fields that the other choices leave unused (the momentum of an Adam run, the steps of a
 * cosine schedule) must be in range too, but are otherwise ignored: they are leftovers of a preset.
 */

static enum status check_int(const char *field, int value, int least, int most,
                             struct error *error) {
    if (value < least || value > most) {
        return error_set(error, STATUS_INVALID, "%s: must be between %d and %d, not %d", field,
                         least, most, value);
    }
    return STATUS_OK;
}

/* An enum that came from outside may hold any number; as unsigned, negative ones are too large. */
static enum status check_enum(const char *field, unsigned value, unsigned last,
                              struct error *error) {
    if (value > last) {
        return error_set(error, STATUS_INVALID, "%s: %u is no value of it", field, value);
    }
    return STATUS_OK;
}

static enum status check_text(const char *field, const char text[RUN_NAME_SIZE],
                              struct error *error) {
    size_t length = strnlen(text, RUN_NAME_SIZE);
    if (length == 0 || length == RUN_NAME_SIZE) {
        return error_set(error, STATUS_INVALID, "%s: must have 1 to %d characters", field,
                         RUN_NAME_SIZE - 1);
    }
    return STATUS_OK;
}

static enum status check_learning_rate(const char *field, double lr, struct error *error) {
    if (!(lr > 0) || !isfinite(lr)) {
        return error_set(error, STATUS_INVALID, "%s: must be a finite number above 0, not %g",
                         field, lr);
    }
    return STATUS_OK;
}

static enum status check_network_and_batch(const struct run_config *config, struct error *error) {
    TRY(check_int("depth", config->depth, 8, 110, error));
    if ((config->depth - 2) % 6 != 0) {
        return error_set(error, STATUS_INVALID, "depth: must be 6n+2 (8, 14, 20, ... 110), not %d",
                         config->depth);
    }
    TRY(check_enum("conv_algorithm", config->conv_algorithm, CONV_WINOGRAD, error));
    TRY(check_int("epochs", config->epochs, 1, 100000, error));
    TRY(check_int("batch_size", config->batch_size, 1, 65536, error));
    TRY(check_int("m", config->m, 1, 1024, error));
    TRY(check_int("train_images", config->train_images, 0, INT32_MAX, error));
    TRY(check_int("test_images", config->test_images, 0, INT32_MAX, error));
    if (config->drop_last && config->train_images > 0 &&
        config->train_images < config->batch_size) {
        return error_set(
            error, STATUS_INVALID,
            "train_images: %d images are less than one batch of %d, and this run drops "
            "the last, smaller batch of an epoch: nothing would be trained",
            config->train_images, config->batch_size);
    }
    return STATUS_OK;
}

static enum status check_augmentation(const struct run_config *config, struct error *error) {
    TRY(check_enum("copies", config->copies, COPIES_ALIASED, error));
    TRY(check_int("cutout_size", config->cutout_size, 0, 64, error));
    TRY(check_int("cutout_squares", config->cutout_squares, 1, RUN_MAX_SQUARES, error));
    if (!(config->shift >= 0 && config->shift <= 1)) {
        return error_set(error, STATUS_INVALID, "shift: must be between 0 and 1, not %g",
                         config->shift);
    }
    TRY(check_int("crop_pad", config->crop_pad, 0, 16, error));
    return check_enum("normalise", config->normalise, NORMALISE_CHANNEL, error);
}

static enum status check_schedule(const struct run_config *config, struct error *error) {
    TRY(check_enum("lr_schedule", config->lr_schedule, LR_SCHEDULE_COSINE, error));
    if (config->n_lr_steps < 0 || config->n_lr_steps > RUN_MAX_LR_STEPS) {
        return error_set(error, STATUS_INVALID, "lr_schedule: has %d steps, at most %d are allowed",
                         config->n_lr_steps, RUN_MAX_LR_STEPS);
    }
    for (int i = 0; i < config->n_lr_steps; i++) {
        const struct lr_step *step = &config->lr_steps[i];
        if (step->epoch < 0 || (i > 0 && step->epoch <= step[-1].epoch)) {
            return error_set(
                error, STATUS_INVALID,
                "lr_schedule: the epochs must be 0 or more and rise from step to step");
        }
        TRY(check_learning_rate("lr_schedule", step->lr, error));
    }
    return STATUS_OK;
}

static enum status check_optimizer(const struct run_config *config, struct error *error) {
    TRY(check_enum("optimizer", config->optimizer, OPTIMIZER_SGD, error));
    TRY(check_learning_rate("lr", config->lr, error));
    if (!(config->momentum >= 0 && config->momentum < 1)) {
        return error_set(error, STATUS_INVALID, "momentum: must be at least 0 and below 1, not %g",
                         config->momentum);
    }
    if (!(config->l2 >= 0 && config->l2 <= 1)) {
        return error_set(error, STATUS_INVALID, "l2: must be between 0 and 1, not %g", config->l2);
    }
    return check_schedule(config, error);
}

enum status run_config_check(const struct run_config *config, struct error *error) {
    TRY(check_text("preset", config->preset, error));
    TRY(check_text("dataset", config->dataset, error));
    TRY(check_network_and_batch(config, error));
    TRY(check_augmentation(config, error));
    return check_optimizer(config, error);
}

/* Names. One table an enum; the index is the value. */

static const char *const copies_names[] = {
    [COPIES_INDEPENDENT] = "independent",
    [COPIES_ALIASED] = "aliased",
};
static const char *const optimizer_names[] = {
    [OPTIMIZER_ADAM] = "adam",
    [OPTIMIZER_RMSPROP] = "rmsprop",
    [OPTIMIZER_SGD] = "sgd",
};
static const char *const normalise_names[] = {
    [NORMALISE_PIXEL_MEAN] = "pixel_mean",
    [NORMALISE_CHANNEL] = "channel",
};
static const char *const conv_algorithm_names[] = {
    [CONV_AUTO] = "auto",
    [CONV_DIRECT] = "direct",
    [CONV_WINOGRAD] = "winograd",
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* The index of `name`, or -1. */
static int index_of(const char *name, const char *const *names, size_t n_names) {
    for (size_t i = 0; i < n_names; i++) {
        if (strcmp(names[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

const char *copies_name(enum copies value) {
    return copies_names[value];
}

const char *optimizer_name(enum optimizer_kind value) {
    return optimizer_names[value];
}

const char *normalise_name(enum normalise_kind value) {
    return normalise_names[value];
}

const char *conv_algorithm_name(enum conv_algorithm value) {
    return conv_algorithm_names[value];
}

bool copies_from_name(const char *name, enum copies *ret) {
    int index = index_of(name, copies_names, COUNT(copies_names));
    if (index >= 0) {
        *ret = (enum copies)index;
    }
    return index >= 0;
}

bool optimizer_from_name(const char *name, enum optimizer_kind *ret) {
    int index = index_of(name, optimizer_names, COUNT(optimizer_names));
    if (index >= 0) {
        *ret = (enum optimizer_kind)index;
    }
    return index >= 0;
}

bool normalise_from_name(const char *name, enum normalise_kind *ret) {
    int index = index_of(name, normalise_names, COUNT(normalise_names));
    if (index >= 0) {
        *ret = (enum normalise_kind)index;
    }
    return index >= 0;
}

bool conv_algorithm_from_name(const char *name, enum conv_algorithm *ret) {
    int index = index_of(name, conv_algorithm_names, COUNT(conv_algorithm_names));
    if (index >= 0) {
        *ret = (enum conv_algorithm)index;
    }
    return index >= 0;
}

/* Epochs and learning rates. */

int run_steps_per_epoch(const struct run_config *config, int n_train) {
    int whole = n_train / config->batch_size;
    bool partial = n_train % config->batch_size != 0;
    return partial && !config->drop_last ? whole + 1 : whole;
}

int64_t run_images_per_epoch(const struct run_config *config, int n_train) {
    int64_t n_sources = n_train;
    if (config->drop_last) {
        n_sources -= n_train % config->batch_size;
    }
    return n_sources * config->m;
}

double run_schedule_lr(const struct run_config *config, int epoch) {
    const double pi = 3.14159265358979323846;
    double lr = config->lr;
    switch (config->lr_schedule) {
    case LR_SCHEDULE_COSINE:
        return lr / 2 * (1 + cos(pi * epoch / config->epochs));
    case LR_SCHEDULE_STEPS:
        break;
    }
    for (int i = 0; i < config->n_lr_steps && config->lr_steps[i].epoch <= epoch; i++) {
        lr = config->lr_steps[i].lr;
    }
    return lr;
}
