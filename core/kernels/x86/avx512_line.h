/* A line: 16 floats in one AVX-512 register, in this project 16 channels of one pixel.
 *
 * Layer: core/kernels. Loads and stores take any address; aligned ones are faster.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_AVX512_LINE_H
#define CUTOUTD_CORE_KERNELS_X86_AVX512_LINE_H

#include <immintrin.h>
#include <stdbool.h>

#include "core/kernels/x86/inline.h"

INLINE __m512 line_load(const float *from) {
    return _mm512_loadu_ps(from);
}

INLINE void line_store(float *to, __m512 line) {
    _mm512_storeu_ps(to, line);
}

INLINE __m512 line_zero(void) {
    return _mm512_setzero_ps();
}

/* The same value in all 16 lanes. */
INLINE __m512 line_of(float value) {
    return _mm512_set1_ps(value);
}

INLINE __m512 line_add(__m512 a, __m512 b) {
    return _mm512_add_ps(a, b);
}

INLINE __m512 line_sub(__m512 a, __m512 b) {
    return _mm512_sub_ps(a, b);
}

INLINE __m512 line_mul(__m512 a, __m512 b) {
    return _mm512_mul_ps(a, b);
}

/* a * b + c, rounded once. */
INLINE __m512 line_fma(__m512 a, __m512 b, __m512 c) {
    return _mm512_fmadd_ps(a, b, c);
}

#endif
