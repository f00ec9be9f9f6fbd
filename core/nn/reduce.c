/* What the chunks of a pass have summed, added in order: batch statistics and gradients. Layer:
 * core/nn.
 *
 * Ioffe & Szegedy, 2015: algorithm 1 forward; backward section 3, with the terms collected for each
 * channel. The sums are doubles (kernels.h says how they are added), so that E[y^2] - E[y]^2 loses
 * nothing that matters.
 */
#include "core/nn/engine_internal.h"

#include <math.h>
#include <string.h>

static double add_sums(const struct step *s, double (*sums)[2][MAX_CHANNELS], int which, int c) {
    double sum = 0.0;
    for (int chunk = 0; chunk < s->n_chunks; chunk++) {
        sum += sums[chunk][which][c];
    }
    return sum;
}

static double values_a_channel(const struct step *s, const struct resnet_bn *bn) {
    return (double)s->n_images * bn->side * bn->side;
}

static void update_moving(float *moving, double keep, double value) {
    *moving = (float)(keep * (double)*moving + (1.0 - keep) * value);
}

void reduce_statistics(const struct step *step, int bn, double (*sums)[2][MAX_CHANNELS],
                       float *moving) {
    const struct engine *e = step->engine;
    const struct resnet_bn *n = &e->net->bns[bn];
    const struct tensor *tensors = e->net->tensors;
    struct bn_state *state = &e->bns[bn];
    const float *gamma = values_of(e, step->params, n->gamma);
    const float *beta = values_of(e, step->params, n->beta);
    const float *bias = bias_of(e, step->params, n->conv);
    const double epsilon = e->net->bn_epsilon;
    const double keep = e->net->bn_momentum;
    double count = values_a_channel(step, n);
    for (int c = 0; c < n->c; c++) {
        double mean = add_sums(step, sums, 0, c) / count;
        double variance = add_sums(step, sums, 1, c) / count - mean * mean;
        variance = variance < 0.0 ? 0.0 : variance; /* rounding; NaN stays */
        double scale = (double)gamma[c] / sqrt(variance + epsilon);
        state->mean[c] = mean;
        state->variance[c] = variance;
        state->inverse_std[c] = 1.0 / sqrt(variance + epsilon);
        state->scale[c] = (float)scale;
        state->shift[c] = (float)((double)beta[c] - mean * scale);
        update_moving(&moving[tensors[n->moving_mean].offset + (size_t)c], keep,
                      mean + (bias ? (double)bias[c] : 0.0));
        update_moving(&moving[tensors[n->moving_variance].offset + (size_t)c], keep,
                      variance * count / (count - 1.0));
    }
}

void reduce_bn_gradient(const struct step *step, int bn, double (*sums)[2][MAX_CHANNELS]) {
    const struct engine *e = step->engine;
    const struct resnet_bn *n = &e->net->bns[bn];
    const struct tensor *tensors = e->net->tensors;
    struct bn_state *state = &e->bns[bn];
    const float *gamma = values_of(e, step->params, n->gamma);
    float *diff_gamma = step->gradient + tensors[n->gamma].offset;
    float *diff_beta = step->gradient + tensors[n->beta].offset;
    double count = values_a_channel(step, n);
    for (int c = 0; c < n->c; c++) {
        double sum = add_sums(step, sums, 0, c);
        double diff = state->inverse_std[c] * (add_sums(step, sums, 1, c) - state->mean[c] * sum);
        double a = (double)gamma[c] * state->inverse_std[c];
        double b = -a * state->inverse_std[c] * diff / count;
        diff_gamma[c] = (float)diff;
        diff_beta[c] = (float)sum;
        state->a[c] = (float)a;
        state->b[c] = (float)b;
        state->k[c] = (float)(-a * sum / count - b * state->mean[c]);
    }
    int bias = n->added >= 0 ? e->net->convs[n->added].bias : -1;
    if (bias >= 0) {
        float *diff_bias = step->gradient + tensors[bias].offset;
        memcpy(diff_bias, diff_beta, (size_t)n->c * sizeof(*diff_bias));
    }
}

/* partials: [n_chunks][stride]. */
static void add_kernels(const struct step *s, int conv, const float *partials, size_t stride,
                        int share) {
    const struct tensor *tensor = &s->engine->net->tensors[s->engine->net->convs[conv].kernel];
    size_t first = tensor->n * (size_t)share / (size_t)s->n_chunks;
    size_t n = tensor->n * (size_t)(share + 1) / (size_t)s->n_chunks - first;
    float *target = s->gradient + tensor->offset + first;
    partials += first;
    memcpy(target, partials, n * sizeof(*target));
    for (int chunk = 1; chunk < s->n_chunks; chunk++) {
        partials += stride;
        for (size_t i = 0; i < n; i++) {
            target[i] += partials[i];
        }
    }
}

static void add_dense(const struct step *s, int share) {
    const struct resnet *net = s->engine->net;
    float *kernel = s->gradient + net->tensors[net->dense_kernel].offset;
    float *bias = s->gradient + net->tensors[net->dense_bias].offset;
    int n = (int)dense_floats(s->engine);
    int end = n * (share + 1) / s->n_chunks;
    for (int i = n * share / s->n_chunks; i < end; i++) {
        double sum = 0.0;
        for (int chunk = 0; chunk < s->n_chunks; chunk++) {
            sum += s->engine->dense_partials[(size_t)chunk * (size_t)n + (size_t)i];
        }
        int at_bias = i - RESNET_FEATURES * net->n_classes;
        *(at_bias < 0 ? &kernel[i] : &bias[at_bias]) = (float)sum;
    }
}

void reduce_weights(const struct step *step, const struct pass *pass, int share) {
    switch (pass->kind) {
    case PASS_FORWARD:
        break;
    case PASS_HEAD:
        add_dense(step, share);
        break;
    case PASS_BACKWARD:
        add_kernels(step, pass->conv, pass->partials[0], MAX_KERNEL_FLOATS, share);
        if (pass->shortcut >= 0) {
            add_kernels(step, pass->shortcut, step->engine->shortcut_partials[0],
                        MAX_SHORTCUT_FLOATS, share);
        }
        break;
    }
}

void reduce_losses(const struct step *step, struct engine_result *ret_result) {
    *ret_result = (struct engine_result){0};
    for (int chunk = 0; chunk < step->n_chunks; chunk++) {
        ret_result->loss += step->engine->losses[chunk];
        ret_result->correct += step->engine->correct[chunk];
    }
}
