/* The way back through the blocks and the stem. Layer: core/nn.
 *
 * The gradient through a batch normalisation needs two sums over the whole batch, of the gradient g
 * behind it and of g * y. The pass that makes g sums them in passing; the next pass applies
 *     diff = a * g + b * y + k
 * on load (Ioffe & Szegedy, 2015, section 3, with the terms collected for each channel).
 */
#include "core/nn/engine_internal.h"

#include <string.h>

/* Floats of a weight tensor that one piece of a reduction adds up. */
enum { REDUCE_FLOATS = 1024 };

static void reduce_piece(void *user, int piece, int member) {
    (void)member;
    struct engine *e = user;
    const struct tensor *tensor = &e->net->tensors[e->reducing.tensor];
    size_t first = (size_t)piece * REDUCE_FLOATS;
    size_t n = tensor->n - first < REDUCE_FLOATS ? tensor->n - first : REDUCE_FLOATS;
    float *target = e->gradient + tensor->offset + first;
    const float *partial = e->reducing.partials + first;
    memcpy(target, partial, n * sizeof(*target));
    for (int chunk = 1; chunk < e->n_chunks; chunk++) {
        partial += e->reducing.stride;
        for (size_t i = 0; i < n; i++) {
            target[i] += partial[i];
        }
    }
}

/* Adds the chunks' weight gradients in order. */
static void reduce_weights(struct engine *e, int tensor, const float *partials, size_t stride) {
    e->reducing.tensor = tensor;
    e->reducing.partials = partials;
    e->reducing.stride = stride;
    size_t n = e->net->tensors[tensor].n;
    team_run(e->team, reduce_piece, e, (int)((n + REDUCE_FLOATS - 1) / REDUCE_FLOATS));
}

/* The gradient through one BN, image by image. */
static void through_bn(const struct engine *e, int bn, int n_images, const float *grad,
                       const float *y, float *ret_diff) {
    const struct resnet_bn *n = &e->net->bns[bn];
    const struct bn_state *s = &e->bns[bn];
    size_t floats = (size_t)n->c * (size_t)(n->side * n->side);
    for (int i = 0; i < n_images; i++) {
        size_t at = (size_t)i * floats;
        e->kernels->bn_backward(n->c, n->side * n->side, grad + at, y + at, s->a, s->b, s->k,
                                ret_diff + at);
    }
}

/* From the sums of g and g * y to the gradients of gamma and beta and to the coefficients. The
 * gradient at beta is also that of a shortcut's bias, which adds to the same sum. */
static void finish_bn_gradient(struct engine *e, int bn) {
    const struct resnet_bn *n = &e->net->bns[bn];
    struct bn_state *s = &e->bns[bn];
    const struct tensor *tensors = e->net->tensors;
    const float *gamma = tensor_values(e, n->gamma);
    double count = (double)e->n_images * n->side * n->side;
    for (int c = 0; c < n->c; c++) {
        double sum = 0.0;
        double sum_y = 0.0;
        for (int chunk = 0; chunk < e->n_chunks; chunk++) {
            sum += e->sums[chunk][0][c];
            sum_y += e->sums[chunk][1][c];
        }
        double diff_gamma = s->inverse_std[c] * (sum_y - s->mean[c] * sum);
        double a = (double)gamma[c] * s->inverse_std[c];
        double b = -a * s->inverse_std[c] * diff_gamma / count;
        e->gradient[tensors[n->gamma].offset + (size_t)c] = (float)diff_gamma;
        e->gradient[tensors[n->beta].offset + (size_t)c] = (float)sum;
        s->a[c] = (float)a;
        s->b[c] = (float)b;
        s->k[c] = (float)(-a * sum / count - b * s->mean[c]);
    }
}

/* Through conv2 of the current block: its weights' gradient, and the gradient in front of it,
 * behind the ReLU between the two convolutions, into grad_mid. */
