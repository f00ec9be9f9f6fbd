/* The network as a list of passes. Layer: core/nn. */
#include "core/nn/engine_internal.h"

#include <assert.h>
#include <string.h>

/* The input of block b; of the head for b = n_blocks. */
static struct pass_input block_input(struct engine *e, int b) {
    const struct resnet_block *before = b > 0 ? &e->net->blocks[b - 1] : NULL;
    int bn = before ? before->bn2 : 0;
    struct pass_input in = {.bn = bn,
                            .add_bn = before ? before->shortcut_bn : -1,
                            .y = e->y[bn],
                            .act = e->out[b],
                            .bytes = kept_bytes(e, conv_dst_floats(e, e->net->bns[bn].conv))};
    if (before) {
        in.add = before->shortcut >= 0 ? e->shortcut[before->stage] : e->out[b - 1];
    }
    return in;
}

/* Forward through the convolution of a BN: the stem's, or the first or second of a block. */
static struct pass forward_pass(struct engine *e, int bn, struct pass_input in) {
    int conv = e->net->bns[bn].conv;
    return (struct pass){.kind = PASS_FORWARD,
                         .in = in,
                         .group = e->plans[conv].shape.oc / 16,
                         .conv = conv,
                         .shortcut = -1,
                         .shortcut_bn = -1,
                         .bn = bn,
                         .y = e->y[bn],
                         .bytes = kept_bytes(e, conv_dst_floats(e, conv))};
}

/* The way back through what a forward pass did, and appends it. */
static void add_backward(struct engine *e, struct pass p, void *grad, void *block_grad,
                         void *grad_in) {
    p.kind = PASS_BACKWARD;
    p.grad = grad;
    p.block_grad = block_grad;
    p.grad_in = grad_in;
    p.partials = e->kernel_partials[e->n_passes % 2];
    e->passes[e->n_passes++] = p;
}

void engine_plan_passes(struct engine *engine) {
    struct engine *e = engine;
    const struct resnet *net = e->net;
    const struct pass_input images = {
        .bn = -1, .add_bn = -1, .bytes = ENGINE_IMAGE_FLOATS * sizeof(float)};
    e->passes[e->n_passes++] = forward_pass(e, 0, images);
    for (int b = 0; b < net->n_blocks; b++) {
        const struct resnet_block *block = &net->blocks[b];
        struct pass first = forward_pass(e, block->bn1, block_input(e, b));
        first.shortcut = block->shortcut;
        first.shortcut_bn = block->shortcut_bn;
        first.shortcut_y = block->shortcut >= 0 ? e->shortcut[block->stage] : NULL;
        e->passes[e->n_passes++] = first;
        const struct pass_input middle = {
            .bn = block->bn1, .add_bn = -1, .y = e->y[block->bn1], .bytes = first.bytes};
        e->passes[e->n_passes++] = forward_pass(e, block->bn2, middle);
    }
    int now = 0; /* grad[now]: at the output of the block below */
    e->passes[e->n_passes++] = (struct pass){.kind = PASS_HEAD,
                                             .in = block_input(e, net->n_blocks),
                                             .group = 1,
                                             .conv = -1,
                                             .shortcut = -1,
                                             .shortcut_bn = -1,
                                             .grad_in = e->grad[now]};
    for (int b = net->n_blocks - 1; b >= 0; b--) {
        int next = net->blocks[b].shortcut < 0 ? now : 1 - now;
        add_backward(e, e->passes[2 + 2 * b], e->grad[now], NULL, e->grad_mid);
        add_backward(e, e->passes[1 + 2 * b], e->grad_mid, e->grad[now], e->grad[next]);
        now = next;
    }
    add_backward(e, e->passes[0], e->grad[now], NULL, NULL);
    assert(e->n_passes == 2 * (1 + 2 * net->n_blocks) + 1);
}

/* What a pass touches of a tensor that is kept for the batch: bytes of one image. */
static int64_t bytes_of(const void *tensor, size_t bytes) {
    return tensor ? (int64_t)bytes : 0;
}

/* A gradient that is summed for a second BN. */
static void add_second_sums(const struct pass *p, int64_t *bytes) {
    bytes[PART_BN] +=
        p->grad_in && p->in.add_bn >= 0 ? 2 * (int64_t)p->in.bytes : 0; /* it and the BN's input */
}

/* The input is made from y (and add) and kept in act, on the way forward; on the way back act is
 * read where it was kept. */
static void add_forward_traffic(const struct engine *e, const struct pass *p, int64_t *bytes) {
    const struct pass_input *in = &p->in;
    enum step_part conv = p->conv >= 0 ? step_part_of(&e->plans[p->conv].shape) : PART_BN;
    bytes[PART_BN] += bytes_of(in->y, in->bytes) + bytes_of(in->add, in->bytes) +
                      bytes_of(in->act, in->bytes) + bytes_of(p->grad_in, in->bytes);
    bytes[conv] += bytes_of(p->y, p->bytes) + bytes_of(in->bn < 0 ? e->images : NULL, in->bytes);
    bytes[PART_STRIDE_2] += bytes_of(p->shortcut_y, p->bytes);
    add_second_sums(p, bytes);
}

static void add_backward_traffic(const struct engine *e, const struct pass *p, int64_t *bytes) {
    const struct pass_input *in = &p->in;
    bytes[step_part_of(&e->plans[p->conv].shape)] +=
        bytes_of(in->bn < 0 ? e->images : in->act, in->bytes);
    bytes[p->shortcut >= 0 ? PART_STRIDE_2 : PART_BN] += bytes_of(p->block_grad, p->bytes);
    bytes[PART_BN] += bytes_of(p->grad, p->bytes) + bytes_of(p->y, p->bytes) +
                      bytes_of(in->y, in->bytes) + bytes_of(p->grad_in, in->bytes);
    bytes[PART_STRIDE_2] += bytes_of(p->shortcut_bn >= 0 ? p->shortcut_y : NULL, p->bytes);
    add_second_sums(p, bytes);
}

void engine_traffic(const struct engine *engine, int64_t ret_bytes[N_STEP_PARTS]) {
    memset(ret_bytes, 0, N_STEP_PARTS * sizeof(*ret_bytes));
    for (int i = 0; i < engine->n_passes; i++) {
        const struct pass *p = &engine->passes[i];
        if (p->kind == PASS_BACKWARD) {
            add_backward_traffic(engine, p, ret_bytes);
        } else {
            add_forward_traffic(engine, p, ret_bytes);
        }
    }
}
