/* Batch normalisation and ReLU over one image.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h. Included by one file an instruction
 * set, which then names the functions with ELEMENTWISE_DEFINE.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_ELEMENTWISE_H
#define CUTOUTD_CORE_KERNELS_X86_ELEMENTWISE_H

#include <assert.h>
#include <stddef.h>

#include "core/kernels/require.h"
#include "core/kernels/x86/vec.h"

/* A running sum of registers, in double. */
struct sums {
    vec_double low;
    vec_double high;
};

/* The running sums of a and of a * b. Four pixels are added in float, their sum in double: so short
 * a sum rounds no more than the pixels themselves did (measured over 64 images: 8e-10 of the total;
 * float sums of an image: 3e-7), and the conversions cost more than the additions. */
struct pair_of_sums {
    struct sums sum;
    struct sums product;
};

INLINE void sums_start(struct pair_of_sums sums[LINE_VECS]) {
    UNROLL for (int v = 0; v < LINE_VECS; v++) {
        sums[v].sum = (struct sums){vec_double_zero(), vec_double_zero()};
        sums[v].product = (struct sums){vec_double_zero(), vec_double_zero()};
    }
}

INLINE void sums_add(struct sums *sums, vec v) {
    sums->low = vec_double_add(sums->low, vec_low(v));
    sums->high = vec_double_add(sums->high, vec_high(v));
}

INLINE void add_four_pixels(struct pair_of_sums *sums, const vec a[4], const vec b[4]) {
    sums_add(&sums->sum, vec_add(vec_add(a[0], a[1]), vec_add(a[2], a[3])));
    sums_add(&sums->product, vec_add(vec_fma(a[1], b[1], vec_mul(a[0], b[0])),
                                     vec_fma(a[3], b[3], vec_mul(a[2], b[2]))));
}

/* Adds a line's sums to sum[16] and product[16]. */
INLINE void sums_flush(const struct pair_of_sums sums[LINE_VECS], double *sum, double *product) {
    UNROLL for (int v = 0; v < LINE_VECS; v++) {
        const int low = v * VEC_FLOATS;
        const int high = low + VEC_FLOATS / 2;
        vec_double_add_to(sum + low, sums[v].sum.low);
        vec_double_add_to(sum + high, sums[v].sum.high);
        vec_double_add_to(product + low, sums[v].product.low);
        vec_double_add_to(product + high, sums[v].product.high);
    }
}

INLINE void bn_sums(int c, int n_pixels, const float *src, double *sum, double *sum_squares) {
    for (int block = 0; block < c; block += 16) {
        struct pair_of_sums sums[LINE_VECS];
        sums_start(sums);
        for (int p = 0; p < n_pixels; p += 4, src += 64) {
            UNROLL for (int v = 0; v < LINE_VECS; v++) {
                vec value[4];
                UNROLL for (int i = 0; i < 4; i++) {
                    value[i] = vec_load(src + i * 16 + v * VEC_FLOATS);
                }
                add_four_pixels(&sums[v], value, value);
            }
        }
        sums_flush(sums, sum + block, sum_squares + block);
    }
}

/* The other functions take four registers at a time, whatever pixels these belong to. */
enum { STEP = 4 * VEC_FLOATS };

INLINE void line_load(vec line[LINE_VECS], const float *from) {
    UNROLL for (int v = 0; v < LINE_VECS; v++) {
        line[v] = vec_load(from + v * VEC_FLOATS);
    }
}

/* adds: whether there is `add`, a constant. */
INLINE void bn_add_relu(int c, int n_pixels, const float *src, const float *scale,
                        const float *shift, bool adds, const float *add, float *dst) {
    for (int block = 0; block < c; block += 16) {
        vec a[LINE_VECS];
        vec b[LINE_VECS];
        line_load(a, scale + block);
        line_load(b, shift + block);
        for (int at = 0; at < n_pixels * 16; at += STEP, src += STEP, dst += STEP) {
            UNROLL for (int i = 0; i < 4; i++) {
                const int v = i % LINE_VECS;
                vec value = vec_fma(vec_load(src + i * VEC_FLOATS), a[v], b[v]);
                if (adds) {
                    value = vec_add(value, vec_load(add + i * VEC_FLOATS));
                }
                vec_store(dst + i * VEC_FLOATS, vec_relu(value));
            }
            if (adds) {
                add += STEP;
            }
        }
    }
}

