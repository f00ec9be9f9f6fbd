/* A register of floats as wide as the instruction set of the file that includes this: 16 with
 * AVX-512, 8 with AVX2. For code that is the same for both; a line of 16 channels is one such
 * register or two.
 *
 * Layer: core/kernels; only files compiled for one of the two include this. Loads and stores take
 * any address; aligned ones are faster.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_VEC_H
#define CUTOUTD_CORE_KERNELS_X86_VEC_H

#include <immintrin.h>
#include <stdbool.h>

#include "core/kernels/x86/inline.h"

#if defined(__AVX512F__)

typedef __m512 vec;
enum { VEC_FLOATS = 16 };

INLINE vec vec_load(const float *from) {
    return _mm512_loadu_ps(from);
}

INLINE void vec_store(float *to, vec v) {
    _mm512_storeu_ps(to, v);
}

INLINE vec vec_zero(void) {
    return _mm512_setzero_ps();
}

/* The same value in all lanes. */
INLINE vec vec_of(float value) {
    return _mm512_set1_ps(value);
}

INLINE vec vec_add(vec a, vec b) {
    return _mm512_add_ps(a, b);
}

INLINE vec vec_sub(vec a, vec b) {
    return _mm512_sub_ps(a, b);
}

INLINE vec vec_mul(vec a, vec b) {
    return _mm512_mul_ps(a, b);
}

/* a * b + c, rounded once. */
INLINE vec vec_fma(vec a, vec b, vec c) {
    return _mm512_fmadd_ps(a, b, c);
}

/* from[0], from[distance], from[2 * distance], ... */
INLINE vec vec_gather(const float *from, int distance) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_i32gather_ps(_mm512_mullo_epi32(lanes, _mm512_set1_epi32(distance)), from, 4);
}

#else

typedef __m256 vec;
enum { VEC_FLOATS = 8 };

INLINE vec vec_load(const float *from) {
    return _mm256_loadu_ps(from);
}

INLINE void vec_store(float *to, vec v) {
    _mm256_storeu_ps(to, v);
}

INLINE vec vec_zero(void) {
    return _mm256_setzero_ps();
}

INLINE vec vec_of(float value) {
    return _mm256_set1_ps(value);
}

INLINE vec vec_add(vec a, vec b) {
    return _mm256_add_ps(a, b);
}

INLINE vec vec_sub(vec a, vec b) {
    return _mm256_sub_ps(a, b);
}

INLINE vec vec_mul(vec a, vec b) {
    return _mm256_mul_ps(a, b);
}

INLINE vec vec_fma(vec a, vec b, vec c) {
    return _mm256_fmadd_ps(a, b, c);
}

INLINE vec vec_gather(const float *from, int distance) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_i32gather_ps(from, _mm256_mullo_epi32(lanes, _mm256_set1_epi32(distance)), 4);
}

#endif

#endif
