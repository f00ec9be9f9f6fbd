/* Batch normalisation and ReLU over one image, AVX-512.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h.
 */
#if defined(__x86_64__)

#include "core/kernels/x86/avx512.h"
#include "core/kernels/x86/avx512_line.h"

/* 16 running sums in double, in two halves. Adding single floats to doubles costs some conversions,
 * but a variance taken as E[y^2] - E[y]^2 needs every bit of it. */
struct sums {
    __m512d low;
    __m512d high;
};

INLINE struct sums sums_zero(void) {
    return (struct sums){_mm512_setzero_pd(), _mm512_setzero_pd()};
}

INLINE __m512d low_half(__m512 line) {
    return _mm512_cvtps_pd(_mm512_castps512_ps256(line));
}

INLINE __m512d high_half(__m512 line) {
    return _mm512_cvtps_pd(_mm512_extractf32x8_ps(line, 1));
}

/* sum += a; product += a * b. */
INLINE void sums_add(struct sums *sum, struct sums *product, __m512 a, __m512 b) {
    const __m512d a_low = low_half(a);
    const __m512d a_high = high_half(a);
    sum->low = _mm512_add_pd(sum->low, a_low);
    sum->high = _mm512_add_pd(sum->high, a_high);
    product->low = _mm512_fmadd_pd(a_low, low_half(b), product->low);
    product->high = _mm512_fmadd_pd(a_high, high_half(b), product->high);
}

INLINE void sums_flush(struct sums even, struct sums odd, double *total) {
    __m512d low = _mm512_add_pd(even.low, odd.low);
    __m512d high = _mm512_add_pd(even.high, odd.high);
    _mm512_storeu_pd(total, _mm512_add_pd(_mm512_loadu_pd(total), low));
    _mm512_storeu_pd(total + 8, _mm512_add_pd(_mm512_loadu_pd(total + 8), high));
}

void avx512_bn_sums(int c, int n_pixels, const float *src, double *sum, double *sum_squares) {
    for (int block = 0; block < c; block += 16) {
        struct sums s[2] = {sums_zero(), sums_zero()};
        struct sums q[2] = {sums_zero(), sums_zero()};
        for (int p = 0; p < n_pixels; p += 2, src += 32) {
            UNROLL for (int i = 0; i < 2; i++) {
                const __m512 value = line_load(src + i * 16);
                sums_add(&s[i], &q[i], value, value);
            }
        }
        sums_flush(s[0], s[1], sum + block);
        sums_flush(q[0], q[1], sum_squares + block);
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
        struct sums s[2] = {sums_zero(), sums_zero()};
        struct sums q[2] = {sums_zero(), sums_zero()};
        for (int p = 0; p < n_pixels; p += 2) {
            UNROLL for (int i = 0; i < 2; i++) {
                const ptrdiff_t at = (ptrdiff_t)(block * n_pixels) + (p + i) * 16;
                __m512 value = line_load(diff + at);
                if (add) {
                    value = line_add(value, line_load(add + at));
                }
                const __mmask16 passed =
                    _mm512_cmp_ps_mask(line_load(act + at), line_zero(), _CMP_GT_OQ);
                value = _mm512_maskz_mov_ps(passed, value);
                line_store(dst + at, value);
                sums_add(&s[i], &q[i], value, line_load(src + at));
            }
        }
        sums_flush(s[0], s[1], sum + block);
        sums_flush(q[0], q[1], sum_src + block);
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