static void conv2_pass(struct engine *e, int chunk, struct member_space *m) {
    const struct resnet_block *block = &e->net->blocks[e->block];
    const struct conv_plan *plan = &e->plans[block->conv2];
    const struct resnet_bn *bn1 = &e->net->bns[block->bn1];
    const struct bn_state *state1 = &e->bns[block->bn1];
    struct image_range range = engine_chunk(e, chunk);
    size_t floats = conv_dst_floats(e, block->conv2);
    int pixels = bn1->side * bn1->side;
    int group = conv_group(e, block->conv2);
    for (int i = range.first; i < range.end; i += group) {
        int n = smaller(group, range.end - i);
        size_t at = (size_t)i * floats;
        const float *y1 = e->y1[e->block] + at;
        through_bn(e, block->bn2, n, e->grad[e->grad_now] + at, e->y2[e->block] + at, m->diff);
        for (int j = 0; j < n; j++) {
            e->kernels->bn_relu(bn1->c, pixels, y1 + (size_t)j * floats, state1->scale,
                                state1->shift, m->act + (size_t)j * floats);
        }
        const struct image_range next = engine_next_group(e, chunk, i, group);
        struct kernel_prefetch soon = {0};
        struct kernel_prefetch later = {0};
        prefetch_images(&soon, e->grad[e->grad_now], floats, next);
        prefetch_images(&soon, e->y2[e->block], floats, next);
        prefetch_images(&later, e->y1[e->block], floats, next);
        prefetch_images(&later, e->grad_mid, floats, next);
        plan->weights_add(plan, n, m->act, m->diff, m->accumulator, i == range.first, m->conv,
                          &soon);
        plan->backward_data(plan, n, m->diff, backward_weights(e, block->conv2), m->diff_src, false,
                            m->conv, &later);
        for (int j = 0; j < n; j++) {
            size_t from = (size_t)j * floats;
            e->kernels->relu_backward(bn1->c, pixels, m->diff_src + from, NULL, m->act + from,
                                      y1 + from, e->grad_mid + at + from, e->sums[chunk][0],
                                      e->sums[chunk][1]);
        }
    }
    plan->weights_finish(plan, m->accumulator, e->kernel_partials[chunk]);
}

/* Where the gradient at a block's input goes: the BN before it, that BN's input, the target. */
struct block_input {
    int bn;
    const float *y;
    float *grad;
};

static struct block_input block_input(const struct engine *e) {
    bool identity = e->net->blocks[e->block].shortcut < 0;
    return (struct block_input){
        .bn = e->block > 0 ? e->net->blocks[e->block - 1].bn2 : 0,
        .y = e->block > 0 ? e->y2[e->block - 1] : e->stem,
        .grad = e->grad[identity ? e->grad_now : 1 - e->grad_now],
    };
}

/* The 1x1 shortcut of a group: its weights' gradient, and its share of the gradient at the block's
 * input on top of conv1's. */
static void shortcut_backward(struct engine *e, int n, const float *x, const float *grad,
                              struct member_space *m, bool first) {
    int conv = e->net->blocks[e->block].shortcut;
    const struct conv_plan *plan = &e->plans[conv];
    plan->weights_add(plan, n, x, grad, m->shortcut_accumulator, first, m->conv, NULL);
    plan->backward_data(plan, n, grad, backward_weights(e, conv), m->diff_src, true, m->conv, NULL);
}

/* Through conv1 and the shortcut: the gradient at the block's output (grad) and between its
 * convolutions (grad_mid) become the gradient at its input, behind the ReLU mask there. */
