/* Direct weight gradients of the 3x3 convolutions.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h. Included by one file an instruction
 * set, which then names the functions with WEIGHTS3X3_DEFINE.
 *
 * The result is small and the pixels are many, so a tile of the result stays in registers while the
 * pixels of the image pass by. With stride 1 three registers of the output's gradient roll along,
 * so that each source value is broadcast once and used three times:
 *
 *      diff_dst   ...  [left] [here] [right] ...        one step to the right = one new load
 *      src                     s[p]
 *
 *      tile[ic][kw] += s[p][ic] * {right, here, left}[kw]
 *
 * Accumulator: as pack.h with one block: [oc / 16][ic / 16][kh][16 ic][kw][16 oc].
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_WEIGHTS3X3_H
#define CUTOUTD_CORE_KERNELS_X86_WEIGHTS3X3_H

#include "core/kernels/x86/direct.h"
#include "core/kernels/x86/vec.h"

struct conv {
    int ic;
    int oc;
    int side; /* of the output */
    int stride;
    int rows; /* output rows between two visits of the same tile: what L1 holds */
};

/* A tile: source channels x columns of the window x registers of a line out. With AVX-512 24 sums,
 * with AVX2 12: half a line where three registers roll along, a whole one where nothing does. */
enum { MAX_TILE_CHANNELS = 8, MAX_TILE_VECS = 2 };

typedef vec tile_registers[MAX_TILE_CHANNELS][3][MAX_TILE_VECS];

INLINE int tile_vecs(struct conv c) {
    return c.stride == 2 ? LINE_VECS : 1;
}

INLINE int tile_channels(struct conv c) {
    return c.ic < 16 ? 3 : VEC_FLOATS / 2 / tile_vecs(c);
}

/* Images between two visits of a tile. More than 1 only where a visit takes all rows, so that a sum
 * is in the order of the images. */
INLINE int group_images(struct conv c) {
    return VEC_FLOATS == 16 && c.ic == 64 ? 2 : 1;
}

INLINE int pixel_floats(struct conv c) {
    return c.ic < 16 ? 4 : 16;
}

INLINE int src_side(struct conv c) {
    return c.side * c.stride;
}

/* Stride 1, source pixel s: window column kw takes it to output pixel p + 1 - kw. */
INLINE void add_pixel(struct conv c, tile_registers tile, const float *s, bool first, bool last,
                      vec left, vec here, vec right) {
    UNROLL for (int ic = 0; ic < tile_channels(c); ic++) {
        const vec value = vec_of(s[ic]);
        if (!first) {
            tile[ic][2][0] = vec_fma(value, left, tile[ic][2][0]);
        }
        tile[ic][1][0] = vec_fma(value, here, tile[ic][1][0]);
        if (!last) {
            tile[ic][0][0] = vec_fma(value, right, tile[ic][0][0]);
        }
    }
}

INLINE void add_row_stride1(struct conv c, tile_registers tile, const float *src,
                            const float *diff_dst) {
    vec left = vec_zero();
    vec here = vec_load(diff_dst);
    vec right = vec_load(diff_dst + 16);
    add_pixel(c, tile, src, true, false, left, here, right);
    UNROLL_BY_3 for (int p = 1; p < c.side - 1; p++) {
        left = here;
        here = right;
        right = vec_load(diff_dst + (p + 1) * 16);
        add_pixel(c, tile, src + p * pixel_floats(c), false, false, left, here, right);
    }
    add_pixel(c, tile, src + (c.side - 1) * pixel_floats(c), false, true, here, right, right);
}

/* Stride 2, output pixel p: saw source pixels 2p, 2p+1, 2p+2 (s), the last of a row two only. */
INLINE void add_pixel_stride2(struct conv c, tile_registers tile, const float *s, int n_columns,
                              const float *diff_dst) {
    vec diff[MAX_TILE_VECS];
    UNROLL for (int v = 0; v < tile_vecs(c); v++) {
        diff[v] = vec_load(diff_dst + v * VEC_FLOATS);
    }
    UNROLL for (int ic = 0; ic < tile_channels(c); ic++) {
        UNROLL for (int kw = 0; kw < n_columns; kw++) {
            const vec value = vec_of(s[kw * 16 + ic]);
            UNROLL for (int v = 0; v < tile_vecs(c); v++) {
                tile[ic][kw][v] = vec_fma(diff[v], value, tile[ic][kw][v]);
            }
        }
    }
}

INLINE void add_row_stride2(struct conv c, tile_registers tile, const float *src,
                            const float *diff_dst) {
    NO_UNROLL for (int p = 0; p < c.side - 1; p++, src += 32, diff_dst += 16) {
        add_pixel_stride2(c, tile, src, 3, diff_dst);
    }
    add_pixel_stride2(c, tile, src, 2, diff_dst);
}

