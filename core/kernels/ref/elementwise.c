/* Batch normalisation and ReLU over one image, in plain loops. Layer: core/kernels.
 *
 * Each is written once for all types that tensors are kept in; `type` is a constant wherever it is
 * passed. */
#include "core/kernels/ref/ref.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/kernels/require.h"

/* A bfloat16 is the upper half of a float. */
static inline float from_bf16(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float value = 0.0F;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* To the nearest, ties to even; a NaN keeps its sign and the upper part of what it holds. */
static inline uint16_t to_bf16(float value) {
    uint32_t bits = 0;
    memcpy(&bits, &value, sizeof(bits));
    if (isnan(value)) {
        return (uint16_t)(bits >> 16 | 0x40);
    }
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline float load(enum kept_type type, const void *tensor, int i) {
    return type == KEPT_BF16 ? from_bf16(((const uint16_t *)tensor)[i])
                             : ((const float *)tensor)[i];
}

/* Returns what is kept. tensor: NULL keeps nothing. */
static inline float keep(enum kept_type type, void *tensor, int i, float value) {
    if (!tensor) {
        return value;
    }
    if (type == KEPT_BF16) {
        uint16_t half = to_bf16(value);
        ((uint16_t *)tensor)[i] = half;
        return from_bf16(half);
    }
    ((float *)tensor)[i] = value;
    return value;
}

/* NaN stays NaN: it is not less than 0. */
static inline float relu(float value) {
    return value < 0.0F ? 0.0F : value;
}

/* The gradient `value` behind a ReLU whose output was act; NaN where one of them is. */
static inline float relu_mask(float act, float value) {
    if (isunordered(act, value)) {
        return NAN;
    }
    return act > 0.0F ? value : 0.0F;
}

static inline void bn_sums(enum kept_type type, int c, int n_pixels, const float *src, void *kept,
                           double *sum, double *sum_squares) {
    for (int block = 0; block < c; block += 16) {
        double s[16] = {0};
        double q[16] = {0};
        for (int i = block * n_pixels; i < (block + 16) * n_pixels; i += 16) {
            for (int lane = 0; lane < 16; lane++) {
                double value = (double)keep(type, kept, i + lane, src[i + lane]);
                s[lane] += value;
                q[lane] += value * value;
            }
        }
        for (int lane = 0; lane < 16; lane++) {
            sum[block + lane] += s[lane];
            sum_squares[block + lane] += q[lane];
        }
    }
}

static inline void bn_relu(enum kept_type type, int c, int n_pixels, const void *src,
                           const float *scale, const float *shift, const void *add, float *dst,
                           void *kept) {
    for (int block = 0; block < c; block += 16) {
        for (int i = block * n_pixels; i < (block + 16) * n_pixels; i += 16) {
            for (int lane = 0; lane < 16; lane++) {
                const int at = i + lane;
                float value = load(type, src, at) * scale[block + lane] + shift[block + lane];
                value = add ? value + load(type, add, at) : value;
                dst[at] = keep(type, kept, at, relu(value));
            }
        }
    }
}

static inline void bn_backward(enum kept_type type, int c, int n_pixels, const void *diff,
                               const void *src, const float *a, const float *b, const float *k,
                               float *dst) {
    for (int block = 0; block < c; block += 16) {
        for (int i = block * n_pixels; i < (block + 16) * n_pixels; i += 16) {
            for (int lane = 0; lane < 16; lane++) {
                const int at = i + lane;
                float centred = b[block + lane] * load(type, src, at) + k[block + lane];
                dst[at] = a[block + lane] * load(type, diff, at) + centred;
            }
        }
    }
}

static inline void relu_backward(enum kept_type type, int c, int n_pixels, const float *diff,
                                 const void *add, const float *act, const void *src, void *dst,
                                 double *sum, double *sum_src) {
    for (int block = 0; block < c; block += 16) {
        double s[16] = {0};
        double q[16] = {0};
        for (int i = block * n_pixels; i < (block + 16) * n_pixels; i += 16) {
            for (int lane = 0; lane < 16; lane++) {
                const int at = i + lane;
                float value = add ? diff[at] + load(type, add, at) : diff[at];
                value = keep(type, dst, at, relu_mask(act[at], value));
                s[lane] += (double)value;
                q[lane] += (double)value * (double)load(type, src, at);
            }
        }
        for (int lane = 0; lane < 16; lane++) {
            sum[block + lane] += s[lane];
            sum_src[block + lane] += q[lane];
        }
    }
}

/* ---- of floats ---- */

void ref_bn_sums(int c, int n_pixels, const float *src, double *sum, double *sum_squares) {
    REQUIRE(bn_sums(c, n_pixels, src, sum, sum_squares));
    bn_sums(KEPT_F32, c, n_pixels, src, NULL, sum, sum_squares);
}

void ref_bn_relu(int c, int n_pixels, const float *src, const float *scale, const float *shift,
                 float *dst) {
    REQUIRE(bn_add_relu(c, n_pixels, src, scale, shift, NULL, dst));
    bn_relu(KEPT_F32, c, n_pixels, src, scale, shift, NULL, dst, NULL);
}

void ref_bn_add_relu(int c, int n_pixels, const float *src, const float *scale, const float *shift,
                     const float *add, float *dst) {
    assert(add);
    REQUIRE(bn_add_relu(c, n_pixels, src, scale, shift, add, dst));
    bn_relu(KEPT_F32, c, n_pixels, src, scale, shift, add, dst, NULL);
}

void ref_bn_backward(int c, int n_pixels, const float *diff, const float *src, const float *a,
                     const float *b, const float *k, float *dst) {
    REQUIRE(bn_backward(c, n_pixels, diff, src, a, b, k, dst));
    bn_backward(KEPT_F32, c, n_pixels, diff, src, a, b, k, dst);
}

void ref_relu_backward(int c, int n_pixels, const float *diff, const float *add, const float *act,
                       const float *src, float *dst, double *sum, double *sum_src) {
    REQUIRE(relu_backward(c, n_pixels, diff, add, act, src, dst, sum, sum_src));
    relu_backward(KEPT_F32, c, n_pixels, diff, add, act, src, dst, sum, sum_src);
}

/* ---- of kept tensors ---- */

#define KEPT_DEFINE(name, type)                                                                    \
    static void name##_bn_sums(int c, int n_pixels, const float *src, void *kept, double *sum,     \
                               double *sum_squares) {                                              \
        REQUIRE(kept_sums(c, n_pixels, src, kept, sum, sum_squares));                              \
        bn_sums(type, c, n_pixels, src, kept, sum, sum_squares);                                   \
    }                                                                                              \
    static void name##_bn_relu(int c, int n_pixels, const void *src, const float *scale,           \
                               const float *shift, const void *add, float *dst, void *kept) {      \
        REQUIRE(kept_bn_relu(c, n_pixels, src, scale, shift, add, dst, kept));                     \
        bn_relu(type, c, n_pixels, src, scale, shift, add, dst, kept);                             \
    }                                                                                              \
    static void name##_bn_backward(int c, int n_pixels, const void *diff, const void *src,         \
                                   const float *a, const float *b, const float *k, float *dst) {   \
        REQUIRE(kept_bn_backward(c, n_pixels, diff, src, a, b, k, dst));                           \
        bn_backward(type, c, n_pixels, diff, src, a, b, k, dst);                                   \
    }                                                                                              \
    static void name##_relu_backward(int c, int n_pixels, const float *diff, const void *add,      \
                                     const float *act, const void *src, void *dst, double *sum,    \
                                     double *sum_src) {                                            \
        REQUIRE(kept_relu_backward(c, n_pixels, diff, add, act, src, dst, sum, sum_src));          \
        relu_backward(type, c, n_pixels, diff, add, act, src, dst, sum, sum_src);                  \
    }                                                                                              \
    static void name##_widen(size_t n, const void *src, float *dst) {                              \
        REQUIRE(kept_copy(n, src, dst));                                                           \
        for (int i = 0; i < (int)n; i++) {                                                         \
            dst[i] = load(type, src, i);                                                           \
        }                                                                                          \
    }                                                                                              \
    static void name##_narrow(size_t n, const float *src, void *dst) {                             \
        REQUIRE(kept_copy(n, src, dst));                                                           \
        for (int i = 0; i < (int)n; i++) {                                                         \
            (void)keep(type, dst, i, src[i]);                                                      \
        }                                                                                          \
    }                                                                                              \
    const struct kept_functions ref_##name = {                                                     \
        name##_bn_sums,       name##_bn_relu, name##_bn_backward,                                  \
        name##_relu_backward, name##_widen,   name##_narrow,                                       \
    }

KEPT_DEFINE(kept_f32, KEPT_F32);
KEPT_DEFINE(kept_bf16, KEPT_BF16);
