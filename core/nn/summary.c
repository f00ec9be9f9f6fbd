/* Layer: core/nn. */
#include "core/nn/summary.h"

#include <stdio.h>
#include <string.h>

struct builder {
    const struct resnet *net;
    struct summary *summary;
    int n_relus, n_adds;
};

static struct summary_row *add_row(struct builder *b, const char *type, const char *base,
                                   int number, int side, int channels) {
    struct summary_row *row = &b->summary->rows[b->summary->n_rows++];
    *row = (struct summary_row){.type = type, .n_dims = 3, .output = {side, side, channels}};
    if (number == 0) {
        (void)snprintf(row->name, sizeof(row->name), "%s", base);
    } else {
        (void)snprintf(row->name, sizeof(row->name), "%s_%d", base, number);
    }
    return row;
}

static void add_conv_row(struct builder *b, int conv) {
    const struct resnet_conv *c = &b->net->convs[conv];
    struct summary_row *row = add_row(b, "Conv2D", "conv2d", conv, c->shape.oh, c->shape.oc);
    size_t bias = c->bias >= 0 ? b->net->tensors[c->bias].n : 0;
    row->parameters = (int64_t)(b->net->tensors[c->kernel].n + bias);
}

static void add_bn_row(struct builder *b, int bn) {
    const struct resnet_bn *n = &b->net->bns[bn];
    add_row(b, "BatchNormalization", "batch_normalization", bn, n->side, n->c)->parameters =
        (int64_t)4 * n->c;
}

static void add_relu_row(struct builder *b, int side, int channels) {
    (void)add_row(b, "Activation", "activation", b->n_relus++, side, channels);
}

static void add_block_rows(struct builder *b, const struct resnet_block *block) {
    int side = b->net->bns[block->bn2].side;
    int channels = b->net->bns[block->bn2].c;
    add_conv_row(b, block->conv1);
    add_bn_row(b, block->bn1);
    add_relu_row(b, side, channels);
    add_conv_row(b, block->conv2);
    add_bn_row(b, block->bn2);
    if (block->shortcut >= 0) {
        add_conv_row(b, block->shortcut);
        if (block->shortcut_bn >= 0) {
            add_bn_row(b, block->shortcut_bn);
        }
    }
    (void)add_row(b, "Add", "add", b->n_adds++, side, channels);
    add_relu_row(b, side, channels);
}

static void add_head_rows(struct builder *b) {
    (void)add_row(b, "AveragePooling2D", "average_pooling2d", 0, 1, RESNET_FEATURES);
    struct summary_row *flat = add_row(b, "Flatten", "flatten", 0, 1, 1);
    flat->n_dims = 1;
    flat->output[0] = RESNET_FEATURES;
    struct summary_row *dense = add_row(b, "Dense", "dense", 0, 1, 1);
    dense->n_dims = 1;
    dense->output[0] = b->net->n_classes;
    dense->parameters =
        (int64_t)(b->net->tensors[b->net->dense_kernel].n + b->net->tensors[b->net->dense_bias].n);
}

void summary_make(const struct resnet *net, struct summary *ret_summary) {
    struct builder b = {.net = net, .summary = ret_summary};
    memset(ret_summary, 0, sizeof(*ret_summary));
    (void)add_row(&b, "InputLayer", "input_1", 0, 32, 3);
    add_conv_row(&b, 0);
    add_bn_row(&b, 0);
    add_relu_row(&b, 32, 16);
    for (int i = 0; i < net->n_blocks; i++) {
        add_block_rows(&b, &net->blocks[i]);
    }
    add_head_rows(&b);
    for (int i = 0; i < ret_summary->n_rows; i++) {
        ret_summary->total += ret_summary->rows[i].parameters;
    }
    ret_summary->trainable = net->trainable_count;
    ret_summary->non_trainable = net->non_trainable_count;
}
