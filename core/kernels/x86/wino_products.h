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

/* Where the weight of a pair of channels lies in a plane of u or du: column blocks of the width of
 * a register tile follow each other, so that a tile reads successive lines. */
INLINE int weight_offset(int c, int in, int out) {
    const int columns = product_columns(c);
    return (out / columns * c + in) * columns + out % columns;
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
 * a: the rows' values, `a_row` floats apart, the next ones `a_depth` further on; b: the lines, the
 * next one `b_depth` further on. */
INLINE void product_tile(int vecs, int rows, int depth, vec sum[16], const float *a, int a_row,
                         int a_depth, const float *b, int b_depth) {
    UNROLL_BY_2 for (int k = 0; k < depth; k++, a += a_depth, b += b_depth) {
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

/* n_tiles: a multiple of forward_rows. Plane k + 1 of `planes` holds v, plane k gets the products:
 * what is overwritten was read before. */
INLINE void products_forward(struct wino w, int n_tiles, float *planes, const float *u,
                             struct prefetch_cursor *prefetch) {
    const int rows = forward_rows(w);
    const int vecs = product_vecs(w.c);
    const int columns = product_columns(w.c);
    for (int plane = 0; plane < WINO_PLANES; plane++, planes += plane_floats(w)) {
        const float *v = planes + plane_floats(w);
        NO_UNROLL for (int column = 0; column < w.c; column += columns) {
            NO_UNROLL for (int tile = 0; tile < n_tiles; tile += rows) {
                vec sum[16];
                UNROLL for (int i = 0; i < rows * vecs; i++) {
                    sum[i] = vec_zero();
                }
                prefetch_step(prefetch);
                product_tile(vecs, rows, w.c, sum, v + tile * w.c, w.c, 1, u + column * w.c,
                             columns);
                UNROLL for (int i = 0; i < rows * vecs; i++) {
                    vec_store(planes + (tile + i / vecs) * w.c + column + i % vecs * VEC_FLOATS,
                              sum[i]);
                }
            }
        }
        u += wino_weight_plane(w.c);
    }
}

/* set: du is set instead of added to. */
INLINE void products_weights(struct wino w, int n_tiles, const float *v, const float *z, float *du,
                             bool set, struct prefetch_cursor *prefetch) {
    const int rows = weights_rows(w.c);
    const int vecs = product_vecs(w.c);
    const int columns = product_columns(w.c);
    for (int plane = 0; plane < WINO_PLANES; plane++) {
        NO_UNROLL for (int column = 0; column < w.c; column += columns) {
            NO_UNROLL for (int ic = 0; ic < w.c; ic += rows, du += rows * columns) {
                vec sum[16];
                UNROLL for (int i = 0; i < rows * vecs; i++) {
                    sum[i] = set ? vec_zero() : vec_load(du + i * VEC_FLOATS);
                }
                prefetch_step(prefetch);
                product_tile(vecs, rows, n_tiles, sum, v + ic, 1, w.c, z + column, w.c);
                UNROLL for (int i = 0; i < rows * vecs; i++) {
                    vec_store(du + i * VEC_FLOATS, sum[i]);
                }
            }
        }
        v += plane_floats(w);
        z += plane_floats(w);
        du += wino_weight_plane(w.c) - w.c * w.c;
    }
}

#endif
