/* Direct 3x3 convolutions: forward of all of them, and the data gradient of those with stride 1,
 * which is the same computation with flipped and transposed weights.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h. Included by one file an instruction
 * set, which then names the functions with CONV3X3_DEFINE.
 *
 * A register tile is some neighbouring pixels of one output row by 16 or 32 output channels. For
 * each of the three rows of the source that it needs, and each of 16 source channels, one value
 * after the other is broadcast and multiplied with the weights of the three columns, each product
 * going to another of three neighbouring pixels:
 *
 *      source row, channel ic    ... s[p-1]  s[p]  s[p+1] ...
 *                                      |  \  / | \  /  |
 *      tile (registers)          ... d[p-1]  d[p]  d[p+1] ...
 *
 *      d[p] += w0 * s[p-1] + w1 * s[p] + w2 * s[p+1]
 *
 * So a value is loaded once for three multiplications of 16 or 32 channels, and the 16 source
 * channels' weights of a tile (9 to 18 KB) stay in L1. Packed weights: core/kernels/x86/pack.h.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_CONV3X3_H
#define CUTOUTD_CORE_KERNELS_X86_CONV3X3_H

#include "core/kernels/x86/direct.h"
#include "core/kernels/x86/vec.h"

struct conv {
    int ic; /* 3, or a multiple of 16 */
    int oc;
    int side; /* of the output, in pixels */
    int stride;
};

/* Blocks of 16 output channels of a register tile. */
INLINE int tile_blocks(struct conv c) {
    return VEC_FLOATS == 16 && c.oc > 16 ? WIDE_BLOCKS : 1;
}

INLINE int tile_vecs(struct conv c) {
    return tile_blocks(c) * LINE_VECS;
}

/* Pixels of a register tile: 16 sums fill half of AVX-512's 32 registers; AVX2's 16 hold 8 sums,
 * enough to keep two multipliers of 4 cycles busy, beside 6 of weights. */
INLINE int tile_pixels(struct conv c) {
    return VEC_FLOATS / tile_vecs(c);
}

/* Images that go through one slice of the weights before the next slice. */
INLINE int group_images(struct conv c) {
    return VEC_FLOATS == 16 && c.ic > 16 ? c.ic / 16 : 1;
}

/* Where a register tile lies: the outermost have no source pixel at their side (padding). */
struct edges {
    bool left;
    bool right;
};

/* Source channels of one slice of weights, and floats between neighbouring pixels. */
INLINE int slice_channels(struct conv c) {
    return c.ic < 16 ? c.ic : 16;
}

INLINE int pixel_floats(struct conv c) {
    return c.ic < 16 ? 4 : 16;
}

/* Source pixel p of the row times the weights of all columns that lead to a pixel of the tile. */
INLINE void multiply_pixel(struct conv c, vec sum[2][16], vec weights[3][2], int p, vec value) {
    UNROLL for (int kw = 0; kw < 3; kw++) {
        int distance = c.stride == 1 ? p + 1 - kw : p - kw;
        int target = distance / c.stride;
        if (distance < 0 || distance % c.stride || target >= tile_pixels(c)) {
            continue;
        }
        UNROLL for (int v = 0; v < tile_vecs(c); v++) {
            sum[v][target] = vec_fma(value, weights[kw][v], sum[v][target]);
        }
    }
}

/* One row of the source (src: the pixel above or below the tile's first) into the tile. */
INLINE void multiply_row(struct conv c, struct edges edges, vec sum[2][16], const float *src,
                         const float *weights) {
    const int first = c.stride == 1 && !edges.left ? -1 : 0;
    const int end = c.stride * tile_pixels(c) + (edges.right ? 0 : 1);
    NO_UNROLL for (int ic = 0; ic < slice_channels(c); ic++) {
        vec w[3][2];
        UNROLL for (int kw = 0; kw < 3; kw++) {
            UNROLL for (int v = 0; v < tile_vecs(c); v++) {
                w[kw][v] = vec_load(weights + (kw * tile_vecs(c) + v) * VEC_FLOATS);
            }
        }
        UNROLL for (int p = first; p < end; p++) {
            multiply_pixel(c, sum, w, p, vec_of(src[p * pixel_floats(c) + ic]));
        }
        weights += 3 * tile_blocks(c) * 16;
    }
}

/* kh .. kh_end: the rows of the window that lie inside the image. bias: where the sums start, or
 * NULL: they go on from what dst holds. */
INLINE void tile_compute(struct conv c, struct edges edges, int kh, int kh_end, const float *src,
                         const float *weights, const float *bias, float *dst) {
    const int plane = c.side * c.side * 16;
    const int src_row = c.side * c.stride * pixel_floats(c);
    vec sum[2][16];
    UNROLL for (int v = 0; v < tile_vecs(c); v++) {
        UNROLL for (int p = 0; p < tile_pixels(c); p++) {
            sum[v][p] =
                vec_load(bias ? bias + v * VEC_FLOATS : dst + vec_offset(v, plane) + p * 16);
        }
    }
    NO_UNROLL for (; kh < kh_end; kh++) {
        multiply_row(c, edges, sum, src + kh * src_row,
                     weights + kh * slice_channels(c) * 3 * tile_blocks(c) * 16);
    }
    UNROLL for (int v = 0; v < tile_vecs(c); v++) {
        UNROLL for (int p = 0; p < tile_pixels(c); p++) {
            vec_store(dst + vec_offset(v, plane) + p * 16, sum[v][p]);
        }
    }
}

