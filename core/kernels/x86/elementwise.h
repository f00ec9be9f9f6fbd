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

/* Kept tensors: float or bfloat16, `at` numbers from their start. type: a constant. */
INLINE bool is_bf16(enum kept_type type) {
    return type == KEPT_BF16 || type == KEPT_BF16_STREAMED;
}

INLINE vec kept_load(enum kept_type type, const void *tensor, ptrdiff_t at) {
    return is_bf16(type) ? vec_load_bf16((const uint16_t *)tensor + at)
                         : vec_load((const float *)tensor + at);
}

INLINE vec kept_round(enum kept_type type, vec v) {
    return is_bf16(type) ? vec_round_bf16(v) : v;
}

/* v is rounded. */
INLINE void kept_store(enum kept_type type, void *tensor, ptrdiff_t at, vec v) {
    switch (type) {
    case KEPT_F32:
        vec_store((float *)tensor + at, v);
        break;
    case KEPT_F32_STREAMED:
        vec_stream((float *)tensor + at, v);
        break;
    case KEPT_BF16:
        vec_store_bf16((uint16_t *)tensor + at, v);
        break;
    case KEPT_BF16_STREAMED:
        vec_stream_bf16((uint16_t *)tensor + at, v);
        break;
    case N_KEPT_TYPES:
        break;
    }
}

/* kept: NULL, a constant, or where src goes. */
INLINE void bn_sums(enum kept_type type, int c, int n_pixels, const float *src, void *kept,
                    double *sum, double *sum_squares) {
    ptrdiff_t at = 0;
    for (int block = 0; block < c; block += 16) {
        struct pair_of_sums sums[LINE_VECS];
        sums_start(sums);
        for (int p = 0; p < n_pixels; p += 4, at += 64) {
            UNROLL for (int v = 0; v < LINE_VECS; v++) {
                vec value[4];
                UNROLL for (int i = 0; i < 4; i++) {
                    const ptrdiff_t here = at + i * 16 + v * VEC_FLOATS;
                    value[i] = kept_round(type, vec_load(src + here));
                    if (kept) {
                        kept_store(type, kept, here, value[i]);
                    }
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

/* add, kept: NULL, a constant, or what kernels.h says. */
INLINE void bn_add_relu(enum kept_type type, int c, int n_pixels, const void *src,
                        const float *scale, const float *shift, const void *add, float *dst,
                        void *kept) {
    ptrdiff_t at = 0;
    for (int block = 0; block < c; block += 16) {
        vec a[LINE_VECS];
        vec b[LINE_VECS];
        line_load(a, scale + block);
        line_load(b, shift + block);
        for (const ptrdiff_t end = at + n_pixels * 16; at < end; at += STEP) {
            UNROLL for (int i = 0; i < 4; i++) {
                const int v = i % LINE_VECS;
                const ptrdiff_t here = at + i * VEC_FLOATS;
                vec value = vec_fma(kept_load(type, src, here), a[v], b[v]);
                if (add) {
                    value = vec_add(value, kept_load(type, add, here));
                }
                value = vec_relu(value);
                if (kept) {
                    value = kept_round(type, value);
                    kept_store(type, kept, here, value);
                }
                vec_store(dst + here, value);
            }
        }
    }
}

INLINE void bn_backward(enum kept_type type, int c, int n_pixels, const void *diff, const void *src,
                        const float *a, const float *b, const float *k, float *dst) {
    ptrdiff_t at = 0;
    for (int block = 0; block < c; block += 16) {
        vec line_a[LINE_VECS];
        vec line_b[LINE_VECS];
        vec line_k[LINE_VECS];
        line_load(line_a, a + block);
        line_load(line_b, b + block);
        line_load(line_k, k + block);
        for (const ptrdiff_t end = at + n_pixels * 16; at < end; at += STEP) {
            UNROLL for (int i = 0; i < 4; i++) {
                const int v = i % LINE_VECS;
                const ptrdiff_t here = at + i * VEC_FLOATS;
                const vec rest = vec_fma(line_b[v], kept_load(type, src, here), line_k[v]);
                vec_store(dst + here, vec_fma(line_a[v], kept_load(type, diff, here), rest));
            }
        }
    }
}

/* Four pixels of one register each. */
INLINE void relu_backward_four(enum kept_type type, const float *diff, const void *add,
                               const float *act, const void *src, void *dst, ptrdiff_t at,
                               struct pair_of_sums *sums) {
    vec value[4];
    vec source[4];
    UNROLL for (int i = 0; i < 4; i++) {
        const ptrdiff_t here = at + i * 16;
        value[i] = vec_load(diff + here);
        if (add) {
            value[i] = vec_add(value[i], kept_load(type, add, here));
        }
        value[i] = vec_where_positive(vec_load(act + here), value[i]);
        value[i] = kept_round(type, value[i]);
        source[i] = kept_load(type, src, here);
        kept_store(type, dst, here, value[i]);
    }
    add_four_pixels(sums, value, source);
}

/* add: NULL, a constant, or what kernels.h says. */
INLINE void relu_backward(enum kept_type type, int c, int n_pixels, const float *diff,
                          const void *add, const float *act, const void *src, void *dst,
                          double *sum, double *sum_src) {
    ptrdiff_t at = 0;
    for (int block = 0; block < c; block += 16) {
        struct pair_of_sums sums[LINE_VECS];
        sums_start(sums);
        for (int p = 0; p < n_pixels; p += 4, at += 64) {
            UNROLL for (int v = 0; v < LINE_VECS; v++) {
                relu_backward_four(type, diff, add, act, src, dst, at + v * VEC_FLOATS, &sums[v]);
            }
        }
        sums_flush(sums, sum + block, sum_src + block);
    }
}

INLINE void widen(enum kept_type type, size_t n, const void *src, float *dst) {
    for (ptrdiff_t at = 0; at < (ptrdiff_t)n; at += STEP) {
        UNROLL for (int i = 0; i < 4; i++) {
            const ptrdiff_t here = at + i * VEC_FLOATS;
            vec_store(dst + here, kept_load(type, src, here));
        }
    }
}

INLINE void narrow(enum kept_type type, size_t n, const float *src, void *dst) {
    for (ptrdiff_t at = 0; at < (ptrdiff_t)n; at += STEP) {
        UNROLL for (int i = 0; i < 4; i++) {
            const ptrdiff_t here = at + i * VEC_FLOATS;
            kept_store(type, dst, here, kept_round(type, vec_load(src + here)));
        }
    }
}

#define ELEMENTWISE_DEFINE(variant)                                                                \
    void variant##_bn_sums(int c, int n_pixels, const float *src, double *sum,                     \
                           double *sum_squares) {                                                  \
        REQUIRE(bn_sums(c, n_pixels, src, sum, sum_squares));                                      \
        bn_sums(KEPT_F32, c, n_pixels, src, NULL, sum, sum_squares);                               \
    }                                                                                              \
    void variant##_bn_relu(int c, int n_pixels, const float *src, const float *scale,              \
                           const float *shift, float *dst) {                                       \
        REQUIRE(bn_add_relu(c, n_pixels, src, scale, shift, NULL, dst));                           \
        bn_add_relu(KEPT_F32, c, n_pixels, src, scale, shift, NULL, dst, NULL);                    \
    }                                                                                              \
    void variant##_bn_add_relu(int c, int n_pixels, const float *src, const float *scale,          \
                               const float *shift, const float *add, float *dst) {                 \
        assert(add);                                                                               \
        REQUIRE(bn_add_relu(c, n_pixels, src, scale, shift, add, dst));                            \
        bn_add_relu(KEPT_F32, c, n_pixels, src, scale, shift, add, dst, NULL);                     \
    }                                                                                              \
    void variant##_bn_backward(int c, int n_pixels, const float *diff, const float *src,           \
                               const float *a, const float *b, const float *k, float *dst) {       \
        REQUIRE(bn_backward(c, n_pixels, diff, src, a, b, k, dst));                                \
        bn_backward(KEPT_F32, c, n_pixels, diff, src, a, b, k, dst);                               \
    }                                                                                              \
    void variant##_relu_backward(int c, int n_pixels, const float *diff, const float *add,         \
                                 const float *act, const float *src, float *dst, double *sum,      \
                                 double *sum_src) {                                                \
        REQUIRE(relu_backward(c, n_pixels, diff, add, act, src, dst, sum, sum_src));               \
        if (add) {                                                                                 \
            relu_backward(KEPT_F32, c, n_pixels, diff, add, act, src, dst, sum, sum_src);          \
        } else {                                                                                   \
            relu_backward(KEPT_F32, c, n_pixels, diff, NULL, act, src, dst, sum, sum_src);         \
        }                                                                                          \
    }

