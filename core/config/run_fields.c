/* Layer: core/config. */
#include "core/config/run_fields.h"

#include <math.h>
#include <string.h>

/* The words of the choices; the index is the value. */
static const char *const copies_words[] = {
    [COPIES_INDEPENDENT] = "independent",
    [COPIES_ALIASED] = "aliased",
};
static const char *const optimizer_words[] = {
    [OPTIMIZER_ADAM] = "adam",
    [OPTIMIZER_RMSPROP] = "rmsprop",
    [OPTIMIZER_SGD] = "sgd",
};
static const char *const normalise_words[] = {
    [NORMALISE_PIXEL_MEAN] = "pixel_mean",
    [NORMALISE_CHANNEL] = "channel",
};
static const char *const conv_algorithm_words[] = {
    [CONV_AUTO] = "auto",
    [CONV_DIRECT] = "direct",
    [CONV_WINOGRAD] = "winograd",
};

static const char *const flip_words[] = {
    [FLIP_OFF] = "false",
    [FLIP_RANDOM] = "true",
    [FLIP_ALTERNATE] = "alternate",
};
static const char *const mix_words[] = {
    [MIX_NONE] = "none",
    [MIX_CUTMIX] = "cutmix",
    [MIX_MIXUP] = "mixup",
    [MIX_ERASING] = "erasing",
};
static const char *const tta_words[] = {
    [TTA_NONE] = "none",
    [TTA_MIRROR] = "mirror",
};
static const char *const shortcut_words[] = {
    [SHORTCUT_CONV] = "conv",
    [SHORTCUT_CONV_BN] = "conv_bn",
};
static const char *const last_gamma_words[] = {
    [LAST_GAMMA_ONE] = "one",
    [LAST_GAMMA_ZERO] = "zero",
};
static const char *const activations_words[] = {
    [ACTIVATIONS_F32] = "f32",
    [ACTIVATIONS_BF16] = "bf16",
};

enum { MAX_IMAGES = 1000000 };
#define MAX_SEED 9007199254740991.0 /* 2^53 - 1: every one is exact in a double */

/* A field called as its member of struct run_config. */
#define FIELD(member) .name = #member, .offset = offsetof(struct run_config, member)
#define INT(from, to) .type = RUN_CONFIG_INT, .least = (from), .most = (to)
#define NUMBER(from, to) .type = RUN_CONFIG_NUMBER, .least = (from), .most = (to)
#define BOOL .type = RUN_CONFIG_BOOL, .most = 1
#define N_OF(table) (int)(sizeof(table) / sizeof((table)[0]))
#define WORDS(table) .words = (table), .n_words = N_OF(table), .most = N_OF(table) - 1
#define CHOICE(table) .type = RUN_CONFIG_CHOICE, WORDS(table)
#define SWITCH(table) .type = RUN_CONFIG_SWITCH, WORDS(table)
#define BITS .arithmetic = true
#define LATER(value) .later = true, .older = (value)

