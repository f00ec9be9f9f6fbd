/* Validation: the network with its moving statistics. Layer: core/nn.
 *
 * No image needs another one, so a group of four goes from pixels to logits on one thread without
 * leaving its cache: one by one through the first stage, in pairs through the second, all four
 * through the third (the same amount of data each time).
 */
#include "core/nn/engine_internal.h"

#include <math.h>
#include <string.h>

/* scale and shift of every BN from its moving statistics. The convolution's bias is not added by
 * the kernels, so it goes into the mean. */
void engine_evaluate_prepare(struct engine *engine, const float *params, const float *moving) {
    engine->params = params;
    for (int i = 0; i < engine->net->n_bns; i++) {
        const struct resnet_bn *n = &engine->net->bns[i];
        struct bn_state *s = &engine->bns[i];
        const float *gamma = tensor_values(engine, n->gamma);
        const float *beta = tensor_values(engine, n->beta);
        const float *bias = tensor_values(engine, engine->net->convs[n->conv].bias);
        const float *mean = moving + engine->net->tensors[n->moving_mean].offset;
        const float *variance = moving + engine->net->tensors[n->moving_variance].offset;
        for (int c = 0; c < n->c; c++) {
            double scale = (double)gamma[c] / sqrt((double)variance[c] + RESNET_BN_EPSILON);
            s->scale[c] = (float)scale;
            s->shift[c] = (float)((double)beta[c] + ((double)bias[c] - (double)mean[c]) * scale);
        }
    }
    engine_pack(engine, false);
}

/* y = relu(bn(y)) (+ add before the ReLU) for some images, in place or into dst. */
static void normalise(const struct engine *e, int bn, int n_images, const float *y,
                      const float *add, float *dst) {
    const struct resnet_bn *n = &e->net->bns[bn];
    const struct bn_state *s = &e->bns[bn];
    int pixels = n->side * n->side;
    size_t floats = (size_t)n->c * (size_t)pixels;
    for (int i = 0; i < n_images; i++) {
        size_t at = (size_t)i * floats;
        if (add) {
            e->kernels->bn_add_relu(n->c, pixels, y + at, s->scale, s->shift, add + at, dst + at);
        } else {
            e->kernels->bn_relu(n->c, pixels, y + at, s->scale, s->shift, dst + at);
        }
    }
}

/* One block over n images. src and dst may be the same or overlap: src is read to its end before
 * dst is written. */
static void run_block(struct engine *e, const struct resnet_block *block, int n, const float *src,
                      float *dst, struct member_space *m) {
    const struct conv_plan *conv1 = &e->plans[block->conv1];
    const struct conv_plan *conv2 = &e->plans[block->conv2];
    float *y1 = m->act;
    float *y2 = m->diff;
    conv1->forward(conv1, n, src, forward_weights(e, block->conv1), NULL, y1, m->conv, NULL);
    normalise(e, block->bn1, n, y1, NULL, y1);
    conv2->forward(conv2, n, y1, forward_weights(e, block->conv2), NULL, y2, m->conv, NULL);
    const float *add = src;
    if (block->shortcut >= 0) {
        const struct conv_plan *shortcut = &e->plans[block->shortcut];
        shortcut->forward(shortcut, n, src, forward_weights(e, block->shortcut),
                          tensor_values(e, e->net->convs[block->shortcut].bias), m->diff_src,
                          m->conv, NULL);
        add = m->diff_src;
    }
    normalise(e, block->bn2, n, y2, add, dst);
}

static void run_stage(struct engine *e, int stage, int n_images, struct member_space *m) {
    const struct resnet *net = e->net;
    int per_stage = net->n_blocks / 3;
    int group = 1 << stage;
    for (int i = 0; i < n_images; i += group) {
        int n = n_images - i < group ? n_images - i : group;
        const struct resnet_block *first = &net->blocks[stage * per_stage];
        float *x = m->evaluate + (size_t)i * conv_dst_floats(e, first->conv1);
        for (int b = 0; b < per_stage; b++) {
            const struct resnet_block *block = first + b;
            const float *src =
                b == 0 ? m->evaluate + (size_t)i * conv_src_floats(e, block->conv1) : x;
            run_block(e, block, n, src, x, m);
        }
    }
}

static void evaluate_pass(struct engine *e, int chunk, struct member_space *m) {
    struct image_range range = engine_chunk(e, chunk);
    int n = range.end - range.first;
    uint8_t labels[EVALUATE_GROUP];
    for (int i = 0; i < n; i++) {
        float *x = m->evaluate + (size_t)i * TENSOR_FLOATS;
        float *image = m->diff_src;
        labels[i] = e->source(e->source_user, e->evaluate_first + range.first + i, image);
        e->plans[0].forward(&e->plans[0], 1, image, forward_weights(e, 0), NULL, x, m->conv, NULL);
        normalise(e, 0, 1, x, NULL, x);
    }
    for (int stage = 0; stage < 3; stage++) {
        run_stage(e, stage, n, m);
    }
    e->losses[chunk] = 0.0;
    e->correct[chunk] = 0;
    for (int i = 0; i < n; i++) {
        double pooled[RESNET_FEATURES];
        double logits[RESNET_CLASSES];
        int correct = 0;
        e->losses[chunk] += head_image(
            m->evaluate + (size_t)i * (TENSOR_FLOATS / 4), tensor_values(e, e->net->dense_kernel),
            tensor_values(e, e->net->dense_bias), labels[i], pooled, logits, NULL, &correct);
        e->correct[chunk] += correct;
        for (int j = 0; j < RESNET_CLASSES && e->evaluate_logits; j++) {
            e->evaluate_logits[(size_t)(range.first + i) * RESNET_CLASSES + (size_t)j] =
                (float)logits[j];
        }
    }
}

void engine_evaluate(struct engine *engine, engine_source *source, void *user, int first,
                     int n_images, float *ret_logits, struct engine_result *ret_result) {
    engine->source = source;
    engine->source_user = user;
    engine->evaluate_first = first;
    engine->evaluate_logits = ret_logits;
    engine->n_images = n_images;
    engine->chunk_images = EVALUATE_GROUP;
    engine->n_chunks = (n_images + EVALUATE_GROUP - 1) / EVALUATE_GROUP;
    engine_run(engine, evaluate_pass);
    *ret_result = (struct engine_result){0};
    for (int chunk = 0; chunk < engine->n_chunks; chunk++) {
        ret_result->loss += engine->losses[chunk];
        ret_result->correct += engine->correct[chunk];
    }
}
