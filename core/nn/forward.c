/* The way forward through the network with batch statistics. Layer: core/nn.
 *
 * Each pass below makes the input of a convolution (batch normalisation and ReLU of what the pass
 * before left), convolves it, and sums the output for the next batch normalisation while it is
 * still in cache. Between two passes the sums of all chunks are added in order.
 */
#include "core/nn/engine_internal.h"

#include <math.h>
#include <string.h>

/* Adds the images' outputs of a convolution to the chunk's sums. */
static void sum_outputs(struct engine *e, int bn, int n_images, const float *y, int chunk) {
    const struct resnet_bn *n = &e->net->bns[bn];
    int pixels = n->side * n->side;
    for (int i = 0; i < n_images; i++) {
        e->kernels->bn_sums(n->c, pixels, y, e->sums[chunk][0], e->sums[chunk][1]);
        y += n->c * pixels;
    }
}

static void stem_pass(struct engine *e, int chunk, struct member_space *m) {
    struct image_range range = engine_chunk(e, chunk);
    for (int i = range.first; i < range.end; i++) {
        float *y = e->stem + (size_t)i * TENSOR_FLOATS;
        e->plans[0].forward(&e->plans[0], 1, e->images + (size_t)i * ENGINE_IMAGE_FLOATS,
                            forward_weights(e, 0), NULL, y, m->conv, NULL);
        sum_outputs(e, 0, 1, y, chunk);
    }
}

/* out[b] of some images: the ReLU behind the stem or behind the block before. */
static void make_block_input(struct engine *e, int b, int first, int n_images) {
    size_t floats = conv_src_floats(e, e->net->blocks[b].conv1);
    if (b == 0) {
        const struct bn_state *bn = &e->bns[0];
        for (int i = first; i < first + n_images; i++) {
            size_t at = (size_t)i * floats;
            e->kernels->bn_relu(16, 32 * 32, e->stem + at, bn->scale, bn->shift, e->out[0] + at);
        }
        return;
    }
    const struct resnet_block *before = &e->net->blocks[b - 1];
    const struct resnet_bn *n = &e->net->bns[before->bn2];
    const struct bn_state *bn = &e->bns[before->bn2];
    const float *add = before->shortcut >= 0 ? e->shortcut[before->stage] : e->out[b - 1];
    for (int i = first; i < first + n_images; i++) {
        size_t at = (size_t)i * floats;
        e->kernels->bn_add_relu(n->c, n->side * n->side, e->y2[b - 1] + at, bn->scale, bn->shift,
                                add + at, e->out[b] + at);
    }
}

/* What make_block_input reads and what conv1 writes for some images. */
static struct kernel_prefetch conv1_prefetch(const struct engine *e, struct image_range images) {
    struct kernel_prefetch prefetch = {0};
    const struct resnet_block *block = &e->net->blocks[e->block];
    size_t src = conv_src_floats(e, block->conv1);
    if (e->block == 0) {
        prefetch_images(&prefetch, e->stem, src, images);
    } else {
        const struct resnet_block *before = block - 1;
        prefetch_images(&prefetch, e->y2[e->block - 1], src, images);
        prefetch_images(&prefetch,
                        before->shortcut >= 0 ? e->shortcut[before->stage] : e->out[e->block - 1],
                        src, images);
    }
    prefetch_images(&prefetch, e->out[e->block], src, images);
    prefetch_images(&prefetch, e->y1[e->block], conv_dst_floats(e, block->conv1), images);
    return prefetch;
}

static void conv1_pass(struct engine *e, int chunk, struct member_space *m) {
    const struct resnet_block *block = &e->net->blocks[e->block];
    const struct conv_plan *plan = &e->plans[block->conv1];
    struct image_range range = engine_chunk(e, chunk);
    size_t src = conv_src_floats(e, block->conv1);
    size_t dst = conv_dst_floats(e, block->conv1);
    int group = conv_group(e, block->conv1);
    for (int i = range.first; i < range.end; i += group) {
        int n = smaller(group, range.end - i);
        const float *x = e->out[e->block] + (size_t)i * src;
        float *y = e->y1[e->block] + (size_t)i * dst;
        make_block_input(e, e->block, i, n);
        const struct image_range next = engine_next_group(e, chunk, i, group);
        const struct kernel_prefetch prefetch = conv1_prefetch(e, next);
        plan->forward(plan, n, x, forward_weights(e, block->conv1), NULL, y, m->conv, &prefetch);
        sum_outputs(e, block->bn1, n, y, chunk);
        if (block->shortcut >= 0) {
            const struct conv_plan *shortcut = &e->plans[block->shortcut];
            shortcut->forward(shortcut, n, x, forward_weights(e, block->shortcut),
                              tensor_values(e, e->net->convs[block->shortcut].bias),
                              e->shortcut[block->stage] + (size_t)i * dst, m->conv, NULL);
        }
    }
}

