/* Half a line: 8 floats in one AVX register, in this project 8 channels of one pixel.
 *
 * Layer: core/kernels. Loads and stores take any address.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_AVX2_HALF_H
#define CUTOUTD_CORE_KERNELS_X86_AVX2_HALF_H

#include <immintrin.h>
#include <stdbool.h>

#include "core/kernels/x86/inline.h"

INLINE __m256 half_load(const float *from) {
    return _mm256_loadu_ps(from);
}

INLINE void half_store(float *to, __m256 half) {
    _mm256_storeu_ps(to, half);
}

INLINE __m256 half_zero(void) {
    return _mm256_setzero_ps();
}

/* The value at `from` in all 8 lanes. */
INLINE __m256 half_of(const float *from) {
    return _mm256_broadcast_ss(from);
}

INLINE __m256 half_add(__m256 a, __m256 b) {
    return _mm256_add_ps(a, b);
}

INLINE __m256 half_mul(__m256 a, __m256 b) {
    return _mm256_mul_ps(a, b);
}

/* a * b + c, rounded once. */
INLINE __m256 half_fma(__m256 a, __m256 b, __m256 c) {
    return _mm256_fmadd_ps(a, b, c);
}

#endif