/* The functions of one kept type, and the table of them: variant##_##name. */
#define KEPT_DEFINE(variant, name, type)                                                           \
    static void name##_bn_sums(int c, int n_pixels, const float *src, void *kept, double *sum,     \
                               double *sum_squares) {                                              \
        REQUIRE(kept_sums(c, n_pixels, src, kept, sum, sum_squares));                              \
        bn_sums(type, c, n_pixels, src, kept, sum, sum_squares);                                   \
    }                                                                                              \
    static void name##_bn_relu(int c, int n_pixels, const void *src, const float *scale,           \
                               const float *shift, const void *add, float *dst, void *kept) {      \
        REQUIRE(kept_bn_relu(c, n_pixels, src, scale, shift, add, dst, kept));                     \
        if (add && kept) {                                                                         \
            bn_add_relu(type, c, n_pixels, src, scale, shift, add, dst, kept);                     \
        } else if (add) {                                                                          \
            bn_add_relu(type, c, n_pixels, src, scale, shift, add, dst, NULL);                     \
        } else if (kept) {                                                                         \
            bn_add_relu(type, c, n_pixels, src, scale, shift, NULL, dst, kept);                    \
        } else {                                                                                   \
            bn_add_relu(type, c, n_pixels, src, scale, shift, NULL, dst, NULL);                    \
        }                                                                                          \
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
        if (add) {                                                                                 \
            relu_backward(type, c, n_pixels, diff, add, act, src, dst, sum, sum_src);              \
        } else {                                                                                   \
            relu_backward(type, c, n_pixels, diff, NULL, act, src, dst, sum, sum_src);             \
        }                                                                                          \
    }                                                                                              \
    static void name##_widen(size_t n, const void *src, float *dst) {                              \
        REQUIRE(kept_copy(n, src, dst));                                                           \
        widen(type, n, src, dst);                                                                  \
    }                                                                                              \
    static void name##_narrow(size_t n, const float *src, void *dst) {                             \
        REQUIRE(kept_copy(n, src, dst));                                                           \
        narrow(type, n, src, dst);                                                                 \
    }                                                                                              \
    const struct kept_functions variant##_##name = {                                               \
        name##_bn_sums,       name##_bn_relu, name##_bn_backward,                                  \
        name##_relu_backward, name##_widen,   name##_narrow,                                       \
    }

#endif
