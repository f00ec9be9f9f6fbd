/* Starting values of the parameters. Layer: core/nn. */
#include "core/nn/resnet.h"

#include <math.h>
#include <string.h>

#include "core/base/rng.h"

/* The standard deviation of a standard normal cut off at 2 sigma. */
static const double TRUNCATED_NORMAL_STDDEV = 0.87962566103423978;

/* One number of a normal truncated at two standard deviations: Box-Muller, numbers outside drawn
 * again (each attempt is the next block of the tensor's stream). */
static double truncated_normal(uint64_t seed, uint32_t tensor, uint32_t *draw) {
    static const double two_pi = 6.283185307179586;
    for (;;) {
        struct rng_counter counter = {.purpose = RNG_INIT, .image = tensor, .draw = (*draw)++};
        uint32_t w[4];
        rng_words(seed, counter, w);
        double u = ((double)w[0] + 0.5) * 0x1p-32;
        double v = ((double)w[1] + 0.5) * 0x1p-32;
        double z = sqrt(-2.0 * log(u)) * cos(two_pi * v);
        if (fabs(z) <= 2.0) {
            return z;
        }
    }
}

static void fill_he_normal(uint64_t seed, uint32_t tensor, size_t n, int fan_in, float *ret) {
    double sigma = sqrt(2.0 / fan_in) / TRUNCATED_NORMAL_STDDEV;
    uint32_t draw = 0;
    for (size_t i = 0; i < n; i++) {
        ret[i] = (float)(sigma * truncated_normal(seed, tensor, &draw));
    }
}

static void fill(size_t n, float value, float *ret) {
    for (size_t i = 0; i < n; i++) {
        ret[i] = value;
    }
}

void resnet_init(const struct resnet *net, uint64_t seed, float *params, float *moving) {
    memset(params, 0, net->n_params * sizeof(*params));
    memset(moving, 0, net->n_moving * sizeof(*moving));
    for (int i = 0; i < net->n_tensors; i++) {
        const struct tensor *t = &net->tensors[i];
        switch (t->kind) {
        case TENSOR_CONV_KERNEL:
            fill_he_normal(seed, (uint32_t)i, t->n, t->shape[0] * t->shape[1] * t->shape[2],
                           params + t->offset);
            break;
        case TENSOR_DENSE_KERNEL:
            fill_he_normal(seed, (uint32_t)i, t->n, t->shape[0], params + t->offset);
            break;
        case TENSOR_GAMMA:
            fill(t->n, t->zero ? 0.0F : 1.0F, params + t->offset);
            break;
        case TENSOR_MOVING_VARIANCE:
            fill(t->n, 1.0F, moving + t->offset);
            break;
        case TENSOR_CONV_BIAS:
        case TENSOR_BETA:
        case TENSOR_MOVING_MEAN:
        case TENSOR_DENSE_BIAS:
            break;
        }
    }
}
