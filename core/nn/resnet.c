/* Layer: core/nn. */
#include "core/nn/resnet.h"

#include <stdio.h>
#include <string.h>

#include "core/config/run_fields.h"

bool tensor_is_moving(const struct tensor *tensor) {
    return tensor->kind == TENSOR_MOVING_MEAN || tensor->kind == TENSOR_MOVING_VARIANCE;
}

static int add_tensor(struct resnet *net, enum tensor_kind kind, const char *layer, int number,
                      const char *part, int n_dims, const int *shape) {
    struct tensor *t = &net->tensors[net->n_tensors];
    *t = (struct tensor){.kind = kind, .n_dims = n_dims, .n = 1};
    if (number == 0) {
        (void)snprintf(t->name, sizeof(t->name), "%s/%s", layer, part);
    } else {
        (void)snprintf(t->name, sizeof(t->name), "%s_%d/%s", layer, number, part);
    }
    for (int i = 0; i < n_dims; i++) {
        t->shape[i] = shape[i];
        t->n *= (size_t)shape[i];
    }
    size_t *used = tensor_is_moving(t) ? &net->n_moving : &net->n_params;
    t->offset = *used;
    *used += (t->n + 15) / 16 * 16;
    int64_t *count = tensor_is_moving(t) ? &net->non_trainable_count : &net->trainable_count;
    *count += (int64_t)t->n;
    return net->n_tensors++;
}

/* What the network is planned by while it is. */
struct planning {
    struct resnet *net;
    const struct run_config *config;
};

static int add_conv(const struct planning *p, int ic, int oc, int oh, int k, int stride) {
    struct resnet *net = p->net;
    struct resnet_conv *conv = &net->convs[net->n_convs];
    const int kernel_shape[4] = {k, k, ic, oc};
    conv->shape = (struct conv_shape){
        .ic = ic, .oc = oc, .ih = oh * stride, .oh = oh, .k = k, .stride = stride};
    conv->kernel =
        add_tensor(net, TENSOR_CONV_KERNEL, "conv2d", net->n_convs, "kernel", 4, kernel_shape);
    conv->bias = p->config->conv_bias
                     ? add_tensor(net, TENSOR_CONV_BIAS, "conv2d", net->n_convs, "bias", 1, &oc)
                     : -1;
    return net->n_convs++;
}

static int add_bn(struct resnet *net, int conv) {
    static const char layer[] = "batch_normalization";
    struct resnet_bn *bn = &net->bns[net->n_bns];
    int c = net->convs[conv].shape.oc;
    bn->c = c;
    bn->side = net->convs[conv].shape.oh;
    bn->conv = conv;
    bn->added = -1;
    if (net->convs[conv].bias >= 0) {
        net->tensors[net->convs[conv].bias].frozen = true;
    }
    bn->gamma = add_tensor(net, TENSOR_GAMMA, layer, net->n_bns, "gamma", 1, &c);
    bn->beta = add_tensor(net, TENSOR_BETA, layer, net->n_bns, "beta", 1, &c);
    bn->moving_mean = add_tensor(net, TENSOR_MOVING_MEAN, layer, net->n_bns, "moving_mean", 1, &c);
    bn->moving_variance =
        add_tensor(net, TENSOR_MOVING_VARIANCE, layer, net->n_bns, "moving_variance", 1, &c);
    return net->n_bns++;
}

static void add_block(const struct planning *p, int stage, bool first_of_stage) {
    struct resnet *net = p->net;
    struct resnet_block *block = &net->blocks[net->n_blocks++];
    int oc = 16 << stage;
    int oh = 32 >> stage;
    bool reduces = stage > 0 && first_of_stage;
    int ic = reduces ? oc / 2 : oc;
    block->stage = stage;
    block->conv1 = add_conv(p, ic, oc, oh, 3, reduces ? 2 : 1);
    block->bn1 = add_bn(net, block->conv1);
    block->conv2 = add_conv(p, oc, oc, oh, 3, 1);
    block->bn2 = add_bn(net, block->conv2);
    net->tensors[net->bns[block->bn2].gamma].zero = p->config->last_gamma == LAST_GAMMA_ZERO;
    block->shortcut = reduces ? add_conv(p, ic, oc, oh, 1, 2) : -1;
    block->shortcut_bn = -1;
    if (reduces && p->config->shortcut == SHORTCUT_CONV_BN) {
        block->shortcut_bn = add_bn(net, block->shortcut);
    } else {
        net->bns[block->bn2].added = block->shortcut;
    }
}

enum status resnet_plan_of(const struct run_config *config, int n_classes, struct resnet *ret_net,
                           struct error *error) {
    int depth = config->depth;
    if (depth < 8 || depth > 110 || (depth - 2) % 6 != 0) {
        return error_set(error, STATUS_INVALID,
                         "depth must be 6n+2 from 8 to 110 (8, 14, 20, ... 44, ... 110), not %d",
                         depth);
    }
    if (n_classes < 2 || n_classes > RESNET_MAX_CLASSES) {
        return error_set(error, STATUS_INVALID, "a network tells 2 to %d classes apart, not %d",
                         RESNET_MAX_CLASSES, n_classes);
    }
    struct resnet *net = ret_net;
    const struct planning p = {net, config};
    memset(net, 0, sizeof(*net));
    net->depth = depth;
    net->n_classes = n_classes;
    net->bn_epsilon = config->bn_epsilon;
    net->bn_momentum = config->bn_momentum;
    int blocks_per_stage = (depth - 2) / 6;
    (void)add_bn(net, add_conv(&p, 3, 16, 32, 3, 1));
    for (int stage = 0; stage < 3; stage++) {
        for (int i = 0; i < blocks_per_stage; i++) {
            add_block(&p, stage, i == 0);
        }
    }
    const int dense_shape[2] = {RESNET_FEATURES, n_classes};
    net->dense_kernel = add_tensor(net, TENSOR_DENSE_KERNEL, "dense", 0, "kernel", 2, dense_shape);
    net->dense_bias = add_tensor(net, TENSOR_DENSE_BIAS, "dense", 0, "bias", 1, &dense_shape[1]);
    return STATUS_OK;
}

enum status resnet_plan(int depth, struct resnet *ret_net, struct error *error) {
    struct run_config config = {.depth = depth};
    run_config_set_older(&config);
    return resnet_plan_of(&config, RESNET_CIFAR10_CLASSES, ret_net, error);
}
