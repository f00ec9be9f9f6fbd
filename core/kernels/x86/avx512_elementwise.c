/* Batch normalisation and ReLU over one image, AVX-512.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h.
 */
#if defined(__x86_64__)

#include "core/kernels/x86/avx512.h"
#include "core/kernels/x86/avx512_line.h"

/* 16 running sums in double, in two halves. */
struct sums {
    __m512d low;
    __m512d high;
};

/* The running sums of a and of a * b. Four pixels are added in float, their sum in double: so short
 * a sum rounds no more than the pixels themselves did (measured over 64 images: 8e-10 of the total;
 * float sums of an image: 3e-7), and the conversions cost more than the additions. */
struct pair_of_sums {
    struct sums sum;
    struct sums product;
};

INLINE struct sums sums_zero(void) {
    return (struct sums){_mm512_setzero_pd(), _mm512_setzero_pd()};
}

INLINE void sums_add(struct sums *sums, __m512 line) {
    const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(line));
    const __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(line, 1));
    sums->low = _mm512_add_pd(sums->low, low);
    sums->high = _mm512_add_pd(sums->high, high);
}

INLINE void add_four_pixels(struct pair_of_sums *sums, const __m512 a[4], const __m512 b[4]) {
    sums_add(&sums->sum, line_add(line_add(a[0], a[1]), line_add(a[2], a[3])));
    sums_add(&sums->product, line_add(line_fma(a[1], b[1], line_mul(a[0], b[0])),
                                      line_fma(a[3], b[3], line_mul(a[2], b[2]))));
}

INLINE void sums_flush(struct sums sums, double *total) {
    _mm512_storeu_pd(total, _mm512_add_pd(_mm512_loadu_pd(total), sums.low));
    _mm512_storeu_pd(total + 8, _mm512_add_pd(_mm512_loadu_pd(total + 8), sums.high));
}

void avx512_bn_sums(int c, int n_pixels, const float *src, double *sum, double *sum_squares) {
    for (int block = 0; block < c; block += 16) {
        struct pair_of_sums sums = {sums_zero(), sums_zero()};
        for (int p = 0; p < n_pixels; p += 4, src += 64) {
            __m512 value[4];
            UNROLL for (int i = 0; i < 4; i++) {
                value[i] = line_load(src + i * 16);
            }
            add_four_pixels(&sums, value, value);
        }
        sums_flush(sums.sum, sum + block);
        sums_flush(sums.product, sum_squares + block);
    }
}

INLINE __m512 line_relu(__m512 line) {
    return _mm512_max_ps(line, line_zero());
}

void avx512_bn_relu(int c, int n_pixels, const float *src, const float *scale, const float *shift,
                    float *dst) {
    for (int block = 0; block < c; block += 16) {
        const __m512 a = line_load(scale + block);
        const __m512 b = line_load(shift + block);
        for (int p = 0; p < n_pixels; p += 4, src += 64, dst += 64) {
            UNROLL for (int i = 0; i < 64; i += 16) {
                line_store(dst + i, line_relu(line_fma(line_load(src + i), a, b)));
            }
        }
    }
}

void avx512_bn_add_relu(int c, int n_pixels, const float *src, const float *scale,
                        const float *shift, const float *add, float *dst) {
    for (int block = 0; block < c; block += 16) {
        const __m512 a = line_load(scale + block);
        const __m512 b = line_load(shift + block);
        for (int p = 0; p < n_pixels; p += 4, src += 64, add += 64, dst += 64) {
            UNROLL for (int i = 0; i < 64; i += 16) {
                const __m512 normalised = line_fma(line_load(src + i), a, b);
                line_store(dst + i, line_relu(line_add(normalised, line_load(add + i))));
            }
        }
    }
}

void avx512_bn_backward(int c, int n_pixels, const float *diff, const float *src, const float *a,
                        const float *b, const float *k, float *dst) {
    for (int block = 0; block < c; block += 16) {
        const __m512 line_a = line_load(a + block);
        const __m512 line_b = line_load(b + block);
        const __m512 line_k = line_load(k + block);
        for (int p = 0; p < n_pixels; p += 4, diff += 64, src += 64, dst += 64) {
            UNROLL for (int i = 0; i < 64; i += 16) {
                const __m512 rest = line_fma(line_b, line_load(src + i), line_k);
                line_store(dst + i, line_fma(line_a, line_load(diff + i), rest));
            }
        }
    }
}

/* add: NULL or as in kernels.h; a constant NULL where the caller knows it. */
INLINE void relu_backward(int c, int n_pixels, const float *diff, const float *add,
                          const float *act, const float *src, float *dst, double *sum,
                          double *sum_src) {
    for (int block = 0; block < c; block += 16) {
        struct pair_of_sums sums = {sums_zero(), sums_zero()};
        for (int p = 0; p < n_pixels; p += 4) {
            const ptrdiff_t first = (ptrdiff_t)(block * n_pixels) + p * 16;
            __m512 value[4];
            __m512 source[4];
            UNROLL for (int i = 0; i < 4; i++) {
                const ptrdiff_t at = first + i * 16;
                value[i] = line_load(diff + at);
                if (add) {
                    value[i] = line_add(value[i], line_load(add + at));
                }
                const __mmask16 passed =
                    _mm512_cmp_ps_mask(line_load(act + at), line_zero(), _CMP_GT_OQ);
                value[i] = _mm512_maskz_mov_ps(passed, value[i]);
                source[i] = line_load(src + at);
                line_store(dst + at, value[i]);
            }
            add_four_pixels(&sums, value, source);
        }
        sums_flush(sums.sum, sum + block);
        sums_flush(sums.product, sum_src + block);
    }
}

void avx512_relu_backward(int c, int n_pixels, const float *diff, const float *add,
                          const float *act, const float *src, float *dst, double *sum,
                          double *sum_src) {
    if (add) {
        relu_backward(c, n_pixels, diff, add, act, src, dst, sum, sum_src);
    } else {
        relu_backward(c, n_pixels, diff, NULL, act, src, dst, sum, sum_src);
    }
}

#endif
