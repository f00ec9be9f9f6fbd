/* Batch normalisation and ReLU over one image, in plain loops. Layer: core/kernels. */
#include "core/kernels/ref/ref.h"

#include <assert.h>
#include <math.h>

#include "core/kernels/require.h"

void ref_bn_sums(int c, int n_pixels, const float *src, double *sum, double *sum_squares) {
    REQUIRE(bn_sums(c, n_pixels, src, sum, sum_squares));
    for (int block = 0; block < c; block += 16) {
        double s[16] = {0};
        double q[16] = {0};
        for (int i = 0; i < n_pixels; i++, src += 16) {
            for (int lane = 0; lane < 16; lane++) {
                double value = (double)src[lane];
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

void ref_bn_relu(int c, int n_pixels, const float *src, const float *scale, const float *shift,
                 float *dst) {
    REQUIRE(bn_add_relu(c, n_pixels, src, scale, shift, NULL, dst));
    for (int block = 0; block < c; block += 16) {
        for (int i = 0; i < n_pixels; i++, src += 16, dst += 16) {
            for (int lane = 0; lane < 16; lane++) {
                dst[lane] = relu(src[lane] * scale[block + lane] + shift[block + lane]);
            }
        }
    }
}

void ref_bn_add_relu(int c, int n_pixels, const float *src, const float *scale, const float *shift,
                     const float *add, float *dst) {
    assert(add);
    REQUIRE(bn_add_relu(c, n_pixels, src, scale, shift, add, dst));
    for (int block = 0; block < c; block += 16) {
        for (int i = 0; i < n_pixels; i++, src += 16, add += 16, dst += 16) {
            for (int lane = 0; lane < 16; lane++) {
                float normalised = src[lane] * scale[block + lane] + shift[block + lane];
                dst[lane] = relu(normalised + add[lane]);
            }
        }
    }
}

void ref_bn_backward(int c, int n_pixels, const float *diff, const float *src, const float *a,
                     const float *b, const float *k, float *dst) {
    REQUIRE(bn_backward(c, n_pixels, diff, src, a, b, k, dst));
    for (int block = 0; block < c; block += 16) {
        for (int i = 0; i < n_pixels; i++, diff += 16, src += 16, dst += 16) {
            for (int lane = 0; lane < 16; lane++) {
                float centred = b[block + lane] * src[lane] + k[block + lane];
                dst[lane] = a[block + lane] * diff[lane] + centred;
            }
        }
    }
}

void ref_relu_backward(int c, int n_pixels, const float *diff, const float *add, const float *act,
                       const float *src, float *dst, double *sum, double *sum_src) {
    REQUIRE(relu_backward(c, n_pixels, diff, add, act, src, dst, sum, sum_src));
    for (int block = 0; block < c; block += 16) {
        double s[16] = {0};
        double q[16] = {0};
        for (int i = 0; i < n_pixels; i++) {
            for (int lane = 0; lane < 16; lane++) {
                float value = add ? diff[lane] + add[lane] : diff[lane];
                value = relu_mask(act[lane], value);
                dst[lane] = value;
                s[lane] += (double)value;
                q[lane] += (double)value * (double)src[lane];
            }
            diff += 16;
            act += 16;
            src += 16;
            dst += 16;
            add = add ? add + 16 : NULL;
        }
        for (int lane = 0; lane < 16; lane++) {
            sum[block + lane] += s[lane];
            sum_src[block + lane] += q[lane];
        }
    }
}