static void conv2_pass(struct engine *e, int chunk, struct member_space *m) {
    const struct resnet_block *block = &e->net->blocks[e->block];
    const struct conv_plan *plan = &e->plans[block->conv2];
    const struct resnet_bn *bn1 = &e->net->bns[block->bn1];
    const struct bn_state *coefficients = &e->bns[block->bn1];
    struct image_range range = engine_chunk(e, chunk);
    size_t floats = conv_dst_floats(e, block->conv2);
    int group = conv_group(e, block->conv2);
    float *act = m->act;
    for (int i = range.first; i < range.end; i += group) {
        int n = smaller(group, range.end - i);
        for (int j = 0; j < n; j++) {
            e->kernels->bn_relu(bn1->c, bn1->side * bn1->side,
                                e->y1[e->block] + (size_t)(i + j) * floats, coefficients->scale,
                                coefficients->shift, act + (size_t)j * floats);
        }
        float *y = e->y2[e->block] + (size_t)i * floats;
        const struct image_range next = engine_next_group(e, chunk, i, group);
        struct kernel_prefetch prefetch = {0};
        prefetch_images(&prefetch, e->y1[e->block], floats, next);
        prefetch_images(&prefetch, e->y2[e->block], floats, next);
        plan->forward(plan, n, act, forward_weights(e, block->conv2), NULL, y, m->conv, &prefetch);
        sum_outputs(e, block->bn2, n, y, chunk);
    }
}

static void update_moving(const struct engine *e, const struct resnet_bn *n, int c, double mean,
                          double variance, double count, float *moving) {
    const struct tensor *tensors = e->net->tensors;
    float *moving_mean = moving + tensors[n->moving_mean].offset + c;
    float *moving_variance = moving + tensors[n->moving_variance].offset + c;
    double bias = (double)tensor_values(e, e->net->convs[n->conv].bias)[c];
    double keep = RESNET_BN_MOMENTUM;
    *moving_mean = (float)(keep * (double)*moving_mean + (1.0 - keep) * (mean + bias));
    *moving_variance =
        (float)(keep * (double)*moving_variance + (1.0 - keep) * variance * count / (count - 1.0));
}

/* From the chunks' sums to statistics, coefficients and moving statistics of one BN (Ioffe &
 * Szegedy, 2015, algorithm 1). The sums are doubles (kernels.h says how they are added), so that
 * E[y^2] - E[y]^2 loses nothing that matters. */
static void finish_statistics(struct engine *e, int bn, float *moving) {
    const struct resnet_bn *n = &e->net->bns[bn];
    struct bn_state *state = &e->bns[bn];
    const float *gamma = tensor_values(e, n->gamma);
    const float *beta = tensor_values(e, n->beta);
    double count = (double)e->n_images * n->side * n->side;
    for (int c = 0; c < n->c; c++) {
        double sum = 0.0;
        double sum_squares = 0.0;
        for (int chunk = 0; chunk < e->n_chunks; chunk++) {
            sum += e->sums[chunk][0][c];
            sum_squares += e->sums[chunk][1][c];
        }
        double mean = sum / count;
        double variance = fmax(sum_squares / count - mean * mean, 0.0);
        double scale = (double)gamma[c] / sqrt(variance + RESNET_BN_EPSILON);
        state->mean[c] = mean;
        state->variance[c] = variance;
        state->inverse_std[c] = 1.0 / sqrt(variance + RESNET_BN_EPSILON);
        state->scale[c] = (float)scale;
        state->shift[c] = (float)((double)beta[c] - mean * scale);
        update_moving(e, n, c, mean, variance, count, moving);
    }
}

void engine_forward(struct engine *engine, float *moving) {
    engine_run(engine, stem_pass);
    finish_statistics(engine, 0, moving);
    for (int b = 0; b < engine->net->n_blocks; b++) {
        engine->block = b;
        engine_run(engine, conv1_pass);
        finish_statistics(engine, engine->net->blocks[b].bn1, moving);
        engine_run(engine, conv2_pass);
        finish_statistics(engine, engine->net->blocks[b].bn2, moving);
    }
}