INLINE void bn_backward(int c, int n_pixels, const float *diff, const float *src, const float *a,
                        const float *b, const float *k, float *dst) {
    for (int block = 0; block < c; block += 16) {
        vec line_a[LINE_VECS];
        vec line_b[LINE_VECS];
        vec line_k[LINE_VECS];
        line_load(line_a, a + block);
        line_load(line_b, b + block);
        line_load(line_k, k + block);
        for (int at = 0; at < n_pixels * 16; at += STEP, diff += STEP, src += STEP, dst += STEP) {
            UNROLL for (int i = 0; i < 4; i++) {
                const int v = i % LINE_VECS;
                const vec rest = vec_fma(line_b[v], vec_load(src + i * VEC_FLOATS), line_k[v]);
                vec_store(dst + i * VEC_FLOATS,
                          vec_fma(line_a[v], vec_load(diff + i * VEC_FLOATS), rest));
            }
        }
    }
}

/* Four pixels of one register each. */
INLINE void relu_backward_four(const float *diff, const float *add, const float *act,
                               const float *src, float *dst, struct pair_of_sums *sums) {
    vec value[4];
    vec source[4];
    UNROLL for (int i = 0; i < 4; i++) {
        value[i] = vec_load(diff + i * 16);
        if (add) {
            value[i] = vec_add(value[i], vec_load(add + i * 16));
        }
        value[i] = vec_where_positive(vec_load(act + i * 16), value[i]);
        source[i] = vec_load(src + i * 16);
        vec_store(dst + i * 16, value[i]);
    }
    add_four_pixels(sums, value, source);
}

/* add: NULL or as in kernels.h; a constant NULL where the caller knows it. */
INLINE void relu_backward(int c, int n_pixels, const float *diff, const float *add,
                          const float *act, const float *src, float *dst, double *sum,
                          double *sum_src) {
    ptrdiff_t at = 0;
    for (int block = 0; block < c; block += 16) {
        struct pair_of_sums sums[LINE_VECS];
        sums_start(sums);
        for (int p = 0; p < n_pixels; p += 4, at += 64) {
            UNROLL for (int v = 0; v < LINE_VECS; v++) {
                const ptrdiff_t here = at + v * VEC_FLOATS;
                relu_backward_four(diff + here, add ? add + here : NULL, act + here, src + here,
                                   dst + here, &sums[v]);
            }
        }
        sums_flush(sums, sum + block, sum_src + block);
    }
}

#define ELEMENTWISE_DEFINE(variant)                                                                \
    void variant##_bn_sums(int c, int n_pixels, const float *src, double *sum,                     \
                           double *sum_squares) {                                                  \
        REQUIRE(bn_sums(c, n_pixels, src, sum, sum_squares));                                      \
        bn_sums(c, n_pixels, src, sum, sum_squares);                                               \
    }                                                                                              \
    void variant##_bn_relu(int c, int n_pixels, const float *src, const float *scale,              \
                           const float *shift, float *dst) {                                       \
        REQUIRE(bn_add_relu(c, n_pixels, src, scale, shift, NULL, dst));                           \
        bn_add_relu(c, n_pixels, src, scale, shift, false, NULL, dst);                             \
    }                                                                                              \
    void variant##_bn_add_relu(int c, int n_pixels, const float *src, const float *scale,          \
                               const float *shift, const float *add, float *dst) {                 \
        assert(add);                                                                               \
        REQUIRE(bn_add_relu(c, n_pixels, src, scale, shift, add, dst));                            \
        bn_add_relu(c, n_pixels, src, scale, shift, true, add, dst);                               \
    }                                                                                              \
    void variant##_bn_backward(int c, int n_pixels, const float *diff, const float *src,           \
                               const float *a, const float *b, const float *k, float *dst) {       \
        REQUIRE(bn_backward(c, n_pixels, diff, src, a, b, k, dst));                                \
        bn_backward(c, n_pixels, diff, src, a, b, k, dst);                                         \
    }                                                                                              \
    void variant##_relu_backward(int c, int n_pixels, const float *diff, const float *add,         \
                                 const float *act, const float *src, float *dst, double *sum,      \
                                 double *sum_src) {                                                \
        REQUIRE(relu_backward(c, n_pixels, diff, add, act, src, dst, sum, sum_src));               \
        if (add) {                                                                                 \
            relu_backward(c, n_pixels, diff, add, act, src, dst, sum, sum_src);                    \
        } else {                                                                                   \
            relu_backward(c, n_pixels, diff, NULL, act, src, dst, sum, sum_src);                   \
        }                                                                                          \
    }

#endif
