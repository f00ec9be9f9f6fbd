/* ResNet v1 for 32 x 32 images (He et al., "Deep residual learning", 2016, section 4.2; the variant
 * of the Keras CIFAR-10 example): the plan of the network. Shapes, names and places of the
 * parameters; no numbers.
 *
 * Layer: core/nn. Thread rule: a plan is read-only once made.
 *
 *   conv3x3(16) - BN - ReLU, then 3 stages of n blocks with 16, 32, 64 filters:
 *
 *        x --+-- conv3x3 - BN - ReLU - conv3x3 - BN -- + -- ReLU -->
 *            |                                         |
 *            +-- identity, or conv1x1 stride 2 --------+     (the latter in the first block of
 *                                                             stages 2 and 3; with a BN of its own
 *                                                             where shortcut is conv_bn)
 *   average pooling 8x8 - dense, one number a class - softmax.
 */
#ifndef CUTOUTD_CORE_NN_RESNET_H
#define CUTOUTD_CORE_NN_RESNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/config/run_config.h"
#include "core/kernels/kernels.h"

enum {
    RESNET_MAX_BLOCKS = 54,            /* depth 110 */
    RESNET_MAX_CONVS = 2 * 54 + 1 + 2, /* two a block, the stem, two shortcuts */
    RESNET_MAX_BNS = 2 * 54 + 1 + 2,
    RESNET_MAX_TENSORS = 2 * RESNET_MAX_CONVS + 4 * RESNET_MAX_BNS + 2,
    RESNET_MAX_CLASSES = 100,
    RESNET_CIFAR10_CLASSES = 10, /* of CIFAR-10 and `shapes` */
    RESNET_FEATURES = 64,        /* channels that reach the dense layer */
    RESNET_FEATURE_SIDE = 8,
};

/* Where a tensor's numbers live: in the vector of trained parameters (gradients and optimizer slots
 * have the same places) or in the vector of moving statistics. */
enum tensor_kind {
    TENSOR_CONV_KERNEL,
    TENSOR_CONV_BIAS,
    TENSOR_GAMMA,
    TENSOR_BETA,
    TENSOR_MOVING_MEAN,
    TENSOR_MOVING_VARIANCE,
    TENSOR_DENSE_KERNEL,
    TENSOR_DENSE_BIAS,
};

struct tensor {
    char name[48]; /* as Keras names it: "conv2d_17/kernel" */
    enum tensor_kind kind;
    int n_dims;
    int shape[4];  /* conv kernels HWIO, dense kernel [64][classes] */
    size_t n;      /* numbers in it */
    size_t offset; /* of the first, in its vector; a multiple of 16 */
    /* A bias in front of a batch normalisation: its gradient is exactly zero, it stays as it is. */
    bool frozen;
    bool zero; /* a gamma that begins with 0 */
};

struct resnet_conv {
    struct conv_shape shape;
    int kernel; /* tensor numbers */
    int bias;   /* -1: it has none */
};

struct resnet_bn {
    int c;
    int side;
    int gamma, beta, moving_mean, moving_variance; /* tensor numbers */
    int conv;                                      /* the convolution that feeds it */
    int added; /* the convolution without BN whose output is added behind it; -1: none */
};

struct resnet_block {
    int conv1, bn1, conv2, bn2; /* numbers of convs and bns */
    int shortcut;               /* conv number, -1: identity */
    int shortcut_bn;            /* bn number, -1: none */
    int stage;                  /* 0, 1, 2 */
};

struct resnet {
    int depth;
    int n_classes; /* outputs of the dense layer */
    double bn_epsilon;
    double bn_momentum;
    int n_convs, n_bns, n_blocks, n_tensors;
    struct resnet_conv convs[RESNET_MAX_CONVS]; /* 0 is the stem */
    struct resnet_bn bns[RESNET_MAX_BNS];       /* 0 is the stem's */
    struct resnet_block blocks[RESNET_MAX_BLOCKS];
    struct tensor tensors[RESNET_MAX_TENSORS]; /* in Keras' order of creation */
    int dense_kernel, dense_bias;
    size_t n_params;         /* floats in the vector of trained parameters, padding included */
    size_t n_moving;         /* floats in the vector of moving statistics */
    int64_t trainable_count; /* numbers, padding excluded */
    int64_t non_trainable_count;
};

/* The network of a run for a data set of n_classes: depth, shortcut, conv_bias, bn_epsilon,
 * bn_momentum and last_gamma of its config count. depth: 6n+2, 8 .. 110; n_classes: 2 ..
 * RESNET_MAX_CLASSES; else STATUS_INVALID. */
enum status resnet_plan_of(const struct run_config *config, int n_classes, struct resnet *ret_net,
                           struct error *error);

/* The Keras example's network, of ten classes. */
enum status resnet_plan(int depth, struct resnet *ret_net, struct error *error);

/* Whether a tensor lives in the moving vector. */
bool tensor_is_moving(const struct tensor *tensor);

/* Starting values: He-normal kernels (a normal truncated at 2 sigma, sigma =
 * sqrt(2/fan_in)/0.87962566103423978, as Keras), gamma (but for those that begin with 0) and moving
 * variance 1, all else 0.
 * params: [n_params], moving: [n_moving]; padding becomes 0. */
void resnet_init(const struct resnet *net, uint64_t seed, float *params, float *moving);

#endif
