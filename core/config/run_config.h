/* What a run is: every choice that its result depends on. Limits and meanings of the fields stand
 * in core/config/run_fields.c, a row each.
 *
 * Layer: core/config. Thread rule: plain values, copy freely.
 *
 * Two runs with equal run_config, equal data and the same kernel variant end with the same bits.
 */
#ifndef CUTOUTD_CORE_CONFIG_RUN_CONFIG_H
#define CUTOUTD_CORE_CONFIG_RUN_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

enum { RUN_MAX_LR_STEPS = 16, RUN_MAX_SQUARES = 1024, RUN_NAME_SIZE = 64 };

/* These enums are stored by name (run_config_*_name), never by number. */
enum copies { COPIES_INDEPENDENT, COPIES_ALIASED };
enum optimizer_kind { OPTIMIZER_ADAM, OPTIMIZER_RMSPROP, OPTIMIZER_SGD };
enum normalise_kind { NORMALISE_PIXEL_MEAN, NORMALISE_CHANNEL };
enum lr_schedule_kind { LR_SCHEDULE_STEPS, LR_SCHEDULE_COSINE, LR_SCHEDULE_LINEAR };
enum flip { FLIP_OFF, FLIP_RANDOM, FLIP_ALTERNATE };
/* What is done to a copy in the place of cutout; none: cutout. */
enum mix { MIX_NONE, MIX_CUTMIX, MIX_MIXUP, MIX_ERASING };
enum tta { TTA_NONE, TTA_MIRROR };
enum conv_algorithm {
    CONV_AUTO,
    CONV_DIRECT,
    CONV_WINOGRAD,             /* where the kernels have it */
    CONV_BEST = CONV_WINOGRAD, /* what CONV_AUTO means */
};

/* What stands beside a block that changes the shape: a 1x1 convolution, or one with a batch
 * normalisation behind it. */
enum shortcut { SHORTCUT_CONV, SHORTCUT_CONV_BN };
/* What the gamma of a block's second batch normalisation begins with. */
enum last_gamma { LAST_GAMMA_ONE, LAST_GAMMA_ZERO };

enum activations { ACTIVATIONS_F32, ACTIVATIONS_BF16 };

/* From epoch `epoch` (counted from 0) on, the learning rate is `lr`. */
struct lr_step {
    int epoch;
    double lr;
};

/* When a run ends before its last epoch; 0: that rule is not set. */
struct run_stop {
    double val_error;   /* after an epoch whose validation error is not above it, 0 .. 1 */
    int patience;       /* after so many epochs without a new best */
    double max_seconds; /* after the epoch in which so many seconds of training are full */
};

