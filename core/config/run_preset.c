/* The presets of the source notebook and of the papers. Layer: core/config. */
#include <string.h>

#include "core/config/run_config.h"

/* What the presets have in common. */
#define PRESET_COMMON                                                                              \
    .dataset = "cifar10", .depth = 44, .copies = COPIES_INDEPENDENT, .cutout_squares = 1,          \
    .lr_schedule = LR_SCHEDULE_STEPS, .seed = 1, .conv_algorithm = CONV_AUTO, .mix_alpha = 1,      \
    .backward_share = 1

/* The network of the Keras example, and that of the batch augmentation authors' own code. */
#define NETWORK_KERAS .conv_bias = true, .bn_epsilon = 1e-3, .bn_momentum = 0.99
#define NETWORK_PAPER                                                                              \
    .shortcut = SHORTCUT_CONV_BN, .bn_epsilon = 1e-5, .bn_momentum = 0.9,                          \
    .last_gamma = LAST_GAMMA_ZERO

/* Their weight decay is 1e-4 with the 1/2, on weights only. */
#define RECIPE_PAPER                                                                               \
    .epochs = 100, .batch_size = 64, .m = 2, .cutout_size = 16, .flip = true, .crop_pad = 4,       \
    .normalise = NORMALISE_CHANNEL, .drop_last = true, .optimizer = OPTIMIZER_SGD, .lr = 0.1,      \
    .momentum = 0.9, .n_lr_steps = 3, .lr_steps = {{81, 1e-2}, {122, 1e-3}, {164, 1e-4}},          \
    .l2 = 0.5e-4, .l2_dense = true

static const struct run_preset presets[] = {
    {
        .name = "notebook-q3",
        .description = "The source notebook's question 3: ResNet-44, cutout 12 on each of M copies "
                       "of every image of a batch of 64, RMSprop. Its own curves came from copies: "
                       "aliased.",
        .config =
            {
                PRESET_COMMON,
                NETWORK_KERAS,
                .preset = "notebook-q3",
                .epochs = 50,
                .batch_size = 64,
                .m = 2,
                .cutout_size = 12,
                .normalise = NORMALISE_PIXEL_MEAN,
                .drop_last = true,
                .optimizer = OPTIMIZER_RMSPROP,
                .lr = 1e-3,
                .n_lr_steps = 1,
                .lr_steps = {{80, 1e-4}},
                .l2 = 1e-4,
            },
    },
    {
        .name = "notebook-q2",
        .description = "The source notebook's question 2, the baseline without cutout: ResNet-44, "
                       "random shift and flip, Adam.",
        .config =
            {
                PRESET_COMMON,
                NETWORK_KERAS,
                .preset = "notebook-q2",
                .epochs = 100,
                .batch_size = 64,
                .m = 1,
                .shift = 0.1,
                .flip = true,
                .normalise = NORMALISE_PIXEL_MEAN,
                .optimizer = OPTIMIZER_ADAM,
                .lr = 1e-3,
                .n_lr_steps = 1,
                .lr_steps = {{80, 1e-4}},
                .l2 = 1e-4,
            },
    },
    {
        .name = "paper",
        .description = "Batch augmentation as Hoffer et al. (CVPR 2020) train it: cutout 16, flip, "
                       "padded crop, SGD with momentum, and their network: shortcuts of a 1x1 "
                       "convolution with batch normalisation, no biases, last gammas from 0.",
        .config = {PRESET_COMMON, NETWORK_PAPER, .preset = "paper", RECIPE_PAPER},
    },
    {
        .name = "keras-example",
        .description = "The ResNet example of the Keras repository: batch 32, random shift and "
                       "flip, Adam, 200 epochs.",
        .config =
            {
                PRESET_COMMON,
                NETWORK_KERAS,
                .preset = "keras-example",
                .epochs = 200,
                .batch_size = 32,
                .m = 1,
                .shift = 0.1,
                .flip = true,
                .normalise = NORMALISE_PIXEL_MEAN,
                .optimizer = OPTIMIZER_ADAM,
                .lr = 1e-3,
                .n_lr_steps = 4,
                .lr_steps = {{81, 1e-4}, {121, 1e-5}, {161, 1e-6}, {181, 5e-7}},
                .l2 = 1e-4,
            },
    },
    {
        .name = "paper-v1",
        .description = "What the preset paper was at first: the recipe of paper, with the network "
                       "of the Keras example, whose shortcuts have no batch normalisation.",
        .config = {PRESET_COMMON, NETWORK_KERAS, .preset = "paper-v1", RECIPE_PAPER},
    },
};

enum { N_PRESETS = sizeof(presets) / sizeof(presets[0]) };

const struct run_preset *run_presets(size_t *ret_count) {
    *ret_count = N_PRESETS;
    return presets;
}

const struct run_preset *run_preset_find(const char *name) {
    for (size_t i = 0; i < N_PRESETS; i++) {
        if (strcmp(presets[i].name, name) == 0) {
            return &presets[i];
        }
    }
    return NULL;
}

const char *run_preset_of_older(const char *name) {
    return strcmp(name, "paper") == 0 ? "paper-v1" : name;
}
