/* Winograd: the 36 small matrix products, which are where the time should go.
 *
 * Layer: core/kernels. Everything is inlined with constant sizes into wino_conv.h.
 *
 *     products_forward:   v[tile][oc]   = sum over ic of v[tile][ic] * u[ic][oc]
 *     products_weights:   du[ic][oc] (+)= sum over tiles of v[tile][ic] * z[tile][oc]
 *
 * Between register tiles a few lines of what comes next are fetched into L2.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_WINO_PRODUCTS_H
#define CUTOUTD_CORE_KERNELS_X86_WINO_PRODUCTS_H

#include "core/kernels/x86/prefetch.h"
#include "core/kernels/x86/wino_tiles.h"

/* A register tile: rows by registers in a row. 16 sums fill half of AVX-512's 32 registers and are
 * as wide as the matrix; AVX2's 16 registers hold 8 sums, 4 rows of 16 channels, beside the
 * operands. */
INLINE int product_vecs(int c) {
    return VEC_FLOATS == 16 ? c / 16 : 2;
}

INLINE int product_columns(int c) {
    return product_vecs(c) * VEC_FLOATS;
}

INLINE int weights_rows(int c) {
    return VEC_FLOATS == 16 ? 256 / c : 4;
}

/* A strip of 16 channels has only 8 tiles. */
INLINE int forward_rows(struct wino w) {
    if (VEC_FLOATS == 8) {
        return 4;
    }
    return w.rows < w.side ? strip_tiles(w) : 256 / w.c;
}

/* Register tiles, that is calls of prefetch_step, of the products. */
INLINE int forward_steps(struct wino w, int n_tiles) {
    return WINO_PLANES * (n_tiles / forward_rows(w)) * (w.c / product_columns(w.c));
}

INLINE int weights_steps(struct wino w) {
    return WINO_PLANES * (w.c / weights_rows(w.c)) * (w.c / product_columns(w.c));
}

/* sum[row][vec] += a[row] * b[vec], `depth` times.
 * a: the rows' values, `a_row` floats apart, the next ones `a_depth` further on; b: [depth][c]. */
INLINE void product_tile(int c, int rows, int depth, vec sum[16], const float *a, int a_row,
                         int a_depth, const float *b) {
    const int vecs = product_vecs(c);
    UNROLL_BY_2 for (int k = 0; k < depth; k++, a += a_depth, b += c) {
        vec line[4];
        UNROLL for (int j = 0; j < vecs; j++) {
            line[j] = vec_load(b + j * VEC_FLOATS);
        }
        UNROLL for (int i = 0; i < rows; i++) {
            const vec value = vec_of(a[i * a_row]);
            UNROLL for (int j = 0; j < vecs; j++) {
                sum[i * vecs + j] = vec_fma(value, line[j], sum[i * vecs + j]);
            }
        }
    }
}

/* The rows `from` times u into `to`, all columns. from and to may be the same where one register
 * tile is as wide as the matrix: it is written when all was read. */
INLINE void product_rows(struct wino w, const float *from, const float *u, float *to,
                         struct prefetch_cursor *prefetch) {
    const int rows = forward_rows(w);
    const int vecs = product_vecs(w.c);
    NO_UNROLL for (int column = 0; column < w.c; column += product_columns(w.c)) {
        vec sum[16];
        UNROLL for (int i = 0; i < rows * vecs; i++) {
            sum[i] = vec_zero();
        }
        prefetch_step(prefetch);
        product_tile(w.c, rows, w.c, sum, from, w.c, 1, u + column);
        UNROLL for (int i = 0; i < rows * vecs; i++) {
            vec_store(to + i / vecs * w.c + column + i % vecs * VEC_FLOATS, sum[i]);
        }
    }
}

/* n_tiles: a multiple of forward_rows. */
INLINE void products_forward(struct wino w, int n_tiles, float *v, const float *u,
                             struct prefetch_cursor *prefetch) {
    for (int plane = 0; plane < WINO_PLANES; plane++) {
        for (int tile = 0; tile < n_tiles; tile += forward_rows(w)) {
            float *rows = v + tile * w.c;
            if (product_columns(w.c) == w.c) {
                product_rows(w, rows, u, rows, prefetch);
            } else {
                float copy[4 * 64];
                UNROLL_BY_2 for (int i = 0; i < forward_rows(w) * w.c; i += VEC_FLOATS) {
                    vec_store(copy + i, vec_load(rows + i));
                }
                product_rows(w, copy, u, rows, prefetch);
            }
        }
        v += plane_floats(w);
        u += wino_weight_plane(w.c);
    }
}

/* set: du is set instead of added to. */
INLINE void products_weights(struct wino w, int n_tiles, const float *v, const float *z, float *du,
                             bool set, struct prefetch_cursor *prefetch) {
    const int rows = weights_rows(w.c);
    const int vecs = product_vecs(w.c);
    for (int plane = 0; plane < WINO_PLANES; plane++) {
        for (int ic = 0; ic < w.c; ic += rows, du += rows * w.c) {
            for (int column = 0; column < w.c; column += product_columns(w.c)) {
                vec sum[16];
                UNROLL for (int i = 0; i < rows * vecs; i++) {
                    const float *at = du + i / vecs * w.c + column + i % vecs * VEC_FLOATS;
                    sum[i] = set ? vec_zero() : vec_load(at);
                }
                prefetch_step(prefetch);
                product_tile(w.c, rows, n_tiles, sum, v + ic, 1, w.c, z + column);
                UNROLL for (int i = 0; i < rows * vecs; i++) {
                    vec_store(du + i / vecs * w.c + column + i % vecs * VEC_FLOATS, sum[i]);
                }
            }
        }
        v += plane_floats(w);
        z += plane_floats(w);
        du += wino_weight_plane(w.c) - w.c * w.c;
    }
}

#endif