/* clang-format off: a row a field */
static const struct run_config_field fields[] = {
    {FIELD(preset), .type = RUN_CONFIG_PRESET,
     .help = "Where the other fields begin; GET /api/v1/presets."},
    {FIELD(dataset), .type = RUN_CONFIG_DATASET, BITS, .help = "One of GET /api/v1/datasets."},
    {FIELD(depth), .type = RUN_CONFIG_DEPTH, .least = 8, .most = 110, BITS,
     .help = "Layers of the ResNet: 6n+2.", .synonyms = "layers"},
    {FIELD(epochs), INT(1, 100000), .help = "How often the training images are gone through.",
     .synonyms = "n_epochs, num_epochs"},
    {FIELD(batch_size), INT(1, 65536), BITS, .help = "Images of a step before they are copied.",
     .synonyms = "bs"},
    {FIELD(m), INT(1, 1024), BITS, .help = "Copies of each image in a batch.",
     .synonyms = "duplicates, multiplicity, repeats"},
    {FIELD(unique_per_batch), BOOL, BITS, LATER(0),
     .help = "batch_size counts all copies: a step has batch_size / m images with m copies each.",
     .synonyms = "repeated_augmentation"},
    {FIELD(copies), CHOICE(copies_words), BITS,
     .help = "independent: each copy has its own squares; aliased: each has those of all."},
    {FIELD(cutout_size), INT(0, 64), .most_new = 32, BITS,
     .help = "Side of a cutout square in pixels; 0: none.", .synonyms = "cutout_length, mask_size"},
    {FIELD(cutout_squares), INT(1, RUN_MAX_SQUARES), BITS,
     .help =
         "Squares of a copy. m times as many: at most 4096, which take about as long as training "
         "the copy.",
     .synonyms = "n_holes, holes"},
    {FIELD(shift), NUMBER(0, 1), BITS, .help = "Largest random shift, as a part of the side."},
    {FIELD(flip), SWITCH(flip_words), BITS,
     .help =
         "Mirror a copy with probability 1/2; alternate: by turns, from epoch to epoch and from "
         "copy to copy, where a hash of the image says which is first.",
     .synonyms = "horizontal_flip"},
    {FIELD(mix), CHOICE(mix_words), BITS, LATER(MIX_NONE),
     .help = "In the place of cutout, what it is compared with: cutmix (a rectangle of another "
             "training image, and its share of the label), mixup (a weighted mean with one) or "
             "erasing (random erasing); none: cutout itself.",
     .synonyms = "cutmix, mixup, random_erasing, erasing"},
    {FIELD(mix_alpha), NUMBER(0.05, 100), BITS, LATER(1),
     .help = "Of cutmix and mixup: the share of the other image is drawn from Beta(alpha, alpha).",
     .synonyms = "cutmix_alpha, mixup_alpha, alpha"},
    {FIELD(crop_pad), INT(0, 16), BITS,
     .help = "Zeros around the image before a random crop; 0: no crop.", .synonyms = "padding"},
    {FIELD(normalise), CHOICE(normalise_words), BITS, .help = "What is taken from the pixels.",
     .synonyms = "normalize, normalization"},
    {FIELD(drop_last), BOOL, BITS, .help = "Leave out the last, smaller batch of an epoch."},
    {FIELD(optimizer), CHOICE(optimizer_words), BITS,
     .help = "The rule by which the weights are changed.", .synonyms = "optimiser"},
    {FIELD(lr), NUMBER(RUN_LEAST_LR, (double)INFINITY), .most_new = RUN_MOST_LR, BITS,
     .help = "Learning rate at epoch 0; alone it scales the preset's schedule.",
     .synonyms = "learning_rate, learningrate, eta"},
    {FIELD(momentum), NUMBER(0, 0.9999), BITS, .help = "Of sgd."},
    {FIELD(nesterov), BOOL, BITS, .help = "Of sgd."},
    {FIELD(lr_schedule), .type = RUN_CONFIG_SCHEDULE, BITS,
     .help = "Learning rates from given epochs on, constant, cosine, or linear: up over a share of "
             "all steps (warmup), then down to 0.",
     .synonyms = "scheduler, lr_scheduler, learning_rate_schedule"},
    {FIELD(lr_plateau), BOOL, BITS, .help = "Lower the rate when val_loss no longer falls."},
    {FIELD(l2), NUMBER(0, 1), BITS,
     .help = "Penalty l2 * sum of squares (without 1/2) of the convolutions' kernels.",
     .synonyms = "weight_decay, l2_penalty"},
    {FIELD(l2_dense), BOOL, BITS, .help = "The dense layer's kernel as well."},
    {FIELD(grad_clip), NUMBER(0, (double)INFINITY), BITS, LATER(0),
     .help =
         "Bound of the gradient's L2 norm, the penalty's included, before the optimizer; 0: none.",
     .synonyms = "clip_grad_norm, max_grad_norm, clipnorm, gradient_clip, clip"},
    {FIELD(label_smoothing), NUMBER(0, 0.99), BITS, LATER(0),
     .help = "Share of the training target that is spread over all classes.",
     .synonyms = "smoothing"},
    {FIELD(backward_share), NUMBER(0.001, 1), BITS, LATER(1),
     .help = "Share of a step's instances that get a backward pass, those with the highest loss; "
             "below 1 all go forward once more, to find them.",
     .synonyms = "hard_share, selective_backprop"},
    {FIELD(ema), NUMBER(0, 0.999999), BITS, LATER(0),
     .help = "Decay a step of a moving average of the weights, which is validated too "
             "(val_error_ema); 0: none.",
     .synonyms = "ema_decay, weight_averaging"},
    {FIELD(tta), CHOICE(tta_words), LATER(TTA_NONE),
     .help = "mirror: validate each image together with its mirror image too (val_error_tta).",
     .synonyms = "test_time_augmentation, mirror"},
    {FIELD(shortcut), CHOICE(shortcut_words), BITS, LATER(SHORTCUT_CONV),
     .help = "Beside a block that halves the image: a 1x1 convolution, or one with batch "
             "normalisation behind it, as the paper's network has it."},
    {FIELD(conv_bias), BOOL, BITS, LATER(1),
     .help = "Convolutions have a bias; one in front of a batch normalisation stays 0."},
    {FIELD(bn_epsilon), NUMBER(1e-8, 0.1), BITS, LATER(1e-3),
     .help = "What batch normalisation adds to a variance: 0.001 in Keras, 0.00001 in PyTorch.",
     .synonyms = "bn_eps, batch_norm_epsilon"},
    {FIELD(bn_momentum), NUMBER(0, 0.9999), BITS, LATER(0.99),
     .help = "Share of the moving statistics that a step keeps: PyTorch's momentum is 1 minus it.",
     .synonyms = "batch_norm_momentum"},
    {FIELD(last_gamma), CHOICE(last_gamma_words), BITS, LATER(LAST_GAMMA_ONE),
     .help = "What the last batch normalisation of a block begins with: zero makes the block "
             "begin as its shortcut.",
     .synonyms = "zero_init_residual, zero_gamma"},
    {FIELD(seed), .type = RUN_CONFIG_SEED, .most = MAX_SEED, BITS,
     .help = "Of all random numbers of the run.", .synonyms = "random_seed"},
    {FIELD(train_images), INT(0, MAX_IMAGES), BITS,
     .help = "The first so many of the data set; 0: all."},
    {FIELD(test_images), INT(0, MAX_IMAGES), BITS,
     .help = "The first so many of the data set; 0: all."},
    {FIELD(conv_algorithm), CHOICE(conv_algorithm_words),
     .help =
         "The 3x3 convolutions: Winograd F(4x4,3x3) where the processor has AVX2, or direct. auto: "
         "what the daemon is set to (winograd, unless its admin chose otherwise); the run then "
         "says "
         "what that was."},
    {FIELD(activations), CHOICE(activations_words), BITS, LATER(ACTIVATIONS_F32),
     .help = "What the way back needs is kept as float or as bfloat16, which takes half of the "
             "memory; arithmetic is that of float.",
     .synonyms = "dtype, precision, mixed_precision, amp"},
    {FIELD(stop), .type = RUN_CONFIG_STOP, LATER(0),
     .help =
         "Ends the run, succeeded, after the first epoch at which a rule holds: val_error is not "
         "above this, so many epochs of patience without a new best, max_seconds of training.",
     .synonyms = "early_stopping, early_stop, target_error, patience, max_seconds, time_limit"},
    {FIELD(stop_on_nan), BOOL,
     .help = "Fail when a loss is no longer a finite number, or the training cross-entropy of an "
             "epoch is above ten times that of guessing."},
};
/* clang-format on */