struct run_config {
    char preset[RUN_NAME_SIZE];  /* the preset it started from */
    char dataset[RUN_NAME_SIZE]; /* name as in GET /datasets */
    int depth;                   /* 6n+2, 8 .. 110 */
    int epochs;                  /* 1 .. 100,000 */
    int batch_size;              /* B, source images a step, 1 .. 65,536 */
    int m;                       /* copies of each, 1 .. 1,024; a step trains B*M images */
    bool unique_per_batch; /* batch_size is that of a step: B/M source images, M copies each */
    enum copies copies;
    int cutout_size;    /* pixels a side, 0 (none) .. 64 */
    int cutout_squares; /* a copy, 1 .. RUN_MAX_SQUARES */
    double shift;       /* largest shift as a fraction of the side, 0 .. 1 */
    enum flip flip;
    enum mix mix;
    double mix_alpha; /* of cutmix and mixup: their share is drawn from Beta(alpha, alpha) */
    int crop_pad;     /* pixels, 0 (no crop) .. 16 */
    enum normalise_kind normalise;
    bool drop_last; /* leave out the last batch of an epoch when it is smaller than B */
    enum optimizer_kind optimizer;
    double lr;       /* learning rate at epoch 0 */
    double momentum; /* SGD only, 0 .. <1 */
    bool nesterov;   /* SGD only */
    enum lr_schedule_kind lr_schedule;
    double lr_warmup; /* of a linear schedule: the share of all steps before the peak, 0 .. <1 */
    int n_lr_steps;   /* 0: constant */
    struct lr_step lr_steps[RUN_MAX_LR_STEPS];
    bool lr_plateau; /* ReduceLROnPlateau on val_loss: factor sqrt(0.1), patience 5, floor 5e-7 */
    double label_smoothing; /* 0 .. <1: the share of the target that is spread over all classes */
    double backward_share;  /* 0 < .. 1: of the instances of a step, those with the highest loss */
    double ema;             /* decay a step of the averaged weights, 0 (none) .. <1 */
    enum tta tta;
    struct run_stop stop;
    bool stop_on_nan; /* an epoch that diverged (trainer.h) ends the run as failed */
    double l2;        /* penalty l2 * sum(w^2) over the conv kernels (no 1/2) */
    bool l2_dense;    /* the dense kernel as well */
    double
        grad_clip; /* bound of the L2 norm of the gradient, that of the penalty included; 0: none */
    enum shortcut shortcut;
    bool conv_bias;     /* convolutions have a bias */
    double bn_epsilon;  /* added to a variance */
    double bn_momentum; /* share of the moving statistics that a step keeps, as in Keras */
    enum last_gamma last_gamma;
    uint64_t seed;
    int train_images;                   /* the first so many of the data set; 0: all */
    int test_images;                    /* likewise */
    enum conv_algorithm conv_algorithm; /* of variants that have a choice */
    enum activations activations; /* type of what is saved between passes; arithmetic is float */
};

/* One preset: a name, a sentence for people, and the configuration itself. */
struct run_preset {
    const char *name;
    const char *description;
    struct run_config config;
};

/* The presets of the source notebook and of the papers; the first is the default. Static, in the
 * order they are shown. */
const struct run_preset *run_presets(size_t *ret_count);

/* NULL when there is none of that name. */
const struct run_preset *run_preset_find(const char *name);

/* What a run that was stored before its network was a choice (it has no `shortcut`) calls by this
 * name: `paper` was what is paper-v1 now. Other names are what they were. */
const char *run_preset_of_older(const char *name);

/* Checks every field on its own and against the others; the first violation is described in *error
 * as "field: what is wrong". STATUS_INVALID or STATUS_OK. */
enum status run_config_check(const struct run_config *config, struct error *error);

/* Names of enum values as they appear in JSON, and back (false: no such name). */
const char *copies_name(enum copies value);
const char *optimizer_name(enum optimizer_kind value);
const char *normalise_name(enum normalise_kind value);
bool conv_algorithm_from_name(const char *name, enum conv_algorithm *ret);
bool activations_from_name(const char *name, enum activations *ret);

/* Source images of a step, and images with all their copies. */
int run_batch_sources(const struct run_config *config);
int run_batch_images(const struct run_config *config);

/* Steps of one epoch over n_train source images (after train_images was applied). */
int run_steps_per_epoch(const struct run_config *config, int n_train);

/* Images that one epoch trains, all copies counted. */
int64_t run_images_per_epoch(const struct run_config *config, int n_train);

/* Learning rate of an epoch (from 0) by the schedule alone: steps, or
 * lr/2 * (1 + cos(pi * epoch / epochs)) for cosine (Loshchilov & Hutter, SGDR, 2017, eq. 5 without
 * restarts). */
double run_schedule_lr(const struct run_config *config, int epoch);

/* Learning rate of a step of an epoch, both from 0. That of a linear schedule is
 * lr * min(1, (s + 1) / W, (T - s) / (T - W)) at step s of all T, W = lr_warmup * T; others change
 * between epochs only. */
double run_step_lr(const struct run_config *config, int epoch, int step, int steps_per_epoch);

#endif
