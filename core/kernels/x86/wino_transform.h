/* The one-dimensional transforms of Winograd's F(4,3): 4 outputs of a 3-tap filter from 6 inputs
 * with 6 multiplications instead of 12, with the interpolation points 0, 1, -1, 2, -2 and infinity.
 *
 * Layer: core/kernels. All work on registers of channels (vec.h). A two-dimensional transform
 * applies one of these to the columns of a tile and then to its rows.
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
#ifndef CUTOUTD_CORE_KERNELS_X86_WINO_TRANSFORM_H
#define CUTOUTD_CORE_KERNELS_X86_WINO_TRANSFORM_H

#include "core/kernels/x86/vec.h"

/* Tile sizes. */
enum { WINO_OUT = 4, WINO_IN = 6, WINO_TAPS = 3 };

/* Rows of B^T and of A in pairs that share their halves, and of A^T likewise. A two-dimensional
 * transform takes one pair of rows of a tile's columns at a time: twelve values that stay in
 * registers, where all 36 would not. */
enum { WINO_IN_PAIRS = 3, WINO_OUT_PAIRS = 2 };

INLINE int wino_in_row(int pair, int i) {
    return pair == 0 ? 5 * i : 2 * pair - 1 + i;
}

INLINE int wino_out_row(int pair, int i) {
    return pair + 2 * i;
}

/* Rows wino_in_row(pair, 0) and (pair, 1) of B^T. */
INLINE void wino_input_pair(int pair, const vec d[WINO_IN], vec v[2]) {
    if (pair == 0) {
        v[0] = vec_fma(vec_of(4.0F), vec_sub(d[0], d[2]), vec_sub(d[4], d[2]));
        v[1] = vec_fma(vec_of(-4.0F), vec_sub(d[3], d[1]), vec_sub(d[5], d[3]));
    } else if (pair == 1) {
        const vec even = vec_fma(vec_of(-4.0F), d[2], d[4]);
        const vec odd = vec_fma(vec_of(-4.0F), d[1], d[3]);
        v[0] = vec_add(even, odd);
        v[1] = vec_sub(even, odd);
    } else {
        const vec even = vec_sub(d[4], d[2]);
        const vec half_odd = vec_sub(d[3], d[1]);
        v[0] = vec_fma(vec_of(2.0F), half_odd, even);
        v[1] = vec_fma(vec_of(-2.0F), half_odd, even);
    }
}

/* Rows wino_out_row(pair, 0) and (pair, 1) of A^T. */
INLINE void wino_output_pair(int pair, const vec m[WINO_IN], vec y[2]) {
    if (pair == 0) {
        const vec sum1 = vec_add(m[1], m[2]);
        const vec sum2 = vec_add(m[3], m[4]);
        y[0] = vec_add(m[0], vec_add(sum1, sum2));
        y[1] = vec_fma(vec_of(4.0F), sum2, sum1);
    } else {
        const vec difference1 = vec_sub(m[1], m[2]);
        const vec difference2 = vec_sub(m[3], m[4]);
        y[0] = vec_fma(vec_of(2.0F), difference2, difference1);
        y[1] = vec_add(m[5], vec_fma(vec_of(8.0F), difference2, difference1));
    }
}

/* Rows wino_in_row(pair, 0) and (pair, 1) of A. */
INLINE void wino_gradient_pair(int pair, const vec y[WINO_OUT], vec z[2]) {
    if (pair == 0) {
        z[0] = y[0];
        z[1] = y[3];
    } else if (pair == 1) {
        const vec even = vec_add(y[0], y[2]);
        const vec odd = vec_add(y[1], y[3]);
        z[0] = vec_add(even, odd);
        z[1] = vec_sub(even, odd);
    } else {
        const vec even = vec_fma(vec_of(4.0F), y[2], y[0]);
        const vec half_odd = vec_fma(vec_of(4.0F), y[3], y[1]);
        z[0] = vec_fma(vec_of(2.0F), half_odd, even);
        z[1] = vec_fma(vec_of(-2.0F), half_odd, even);
    }
}

/* G */
INLINE void wino_weights(const vec w[WINO_TAPS], vec u[WINO_IN]) {
    const vec even1 = vec_mul(vec_of(-1.0F / 6.0F), vec_add(w[0], w[2]));
    const vec odd1 = vec_mul(vec_of(-1.0F / 6.0F), w[1]);
    const vec even2 = vec_fma(vec_of(1.0F / 24.0F), w[0], vec_mul(vec_of(1.0F / 6.0F), w[2]));
    const vec odd2 = vec_mul(vec_of(1.0F / 12.0F), w[1]);
    u[0] = vec_mul(vec_of(0.25F), w[0]);
    u[1] = vec_add(even1, odd1);
    u[2] = vec_sub(even1, odd1);
    u[3] = vec_add(even2, odd2);
    u[4] = vec_sub(even2, odd2);
    u[5] = w[2];
}

/* G^T */
INLINE void wino_weights_gradient(const vec du[WINO_IN], vec dw[WINO_TAPS]) {
    const vec sum1 = vec_add(du[1], du[2]);
    const vec difference1 = vec_sub(du[2], du[1]);
    const vec sum2 = vec_add(du[3], du[4]);
    const vec difference2 = vec_sub(du[3], du[4]);
    const vec sixth = vec_of(1.0F / 6.0F);
    const vec minus_sixth = vec_of(-1.0F / 6.0F);
    dw[0] = vec_fma(vec_of(0.25F), du[0],
                    vec_fma(minus_sixth, sum1, vec_mul(vec_of(1.0F / 24.0F), sum2)));
    dw[1] = vec_fma(sixth, difference1, vec_mul(vec_of(1.0F / 12.0F), difference2));
    dw[2] = vec_add(du[5], vec_fma(minus_sixth, sum1, vec_mul(sixth, sum2)));
}

#endif
