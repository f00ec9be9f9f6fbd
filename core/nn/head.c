/* Pooling, dense layer, softmax and cross-entropy. Layer: core/nn.
 *
 * A ten-thousandth of the work, so all of it is in double.
 */
#include "core/nn/engine_internal.h"

#include <math.h>
#include <string.h>

enum { FEATURE_PIXELS = RESNET_FEATURE_SIDE * RESNET_FEATURE_SIDE };

static void average_pool(const float *features, double pooled[RESNET_FEATURES]) {
    for (int block = 0; block < RESNET_FEATURES; block += 16) {
        double sum[16] = {0};
        for (int i = 0; i < FEATURE_PIXELS; i++, features += 16) {
            for (int lane = 0; lane < 16; lane++) {
                sum[lane] += (double)features[lane];
            }
        }
        for (int lane = 0; lane < 16; lane++) {
            pooled[block + lane] = sum[lane] / FEATURE_PIXELS;
        }
    }
}

double head_image(const float *features, const float *kernel, const float *bias, int label,
                  double ret_pooled[RESNET_FEATURES], double ret_logits[RESNET_CLASSES],
                  double *ret_probability, int *ret_correct) {
    average_pool(features, ret_pooled);
    for (int j = 0; j < RESNET_CLASSES; j++) {
        ret_logits[j] = (double)bias[j];
    }
    for (int c = 0; c < RESNET_FEATURES; c++) {
        for (int j = 0; j < RESNET_CLASSES; j++) {
            ret_logits[j] += ret_pooled[c] * (double)kernel[c * RESNET_CLASSES + j];
        }
    }
    int best = 0;
    for (int j = 1; j < RESNET_CLASSES; j++) {
        best = ret_logits[j] > ret_logits[best] ? j : best;
    }
    double sum = 0.0;
    double exponential[RESNET_CLASSES];
    for (int j = 0; j < RESNET_CLASSES; j++) {
        exponential[j] = exp(ret_logits[j] - ret_logits[best]);
        sum += exponential[j];
    }
    for (int j = 0; j < RESNET_CLASSES && ret_probability; j++) {
        ret_probability[j] = exponential[j] / sum;
    }
    *ret_correct = best == label;
    return log(sum) + ret_logits[best] - ret_logits[label];
}

/* The gradient at the pooled features, spread over the pixels: [4][8][8][16]. */
static void spread_gradient(const float *kernel, const double diff_logits[RESNET_CLASSES],
                            float *diff_features) {
    for (int c = 0; c < RESNET_FEATURES; c++) {
        double diff = 0.0;
        for (int j = 0; j < RESNET_CLASSES; j++) {
            diff += diff_logits[j] * (double)kernel[c * RESNET_CLASSES + j];
        }
        float value = (float)(diff / FEATURE_PIXELS);
        float *target = diff_features + (size_t)(c / 16) * FEATURE_PIXELS * 16 + c % 16;
        for (int i = 0; i < FEATURE_PIXELS; i++) {
            target[(size_t)i * 16] = value;
        }
    }
}

static void add_dense_gradient(const double pooled[RESNET_FEATURES],
                               const double diff_logits[RESNET_CLASSES], double *sum) {
    for (int c = 0; c < RESNET_FEATURES; c++) {
        for (int j = 0; j < RESNET_CLASSES; j++) {
            sum[c * RESNET_CLASSES + j] += pooled[c] * diff_logits[j];
        }
    }
    for (int j = 0; j < RESNET_CLASSES; j++) {
        sum[RESNET_FEATURES * RESNET_CLASSES + j] += diff_logits[j];
    }
}

static void head_pass_image(struct engine *e, int image, int chunk, struct member_space *m) {
    const struct resnet *net = e->net;
    int last = net->n_blocks - 1;
    const struct resnet_block *block = &net->blocks[last];
    const struct bn_state *bn = &e->bns[block->bn2];
    const float *kernel = tensor_values(e, net->dense_kernel);
    size_t at = (size_t)image * RESNET_FEATURES * FEATURE_PIXELS;
    const float *add = block->shortcut >= 0 ? e->shortcut[block->stage] : e->out[last];
    float *out = e->out[last + 1] + at;
    e->kernels->bn_add_relu(RESNET_FEATURES, FEATURE_PIXELS, e->y2[last] + at, bn->scale, bn->shift,
                            add + at, out);

    double pooled[RESNET_FEATURES];
    double logits[RESNET_CLASSES];
    double diff[RESNET_CLASSES];
    int label = e->labels[image];
    int correct = 0;
    e->losses[chunk] += head_image(out, kernel, tensor_values(e, net->dense_bias), label, pooled,
                                   logits, diff, &correct);
    e->correct[chunk] += correct;
    for (int j = 0; j < RESNET_CLASSES; j++) {
        e->logits[(size_t)image * RESNET_CLASSES + (size_t)j] = (float)logits[j];
        diff[j] = (diff[j] - (j == label ? 1.0 : 0.0)) / e->n_images;
    }
    add_dense_gradient(pooled, diff, e->dense_partials[chunk]);
    float *diff_features = m->diff;
    spread_gradient(kernel, diff, diff_features);
    e->kernels->relu_backward(RESNET_FEATURES, FEATURE_PIXELS, diff_features, NULL, out,
                              e->y2[last] + at, e->grad[0] + at, e->sums[chunk][0],
                              e->sums[chunk][1]);
}

static void head_pass(struct engine *e, int chunk, struct member_space *m) {
    struct image_range range = engine_chunk(e, chunk);
    memset(e->dense_partials[chunk], 0, sizeof(e->dense_partials[chunk]));
    e->losses[chunk] = 0.0;
    e->correct[chunk] = 0;
    for (int i = range.first; i < range.end; i++) {
        head_pass_image(e, i, chunk, m);
    }
}

static void finish_dense_gradient(struct engine *e) {
    float *kernel = e->gradient + e->net->tensors[e->net->dense_kernel].offset;
    float *bias = e->gradient + e->net->tensors[e->net->dense_bias].offset;
    for (int i = 0; i < DENSE_FLOATS; i++) {
        double sum = 0.0;
        for (int chunk = 0; chunk < e->n_chunks; chunk++) {
            sum += e->dense_partials[chunk][i];
        }
        if (i < RESNET_FEATURES * RESNET_CLASSES) {
            kernel[i] = (float)sum;
        } else {
            bias[i - RESNET_FEATURES * RESNET_CLASSES] = (float)sum;
        }
    }
}

void engine_head(struct engine *engine, struct engine_result *ret_result) {
    engine->grad_now = 0;
    engine_run(engine, head_pass);
    finish_dense_gradient(engine);
    *ret_result = (struct engine_result){0};
    for (int chunk = 0; chunk < engine->n_chunks; chunk++) {
        ret_result->loss += engine->losses[chunk];
        ret_result->correct += engine->correct[chunk];
    }
}