static void conv1_pass(struct engine *e, int chunk, struct member_space *m) {
    const struct resnet_block *block = &e->net->blocks[e->block];
    const struct conv_plan *plan = &e->plans[block->conv1];
    const struct block_input input = block_input(e);
    const struct resnet_bn *bn_before = &e->net->bns[input.bn];
    struct image_range range = engine_chunk(e, chunk);
    size_t src = conv_src_floats(e, block->conv1);
    size_t dst = conv_dst_floats(e, block->conv1);
    int group = conv_group(e, block->conv1);
    bool identity = block->shortcut < 0;
    for (int i = range.first; i < range.end; i += group) {
        int n = smaller(group, range.end - i);
        const float *x = e->out[e->block] + (size_t)i * src;
        const float *grad = e->grad[e->grad_now] + (size_t)i * dst;
        through_bn(e, block->bn1, n, e->grad_mid + (size_t)i * dst,
                   e->y1[e->block] + (size_t)i * dst, m->diff);
        const struct image_range next = engine_next_group(e, chunk, i, group);
        struct kernel_prefetch soon = {0};
        struct kernel_prefetch later = {0};
        prefetch_images(&soon, e->grad_mid, dst, next);
        prefetch_images(&soon, e->y1[e->block], dst, next);
        prefetch_images(&later, e->out[e->block], src, next);
        prefetch_images(&later, e->grad[e->grad_now], dst, next);
        prefetch_images(&later, input.y, src, next);
        plan->weights_add(plan, n, x, m->diff, m->accumulator, i == range.first, m->conv, &soon);
        plan->backward_data(plan, n, m->diff, backward_weights(e, block->conv1), m->diff_src, false,
                            m->conv, &later);
        if (!identity) {
            shortcut_backward(e, n, x, grad, m, i == range.first);
        }
        for (int j = 0; j < n; j++) {
            size_t from = (size_t)j * src;
            size_t at = (size_t)i * src + from;
            e->kernels->relu_backward(bn_before->c, bn_before->side * bn_before->side,
                                      m->diff_src + from, identity ? grad + from : NULL, x + from,
                                      input.y + at, input.grad + at, e->sums[chunk][0],
                                      e->sums[chunk][1]);
        }
    }
    plan->weights_finish(plan, m->accumulator, e->kernel_partials[chunk]);
    if (!identity) {
        const struct conv_plan *shortcut = &e->plans[block->shortcut];
        shortcut->weights_finish(shortcut, m->shortcut_accumulator, e->shortcut_partials[chunk]);
    }
}

static void stem_pass(struct engine *e, int chunk, struct member_space *m) {
    const struct conv_plan *plan = &e->plans[0];
    struct image_range range = engine_chunk(e, chunk);
    for (int i = range.first; i < range.end; i++) {
        size_t at = (size_t)i * TENSOR_FLOATS;
        through_bn(e, 0, 1, e->grad[e->grad_now] + at, e->stem + at, m->diff);
        plan->weights_add(plan, 1, e->images + (size_t)i * ENGINE_IMAGE_FLOATS, m->diff,
                          m->accumulator, i == range.first, m->conv, NULL);
    }
    plan->weights_finish(plan, m->accumulator, e->kernel_partials[chunk]);
}

static void reduce_conv(struct engine *e, int conv) {
    reduce_weights(e, e->net->convs[conv].kernel, e->kernel_partials[0], MAX_KERNEL_FLOATS);
}

static void reduce_shortcut(struct engine *e, const struct resnet_block *block) {
    const struct resnet_conv *conv = &e->net->convs[block->shortcut];
    const struct tensor *tensors = e->net->tensors;
    reduce_weights(e, conv->kernel, e->shortcut_partials[0], MAX_SHORTCUT_FLOATS);
    memcpy(e->gradient + tensors[conv->bias].offset,
           e->gradient + tensors[e->net->bns[block->bn2].beta].offset,
           tensors[conv->bias].n * sizeof(float));
}

static void clear_frozen(struct engine *e) {
    for (int i = 0; i < e->net->n_tensors; i++) {
        const struct tensor *t = &e->net->tensors[i];
        if (t->frozen) {
            memset(e->gradient + t->offset, 0, t->n * sizeof(float));
        }
    }
}

void engine_backward(struct engine *engine) {
    const struct resnet *net = engine->net;
    for (int b = net->n_blocks - 1; b >= 0; b--) {
        const struct resnet_block *block = &net->blocks[b];
        engine->block = b;
        finish_bn_gradient(engine, block->bn2);
        engine_run(engine, conv2_pass);
        reduce_conv(engine, block->conv2);
        finish_bn_gradient(engine, block->bn1);
        engine_run(engine, conv1_pass);
        reduce_conv(engine, block->conv1);
        if (block->shortcut >= 0) {
            reduce_shortcut(engine, block);
            engine->grad_now = 1 - engine->grad_now;
        }
    }
    finish_bn_gradient(engine, 0);
    engine_run(engine, stem_pass);
    reduce_conv(engine, 0);
    clear_frozen(engine);
}
