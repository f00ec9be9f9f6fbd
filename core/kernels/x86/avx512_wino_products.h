/* Winograd: the 36 small matrix products, which are where the time should go.
 *
 * Layer: core/kernels. Everything is inlined with constant sizes into avx512_wino.c.
 *
 *     products_forward:   v[tile][oc]   = sum over ic of v[tile][ic] * u[ic][oc]
 *     products_weights:   du[ic][oc] (+)= sum over tiles of v[tile][ic] * z[tile][oc]
 *
 * A register tile is 16 lines: 16 rows x 16 columns for 16 channels, 8 x 32 for 32, 4 x 64 for 64.
 * It is as wide as the matrix, so forward has read all of its rows of v when it is done and puts
 * the products in their place.
 * Between register tiles a few lines of what comes next are fetched into L2.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_AVX512_WINO_PRODUCTS_H
#define CUTOUTD_CORE_KERNELS_X86_AVX512_WINO_PRODUCTS_H

#include "core/kernels/x86/avx512_wino_tiles.h"
#include "core/kernels/x86/prefetch.h"

/* Lines of a register tile in a row, and rows. A strip of 16 channels has only 8 tiles. */
INLINE int product_blocks(int c) {
    return c / 16;
}

INLINE int weights_rows(int c) {
    return 256 / c;
}

INLINE int forward_rows(struct wino w) {
    return w.rows < w.side ? strip_tiles(w) : 256 / w.c;
}

/* sum[row][block] += a[row] * b[block], `depth` times.
 * a: the rows' values, `a_row` floats apart, the next ones `a_depth` further on; b: [depth][c]. */
INLINE void product_tile(int c, int rows, int depth, __m512 sum[16], const float *a, int a_row,
                         int a_depth, const float *b) {
    const int blocks = product_blocks(c);
    UNROLL_BY_2 for (int k = 0; k < depth; k++, a += a_depth, b += c) {
        __m512 line[4];
        UNROLL for (int j = 0; j < blocks; j++) {
            line[j] = line_load(b + j * 16);
        }
        UNROLL for (int i = 0; i < rows; i++) {
            const __m512 value = line_of(a[i * a_row]);
            UNROLL for (int j = 0; j < blocks; j++) {
                sum[i * blocks + j] = line_fma(value, line[j], sum[i * blocks + j]);
            }
        }
    }
}

/* n_tiles: a multiple of forward_rows. */
INLINE void products_forward(struct wino w, int n_tiles, float *v, const float *u,
                             struct prefetch_cursor *prefetch) {
    for (int plane = 0; plane < WINO_PLANES; plane++) {
        for (int tile = 0; tile < n_tiles; tile += forward_rows(w)) {
            const int lines = forward_rows(w) * product_blocks(w.c);
            __m512 sum[16];
            UNROLL for (int i = 0; i < lines; i++) {
                sum[i] = line_zero();
            }
            prefetch_step(prefetch);
            product_tile(w.c, forward_rows(w), w.c, sum, v + tile * w.c, w.c, 1, u);
            UNROLL for (int i = 0; i < lines; i++) {
                line_store(v + tile * w.c + i * 16, sum[i]);
            }
        }
        v += plane_floats(w);
        u += wino_weight_plane(w.c);
    }
}

/* set: du is set instead of added to. */
INLINE void products_weights(struct wino w, int n_tiles, const float *v, const float *z, float *du,
                             bool set, struct prefetch_cursor *prefetch) {
    for (int plane = 0; plane < WINO_PLANES; plane++) {
        for (int ic = 0; ic < w.c; ic += weights_rows(w.c), du += 256) {
            __m512 sum[16];
            UNROLL for (int i = 0; i < 16; i++) {
                sum[i] = set ? line_zero() : line_load(du + i * 16);
            }
            prefetch_step(prefetch);
            product_tile(w.c, weights_rows(w.c), n_tiles, sum, v + ic, 1, w.c, z);
            UNROLL for (int i = 0; i < 16; i++) {
                line_store(du + i * 16, sum[i]);
            }
        }
        v += plane_floats(w);
        z += plane_floats(w);
        du += wino_weight_plane(w.c) - w.c * w.c;
    }
}

#endif
