/* The one-dimensional transforms of Winograd's F(4,3): 4 outputs of a 3-tap filter from 6 inputs
 * with 6 multiplications instead of 12, with the interpolation points 0, 1, -1, 2, -2 and infinity.
 *
 * Layer: core/kernels. All work on lines, 16 channels at once. A two-dimensional transform applies
 * one of these to the columns of a tile and then to its rows.
 *
 *     forward:          dst = A^T [ (G w) * (B^T src) ]            src: 6, w: 3, dst: 4
 *     weight gradient:  diff_w = G^T [ (B^T src) * (A diff_dst) ]  the exact adjoint in w
 *
 *           |  4  0 -5  0  1  0 |         |   1/4     0     0  |
 *           |  0 -4 -4  1  1  0 |         |  -1/6  -1/6  -1/6  |         | 1  1  1  1  1  0 |
 *     B^T = |  0  4 -4 -1  1  0 |     G = |  -1/6   1/6  -1/6  |   A^T = | 0  1 -1  2 -2  0 |
 *           |  0 -2 -1  2  1  0 |         |  1/24  1/12   1/6  |         | 0  1  1  4  4  0 |
 *           |  0  2 -1 -2  1  0 |         |  1/24 -1/12   1/6  |         | 0  1 -1  8 -8  1 |
 *           |  0  4  0 -5  0  1 |         |     0     0     1  |
 *
 * Rows come in pairs that differ in the signs of their odd part; each pair shares its two halves.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_AVX512_WINO_TRANSFORM_H
#define CUTOUTD_CORE_KERNELS_X86_AVX512_WINO_TRANSFORM_H

#include "core/kernels/x86/avx512_line.h"

/* Tile sizes. */
enum { WINO_OUT = 4, WINO_IN = 6, WINO_TAPS = 3 };

/* B^T */
INLINE void wino_input(const __m512 d[WINO_IN], __m512 v[WINO_IN]) {
    const __m512 even1 = line_fma(line_of(-4.0F), d[2], d[4]);
    const __m512 odd1 = line_fma(line_of(-4.0F), d[1], d[3]);
    const __m512 even2 = line_sub(d[4], d[2]);
    const __m512 odd2 = line_mul(line_of(2.0F), line_sub(d[3], d[1]));
    v[0] = line_fma(line_of(4.0F), d[0], line_fma(line_of(-5.0F), d[2], d[4]));
    v[1] = line_add(even1, odd1);
    v[2] = line_sub(even1, odd1);
    v[3] = line_add(even2, odd2);
    v[4] = line_sub(even2, odd2);
    v[5] = line_fma(line_of(4.0F), d[1], line_fma(line_of(-5.0F), d[3], d[5]));
}

/* A^T */
INLINE void wino_output(const __m512 m[WINO_IN], __m512 y[WINO_OUT]) {
    const __m512 sum1 = line_add(m[1], m[2]);
    const __m512 difference1 = line_sub(m[1], m[2]);
    const __m512 sum2 = line_add(m[3], m[4]);
    const __m512 difference2 = line_sub(m[3], m[4]);
    y[0] = line_add(m[0], line_add(sum1, sum2));
    y[1] = line_fma(line_of(2.0F), difference2, difference1);
    y[2] = line_fma(line_of(4.0F), sum2, sum1);
    y[3] = line_add(m[5], line_fma(line_of(8.0F), difference2, difference1));
}

/* A */
INLINE void wino_gradient(const __m512 y[WINO_OUT], __m512 z[WINO_IN]) {
    const __m512 even1 = line_add(y[0], y[2]);
    const __m512 odd1 = line_add(y[1], y[3]);
    const __m512 even2 = line_fma(line_of(4.0F), y[2], y[0]);
    const __m512 odd2 = line_mul(line_of(2.0F), line_fma(line_of(4.0F), y[3], y[1]));
    z[0] = y[0];
    z[1] = line_add(even1, odd1);
    z[2] = line_sub(even1, odd1);
    z[3] = line_add(even2, odd2);
    z[4] = line_sub(even2, odd2);
    z[5] = y[3];
}

/* G */
INLINE void wino_weights(const __m512 w[WINO_TAPS], __m512 u[WINO_IN]) {
    const __m512 even1 = line_mul(line_of(-1.0F / 6.0F), line_add(w[0], w[2]));
    const __m512 odd1 = line_mul(line_of(-1.0F / 6.0F), w[1]);
    const __m512 even2 =
        line_fma(line_of(1.0F / 24.0F), w[0], line_mul(line_of(1.0F / 6.0F), w[2]));
    const __m512 odd2 = line_mul(line_of(1.0F / 12.0F), w[1]);
    u[0] = line_mul(line_of(0.25F), w[0]);
    u[1] = line_add(even1, odd1);
    u[2] = line_sub(even1, odd1);
    u[3] = line_add(even2, odd2);
    u[4] = line_sub(even2, odd2);
    u[5] = w[2];
}

/* G^T */
INLINE void wino_weights_gradient(const __m512 du[WINO_IN], __m512 dw[WINO_TAPS]) {
    const __m512 sum1 = line_add(du[1], du[2]);
    const __m512 difference1 = line_sub(du[2], du[1]);
    const __m512 sum2 = line_add(du[3], du[4]);
    const __m512 difference2 = line_sub(du[3], du[4]);
    const __m512 sixth = line_of(1.0F / 6.0F);
    const __m512 minus_sixth = line_of(-1.0F / 6.0F);
    dw[0] = line_fma(line_of(0.25F), du[0],
                     line_fma(minus_sixth, sum1, line_mul(line_of(1.0F / 24.0F), sum2)));
    dw[1] = line_fma(sixth, difference1, line_mul(line_of(1.0F / 12.0F), difference2));
    dw[2] = line_add(du[5], line_fma(minus_sixth, sum1, line_mul(sixth, sum2)));
}

#endif
