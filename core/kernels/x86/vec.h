/* A register of floats as wide as the instruction set of the file that includes this: 16 with
 * AVX-512, 8 with AVX2. All arithmetic of both variants is written in it, once.
 *
 * In memory a line is 16 channels of one pixel (core/kernels/README.md): one register or two.
 *
 * Layer: core/kernels; only files compiled for one of the two include this. Loads and stores take
 * any address; aligned ones are faster.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_VEC_H
#define CUTOUTD_CORE_KERNELS_X86_VEC_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/kernels/x86/inline.h"

#if defined(__AVX512F__)

typedef __m512 vec;
typedef __m512d vec_double; /* half as many doubles */
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

/* max(0, v). The instruction returns its second operand where one is NaN: v must be that. */
INLINE vec vec_relu(vec v) {
    return _mm512_max_ps(vec_zero(), v);
}

/* The lanes of v where x > 0; NaN where x or v is; 0 in the others. */
INLINE vec vec_where_positive(vec x, vec v) {
    const vec masked = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, vec_zero(), _CMP_GT_OQ), v);
    const vec all_bits = _mm512_castsi512_ps(_mm512_set1_epi32(-1)); /* a NaN */
    return _mm512_mask_mov_ps(masked, _mm512_cmp_ps_mask(x, v, _CMP_UNORD_Q), all_bits);
}

/* from[0], from[distance], from[2 * distance], ... */
INLINE vec vec_gather(const float *from, int distance) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_i32gather_ps(_mm512_mullo_epi32(lanes, _mm512_set1_epi32(distance)), from, 4);
}

/* The lower and the upper half of v as doubles. */
INLINE vec_double vec_low(vec v) {
    return _mm512_cvtps_pd(_mm512_castps512_ps256(v));
}

INLINE vec_double vec_high(vec v) {
    return _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
}

INLINE vec_double vec_double_zero(void) {
    return _mm512_setzero_pd();
}

INLINE vec_double vec_double_add(vec_double a, vec_double b) {
    return _mm512_add_pd(a, b);
}

/* to[] += v */
INLINE void vec_double_add_to(double *to, vec_double v) {
    _mm512_storeu_pd(to, _mm512_add_pd(_mm512_loadu_pd(to), v));
}

/* Past the caches; `to` is aligned to the register. */
INLINE void vec_stream(float *to, vec v) {
    _mm512_stream_ps(to, v);
}

/* To the nearest bfloat16, ties to even: the upper half of a float. NaN stays NaN. */
INLINE vec vec_round_bf16(vec v) {
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i sum = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    const __m512i nan = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    const __m512i rounded = _mm512_mask_mov_epi32(sum, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), nan);
    return _mm512_castsi512_ps(_mm512_and_si512(rounded, _mm512_set1_epi32((int)0xffff0000U)));
}

INLINE vec vec_load_bf16(const uint16_t *from) {
    const __m256i halves = _mm256_loadu_si256((const __m256i *)(const void *)from);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

/* v is rounded. */
INLINE __m256i vec_halves(vec v) {
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(v), 16));
}

INLINE void vec_store_bf16(uint16_t *to, vec v) {
    _mm256_storeu_si256((__m256i *)(void *)to, vec_halves(v));
}

INLINE void vec_stream_bf16(uint16_t *to, vec v) {
    _mm256_stream_si256((__m256i *)(void *)to, vec_halves(v));
}

/* Makes the compiler believe that v was changed here. */
INLINE void vec_touch(vec *v) {
    __asm__ volatile("" : "+v"(*v));
}

#else

typedef __m256 vec;
typedef __m256d vec_double;
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

INLINE vec vec_relu(vec v) {
    return _mm256_max_ps(vec_zero(), v);
}

INLINE vec vec_where_positive(vec x, vec v) {
    const vec masked = _mm256_and_ps(v, _mm256_cmp_ps(x, vec_zero(), _CMP_GT_OQ));
    return _mm256_or_ps(masked, _mm256_cmp_ps(x, v, _CMP_UNORD_Q));
}

INLINE vec vec_gather(const float *from, int distance) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_i32gather_ps(from, _mm256_mullo_epi32(lanes, _mm256_set1_epi32(distance)), 4);
}

INLINE vec_double vec_low(vec v) {
    return _mm256_cvtps_pd(_mm256_castps256_ps128(v));
}

INLINE vec_double vec_high(vec v) {
    return _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
}

INLINE vec_double vec_double_zero(void) {
    return _mm256_setzero_pd();
}

INLINE vec_double vec_double_add(vec_double a, vec_double b) {
    return _mm256_add_pd(a, b);
}

INLINE void vec_double_add_to(double *to, vec_double v) {
    _mm256_storeu_pd(to, _mm256_add_pd(_mm256_loadu_pd(to), v));
}

INLINE void vec_stream(float *to, vec v) {
    _mm256_stream_ps(to, v);
}

INLINE vec vec_round_bf16(vec v) {
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i sum = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    const __m256i nan = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const vec rounded = _mm256_blendv_ps(_mm256_castsi256_ps(sum), _mm256_castsi256_ps(nan),
                                         _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    return _mm256_and_ps(rounded, _mm256_castsi256_ps(_mm256_set1_epi32((int)0xffff0000U)));
}

INLINE vec vec_load_bf16(const uint16_t *from) {
    const __m128i halves = _mm_loadu_si128((const __m128i *)(const void *)from);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

INLINE __m128i vec_halves(vec v) {
    const __m256i upper = _mm256_srli_epi32(_mm256_castps_si256(v), 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(upper), _mm256_extracti128_si256(upper, 1));
}

INLINE void vec_store_bf16(uint16_t *to, vec v) {
    _mm_storeu_si128((__m128i *)(void *)to, vec_halves(v));
}

INLINE void vec_stream_bf16(uint16_t *to, vec v) {
    _mm_stream_si128((__m128i *)(void *)to, vec_halves(v));
}

INLINE void vec_touch(vec *v) {
    __asm__ volatile("" : "+x"(*v));
}

#endif

enum { LINE_FLOATS = 16, LINE_VECS = LINE_FLOATS / VEC_FLOATS };

/* Floats from the start of an image's first plane to register v of a pixel: registers of a line lie
 * side by side, lines of further channels a plane further on. */
INLINE int vec_offset(int v, int plane) {
    return v / LINE_VECS * plane + v % LINE_VECS * VEC_FLOATS;
}

#endif
