/* Batch normalisation and ReLU over one image, AVX2.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h.
 */
#if defined(__x86_64__)

#include "core/kernels/x86/avx2.h"
#include "core/kernels/x86/avx2_half.h"

/* 8 running sums in double. */
struct sums {
    __m256d low;
    __m256d high;
};

/* The running sums of a and of a * b. Four pixels are added in float, their sum in double: as in
 * avx512_elementwise.c, where the error is stated. */
struct pair_of_sums {
    struct sums sum;
    struct sums product;
};

INLINE struct sums sums_zero(void) {
    return (struct sums){_mm256_setzero_pd(), _mm256_setzero_pd()};
}

INLINE void sums_add(struct sums *sums, __m256 half) {
    sums->low = _mm256_add_pd(sums->low, _mm256_cvtps_pd(_mm256_castps256_ps128(half)));
    sums->high = _mm256_add_pd(sums->high, _mm256_cvtps_pd(_mm256_extractf128_ps(half, 1)));
}

INLINE void add_four_pixels(struct pair_of_sums *sums, const __m256 a[4], const __m256 b[4]) {
    sums_add(&sums->sum, half_add(half_add(a[0], a[1]), half_add(a[2], a[3])));
    sums_add(&sums->product, half_add(half_fma(a[1], b[1], half_mul(a[0], b[0])),
                                      half_fma(a[3], b[3], half_mul(a[2], b[2]))));
}

/* Adds the sums of both halves of a line to total[16]. */
INLINE void sums_flush(struct sums first, struct sums second, double *total) {
    const __m256d parts[4] = {first.low, first.high, second.low, second.high};
    UNROLL for (int i = 0; i < 4; i++) {
        double *to = total + i * 4;
        _mm256_storeu_pd(to, _mm256_add_pd(_mm256_loadu_pd(to), parts[i]));
    }
}

INLINE __m256 half_relu(__m256 half) {
    return _mm256_max_ps(half, half_zero());
}

void avx2_bn_sums(int c, int n_pixels, const float *src, double *sum, double *sum_squares) {
    for (int block = 0; block < c; block += 16) {
        struct pair_of_sums sums[2] = {{sums_zero(), sums_zero()}, {sums_zero(), sums_zero()}};
        for (int p = 0; p < n_pixels; p += 4, src += 64) {
            UNROLL for (int h = 0; h < 2; h++) {
                __m256 value[4];
                UNROLL for (int i = 0; i < 4; i++) {
                    value[i] = half_load(src + i * 16 + h * 8);
                }
                add_four_pixels(&sums[h], value, value);
            }
        }
        sums_flush(sums[0].sum, sums[1].sum, sum + block);
        sums_flush(sums[0].product, sums[1].product, sum_squares + block);
    }
}

void avx2_bn_relu(int c, int n_pixels, const float *src, const float *scale, const float *shift,
                  float *dst) {
    for (int block = 0; block < c; block += 16) {
        const __m256 a[2] = {half_load(scale + block), half_load(scale + block + 8)};
        const __m256 b[2] = {half_load(shift + block), half_load(shift + block + 8)};
        for (int p = 0; p < n_pixels; p += 2, src += 32, dst += 32) {
            UNROLL for (int i = 0; i < 4; i++) {
                const __m256 normalised = half_fma(half_load(src + i * 8), a[i % 2], b[i % 2]);
                half_store(dst + i * 8, half_relu(normalised));
            }
        }
    }
}

void avx2_bn_add_relu(int c, int n_pixels, const float *src, const float *scale, const float *shift,
                      const float *add, float *dst) {
    for (int block = 0; block < c; block += 16) {
        const __m256 a[2] = {half_load(scale + block), half_load(scale + block + 8)};
        const __m256 b[2] = {half_load(shift + block), half_load(shift + block + 8)};
        for (int p = 0; p < n_pixels; p += 2, src += 32, add += 32, dst += 32) {
            UNROLL for (int i = 0; i < 4; i++) {
                const __m256 normalised = half_fma(half_load(src + i * 8), a[i % 2], b[i % 2]);
                half_store(dst + i * 8, half_relu(half_add(normalised, half_load(add + i * 8))));
            }
        }
    }
}

void avx2_bn_backward(int c, int n_pixels, const float *diff, const float *src, const float *a,
                      const float *b, const float *k, float *dst) {
    for (int block = 0; block < c; block += 16) {
        const __m256 half_a[2] = {half_load(a + block), half_load(a + block + 8)};
        const __m256 half_b[2] = {half_load(b + block), half_load(b + block + 8)};
        const __m256 half_k[2] = {half_load(k + block), half_load(k + block + 8)};
        for (int p = 0; p < n_pixels; p += 2, diff += 32, src += 32, dst += 32) {
            UNROLL for (int i = 0; i < 4; i++) {
                const __m256 rest = half_fma(half_b[i % 2], half_load(src + i * 8), half_k[i % 2]);
                half_store(dst + i * 8, half_fma(half_a[i % 2], half_load(diff + i * 8), rest));
            }
        }
    }
}

/* Four pixels of 8 channels. add: NULL or as in kernels.h. */
INLINE void relu_backward_four(const float *diff, const float *add, const float *act,
                               const float *src, float *dst, struct pair_of_sums *sums) {
    __m256 value[4];
    __m256 source[4];
    UNROLL for (int i = 0; i < 4; i++) {
        value[i] = half_load(diff + i * 16);
        if (add) {
            value[i] = half_add(value[i], half_load(add + i * 16));
        }
        const __m256 passed = _mm256_cmp_ps(half_load(act + i * 16), half_zero(), _CMP_GT_OQ);
        value[i] = _mm256_and_ps(value[i], passed);
        source[i] = half_load(src + i * 16);
        half_store(dst + i * 16, value[i]);
    }
    add_four_pixels(sums, value, source);
}

INLINE void relu_backward(int c, int n_pixels, const float *diff, const float *add,
                          const float *act, const float *src, float *dst, double *sum,
                          double *sum_src) {
    ptrdiff_t at = 0;
    for (int block = 0; block < c; block += 16) {
        struct pair_of_sums sums[2] = {{sums_zero(), sums_zero()}, {sums_zero(), sums_zero()}};
        for (int p = 0; p < n_pixels; p += 4, at += 64) {
            UNROLL for (int h = 0; h < 2; h++) {
                const ptrdiff_t half = at + h * 8;
                relu_backward_four(diff + half, add ? add + half : NULL, act + half, src + half,
                                   dst + half, &sums[h]);
            }
        }
        sums_flush(sums[0].sum, sums[1].sum, sum + block);
        sums_flush(sums[0].product, sums[1].product, sum_src + block);
    }
}

void avx2_relu_backward(int c, int n_pixels, const float *diff, const float *add, const float *act,
                        const float *src, float *dst, double *sum, double *sum_src) {
    if (add) {
        relu_backward(c, n_pixels, diff, add, act, src, dst, sum, sum_src);
    } else {
        relu_backward(c, n_pixels, diff, NULL, act, src, dst, sum, sum_src);
    }
}

#endif
