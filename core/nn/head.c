/* Pooling, dense layer, softmax and cross-entropy. Layer: core/nn.
 *
 * A ten-thousandth of the work, so all of it is in double.
 */
#include "core/nn/engine_internal.h"

#include <math.h>

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

int head_class(int n_classes, const double *logits) {
    int best = 0;
    for (int j = 1; j < n_classes; j++) {
        best = logits[j] > logits[best] ? j : best;
    }
    return best;
}

double head_image(const struct resnet *net, const float *params, const float *features, int label,
                  double ret_pooled[RESNET_FEATURES], double *ret_logits, double *ret_probability,
                  int *ret_correct) {
    const int n_classes = net->n_classes;
    const float *kernel = params + net->tensors[net->dense_kernel].offset;
    const float *bias = params + net->tensors[net->dense_bias].offset;
    average_pool(features, ret_pooled);
    for (int j = 0; j < n_classes; j++) {
        ret_logits[j] = (double)bias[j];
    }
    for (int c = 0; c < RESNET_FEATURES; c++) {
        for (int j = 0; j < n_classes; j++) {
            ret_logits[j] += ret_pooled[c] * (double)kernel[c * n_classes + j];
        }
    }
    const int best = head_class(n_classes, ret_logits);
    double sum = 0.0;
    double exponential[RESNET_MAX_CLASSES];
    for (int j = 0; j < n_classes; j++) {
        exponential[j] = exp(ret_logits[j] - ret_logits[best]);
        sum += exponential[j];
    }
    for (int j = 0; j < n_classes && ret_probability; j++) {
        ret_probability[j] = exponential[j] / sum;
    }
    *ret_correct = best == label;
    /* cppcheck-suppress invalidFunctionArg ; the best one alone adds 1 */
    return log(sum) + ret_logits[best] - ret_logits[label];
}

double head_soft_target(int n_classes, double smoothing, int label,
                        const struct engine_other *other, double loss, const double *logits,
                        double *ret_diff) {
    const double share = (double)other->share;
    const double log_sum = loss + logits[label];
    double sum = 0.0;
    for (int j = 0; j < n_classes; j++) {
        double hard = (j == label ? 1.0 - share : 0.0) + (j == other->label ? share : 0.0);
        double target = (1.0 - smoothing) * hard + smoothing / n_classes;
        sum += target * (log_sum - logits[j]);
        ret_diff[j] -= target;
    }
    return sum;
}

void head_spread(const struct resnet *net, const float *params, const double *diff_logits,
                 float *ret_diff_features) {
    const int n_classes = net->n_classes;
    const float *kernel = params + net->tensors[net->dense_kernel].offset;
    for (int c = 0; c < RESNET_FEATURES; c++) {
        double diff = 0.0;
        for (int j = 0; j < n_classes; j++) {
            diff += diff_logits[j] * (double)kernel[c * n_classes + j];
        }
        float value = (float)(diff / FEATURE_PIXELS);
        float *target = ret_diff_features + (size_t)(c / 16) * FEATURE_PIXELS * 16 + c % 16;
        for (int i = 0; i < FEATURE_PIXELS; i++) {
            target[(size_t)i * 16] = value;
        }
    }
}

void head_add_gradient(int n_classes, const double pooled[RESNET_FEATURES],
                       const double *diff_logits, double *sum) {
    for (int c = 0; c < RESNET_FEATURES; c++) {
        for (int j = 0; j < n_classes; j++) {
            sum[c * n_classes + j] += pooled[c] * diff_logits[j];
        }
    }
    for (int j = 0; j < n_classes; j++) {
        sum[RESNET_FEATURES * n_classes + j] += diff_logits[j];
    }
}