enum { N_FIELDS = N_OF(fields) };

const struct run_config_field *run_config_fields(size_t *ret_count) {
    *ret_count = N_FIELDS;
    return fields;
}

/* A choice is kept as an enum, which is as large as an unsigned int. */
_Static_assert(sizeof(enum copies) == sizeof(unsigned) &&
                   sizeof(enum conv_algorithm) == sizeof(unsigned),
               "enums of this compiler");

double run_config_number(const struct run_config_field *field, const struct run_config *config) {
    const void *value = (const char *)config + field->offset;
    unsigned choice = 0;
    switch (field->type) {
    case RUN_CONFIG_INT:
    case RUN_CONFIG_DEPTH:
        return *(const int *)value;
    case RUN_CONFIG_BOOL:
        return *(const bool *)value;
    case RUN_CONFIG_NUMBER:
        return *(const double *)value;
    case RUN_CONFIG_SEED:
        return (double)*(const uint64_t *)value;
    case RUN_CONFIG_CHOICE:
    case RUN_CONFIG_SWITCH:
        memcpy(&choice, value, sizeof(choice));
        return choice;
    case RUN_CONFIG_PRESET:
    case RUN_CONFIG_DATASET:
    case RUN_CONFIG_SCHEDULE:
    case RUN_CONFIG_STOP:
        break;
    }
    return 0;
}

void run_config_set_number(const struct run_config_field *field, struct run_config *config,
                           double number) {
    void *value = (char *)config + field->offset;
    unsigned choice = 0;
    switch (field->type) {
    case RUN_CONFIG_INT:
    case RUN_CONFIG_DEPTH:
        *(int *)value = (int)number;
        break;
    case RUN_CONFIG_BOOL:
        *(bool *)value = number != 0;
        break;
    case RUN_CONFIG_NUMBER:
        *(double *)value = number;
        break;
    case RUN_CONFIG_SEED:
        *(uint64_t *)value = (uint64_t)number;
        break;
    case RUN_CONFIG_CHOICE:
    case RUN_CONFIG_SWITCH:
        choice = (unsigned)number;
        memcpy(value, &choice, sizeof(choice));
        break;
    case RUN_CONFIG_STOP: /* of stored runs that lack it */
        config->stop = (struct run_stop){0};
        break;
    case RUN_CONFIG_PRESET:
    case RUN_CONFIG_DATASET:
    case RUN_CONFIG_SCHEDULE:
        break;
    }
}

void run_config_set_older(struct run_config *config) {
    for (size_t i = 0; i < N_FIELDS; i++) {
        if (fields[i].later) {
            run_config_set_number(&fields[i], config, fields[i].older);
        }
    }
}

/* ---- the words of the choices, by name ---- */

const char *copies_name(enum copies value) {
    return copies_words[value];
}

const char *optimizer_name(enum optimizer_kind value) {
    return optimizer_words[value];
}

const char *normalise_name(enum normalise_kind value) {
    return normalise_words[value];
}

/* The index of a word; -1: there is none. */
static int find_word(const char *const *words, size_t n_words, const char *name) {
    for (size_t i = 0; i < n_words; i++) {
        if (strcmp(words[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

bool conv_algorithm_from_name(const char *name, enum conv_algorithm *ret) {
    int i = find_word(conv_algorithm_words, N_OF(conv_algorithm_words), name);
    *ret = i < 0 ? *ret : (enum conv_algorithm)i;
    return i >= 0;
}

bool activations_from_name(const char *name, enum activations *ret) {
    int i = find_word(activations_words, N_OF(activations_words), name);
    *ret = i < 0 ? *ret : (enum activations)i;
    return i >= 0;
}