/* One image, one slice of the weights. */
INLINE void slice_compute(struct conv c, const float *src, const float *weights, const float *bias,
                          float *dst) {
    const int tile = tile_pixels(c);
    const int src_row = c.side * c.stride * pixel_floats(c);
    for (int oh = 0; oh < c.side; oh++) {
        int kh = c.stride == 1 && oh == 0 ? 1 : 0;
        int kh_end = oh == c.side - 1 ? 2 : 3;
        const float *row = src + (oh * c.stride - (c.stride == 1 ? 1 : 0)) * src_row;
        float *out = dst + oh * c.side * 16;
        if (tile == c.side) {
            tile_compute(c, (struct edges){true, true}, kh, kh_end, row, weights, bias, out);
            continue;
        }
        tile_compute(c, (struct edges){true, false}, kh, kh_end, row, weights, bias, out);
        int ow = tile;
        for (; ow < c.side - tile; ow += tile) {
            tile_compute(c, (struct edges){false, false}, kh, kh_end,
                         row + ow * c.stride * pixel_floats(c), weights, bias, out + ow * 16);
        }
        tile_compute(c, (struct edges){false, true}, kh, kh_end,
                     row + ow * c.stride * pixel_floats(c), weights, bias, out + ow * 16);
    }
}

/* All images, group by group. bias NULL: adds to dst. */
INLINE void images_compute(struct conv c, int n_images, const float *src, const float *weights,
                           const float *bias, float *dst) {
    const int in_blocks = c.ic < 16 ? 1 : c.ic / 16;
    const int src_side = c.side * c.stride;
    const int src_plane = src_side * src_side * pixel_floats(c);
    const int dst_plane = c.side * c.side * 16;
    const int slice = 9 * slice_channels(c) * tile_blocks(c) * 16;
    for (int first = 0; first < n_images; first += group_images(c)) {
        int n = n_images - first < group_images(c) ? n_images - first : group_images(c);
        const float *w = weights;
        for (int ob = 0; ob < c.oc / 16; ob += tile_blocks(c)) {
            for (int ib = 0; ib < in_blocks; ib++, w += slice) {
                const float *start = ib == 0 && bias ? bias + ob * 16 : NULL;
                for (int i = 0; i < n; i++) {
                    slice_compute(c, src + (i * in_blocks + ib) * src_plane, w, start,
                                  dst + (i * (c.oc / 16) + ob) * dst_plane);
                }
            }
        }
        src += n * in_blocks * src_plane;
        dst += n * (c.oc / 16) * dst_plane;
    }
}

static const float zeros[64];

/* VARIANT_NAME_forward; and VARIANT_NAME_backward_data, where the stride is 1. */
#define CONV3X3(variant, name, ...)                                                                \
    __attribute__((noinline)) static void name(                                                    \
        int n_images, const float *src, const float *weights, const float *bias, float *dst) {     \
        images_compute((struct conv){__VA_ARGS__}, n_images, src, weights, bias, dst);             \
    }                                                                                              \
    CONV_FORWARD(variant##_##name##_forward) {                                                     \
        const struct conv c = {__VA_ARGS__};                                                       \
        CONV_FORWARD_BEGIN(c.ic, c.oc);                                                            \
        (void)c;                                                                                   \
        name(n_images, src, weights, bias ? bias : zeros, dst);                                    \
    }

#define CONV3X3_AND_GRADIENT(variant, name, ...)                                                   \
    CONV3X3(variant, name, __VA_ARGS__)                                                            \
    CONV_BACKWARD_DATA(variant##_##name##_backward_data) {                                         \
        const struct conv c = {__VA_ARGS__};                                                       \
        CONV_BACKWARD_DATA_BEGIN(c.ic, c.oc);                                                      \
        (void)c;                                                                                   \
        name(n_images, diff_dst, weights, accumulate ? NULL : zeros, diff_src);                    \
    }

#define CONV3X3_DEFINE(variant)                                                                    \
    CONV3X3(variant, stem, .ic = 3, .oc = 16, .side = 32, .stride = 1)                             \
    CONV3X3_AND_GRADIENT(variant, conv16, .ic = 16, .oc = 16, .side = 32, .stride = 1)             \
    CONV3X3_AND_GRADIENT(variant, conv32, .ic = 32, .oc = 32, .side = 16, .stride = 1)             \
    CONV3X3_AND_GRADIENT(variant, conv64, .ic = 64, .oc = 64, .side = 8, .stride = 1)              \
    CONV3X3(variant, down32, .ic = 16, .oc = 32, .side = 16, .stride = 2)                          \
    CONV3X3(variant, down64, .ic = 32, .oc = 64, .side = 8, .stride = 2)

#endif