/* Output rows oh .. oh_end of n images into one tile. */
INLINE void tile_add(struct conv c, int kh, int oh, int oh_end, int n, const float *src,
                     const float *diff_dst, bool set, float *accumulator) {
    const int src_row = src_side(c) * pixel_floats(c);
    const int src_image = c.ic < 16 ? src_side(c) * src_row : src_side(c) * src_side(c) * c.ic;
    tile_registers tile;
    UNROLL for (int i = 0; i < tile_channels(c) * 3; i++) {
        UNROLL for (int v = 0; v < tile_vecs(c); v++) {
            const float *at = accumulator + i * 16 + v * VEC_FLOATS;
            tile[i / 3][i % 3][v] = set ? vec_zero() : vec_load(at);
        }
    }
    for (int i = 0; i < n; i++) {
        for (int row = oh; row < oh_end; row++) {
            const float *diff = diff_dst + i * c.side * c.side * c.oc + row * c.side * 16;
            if (c.stride == 1) {
                add_row_stride1(c, tile, src + i * src_image + (row + kh - 1) * src_row, diff);
            } else {
                add_row_stride2(c, tile, src + i * src_image + (2 * row + kh) * src_row, diff);
            }
        }
    }
    UNROLL for (int i = 0; i < tile_channels(c) * 3; i++) {
        UNROLL for (int v = 0; v < tile_vecs(c); v++) {
            vec_store(accumulator + i * 16 + v * VEC_FLOATS, tile[i / 3][i % 3][v]);
        }
    }
}

/* Output rows oh .. oh_end of n images into all tiles of one pair of 16-channel blocks. */
INLINE void block_add(struct conv c, int oh, int oh_end, int n, const float *src,
                      const float *diff_dst, bool set, float *accumulator) {
    const int slice_channels = c.ic < 16 ? 3 : 16;
    for (int kh = 0; kh < 3; kh++) {
        /* Rows whose source row lies inside the image. */
        int begin = c.stride == 1 && kh == 0 && oh == 0 ? 1 : oh;
        int end = kh == 2 && oh_end == c.side ? c.side - 1 : oh_end;
        for (int ic = 0; ic < slice_channels; ic += tile_channels(c)) {
            float *to = accumulator + (kh * slice_channels + ic) * 3 * 16;
            for (int oc = 0; oc < 16; oc += tile_vecs(c) * VEC_FLOATS) {
                tile_add(c, kh, begin, end, n, src + ic, diff_dst + oc, set, to + oc);
            }
        }
    }
}

INLINE void images_add(struct conv c, int n_images, const float *src, const float *diff_dst,
                       float *accumulator, bool first) {
    const int in_blocks = c.ic < 16 ? 1 : c.ic / 16;
    const int src_plane = src_side(c) * src_side(c) * pixel_floats(c);
    const int dst_plane = c.side * c.side * 16;
    const int slice = 9 * (c.ic < 16 ? 3 : 16) * 16;
    for (int image = 0; image < n_images; image += group_images(c)) {
        int n = n_images - image < group_images(c) ? n_images - image : group_images(c);
        for (int oh = 0; oh < c.side; oh += c.rows) {
            bool set = first && image == 0 && oh == 0;
            float *a = accumulator;
            for (int ob = 0; ob < c.oc / 16; ob++) {
                for (int ib = 0; ib < in_blocks; ib++, a += slice) {
                    block_add(c, oh, oh + c.rows, n, src + ib * src_plane,
                              diff_dst + ob * dst_plane, set, a);
                }
            }
        }
        src += n * in_blocks * src_plane;
        diff_dst += n * (c.oc / 16) * dst_plane;
    }
}

#define WEIGHTS3X3(variant, name, ...)                                                             \
    CONV_WEIGHTS_ADD(variant##_##name##_weights_add) {                                             \
        const struct conv c = {__VA_ARGS__};                                                       \
        CONV_WEIGHTS_ADD_BEGIN(c.ic, c.oc);                                                        \
        images_add(c, n_images, src, diff_dst, accumulator, first);                                \
    }

#define WEIGHTS3X3_DEFINE(variant)                                                                 \
    WEIGHTS3X3(variant, stem, .ic = 3, .oc = 16, .side = 32, .stride = 1, .rows = 32)              \
    WEIGHTS3X3(variant, conv16, .ic = 16, .oc = 16, .side = 32, .stride = 1, .rows = 8)            \
    WEIGHTS3X3(variant, conv32, .ic = 32, .oc = 32, .side = 16, .stride = 1, .rows = 16)           \
    WEIGHTS3X3(variant, conv64, .ic = 64, .oc = 64, .side = 8, .stride = 1, .rows = 8)             \
    WEIGHTS3X3(variant, down32, .ic = 16, .oc = 32, .side = 16, .stride = 2, .rows = 16)           \
    WEIGHTS3X3(variant, down64, .ic = 32, .oc = 64, .side = 8, .stride = 2, .rows = 8)

#endif
