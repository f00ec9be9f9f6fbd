/* Direct weight gradients of the 3x3 convolutions, AVX-512.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h.
 *
 * The register tile is part of the gradient itself: 8 source channels x 3 columns of the window x
 * 16 output channels = 24 lines, for one row kh of the window. It stays in registers while the
 * pixels of the image pass by. With stride 1 three lines of the output's gradient roll along, so
 * that each source value is broadcast once and used three times:
 *
 *      diff_dst   ...  [left] [here] [right] ...        one step to the right = one new load
 *      src                     s[p]                     tile[ic][kw] += s[p][ic] * {right, here,
 * left}
 *
 * Accumulator: as pack.h with one block: [oc / 16][ic / 16][kh][16 ic][kw][16 oc].
 */
#if defined(__x86_64__)

#include "core/kernels/x86/avx512.h"
#include "core/kernels/x86/avx512_line.h"

struct conv {
    int ic;
    int oc;
    int side; /* of the output */
    int stride;
    int rows;  /* output rows between two visits of the same tile: what L1 holds */
    int group; /* images between two visits; 1 unless rows == side, so that a sum is in image order
                */
};

/* Source channels of a tile: 8, or the stem's 3. */
enum { MAX_TILE_CHANNELS = 8 };

INLINE int tile_channels(struct conv c) {
    return c.ic < 16 ? 3 : 8;
}

INLINE int pixel_floats(struct conv c) {
    return c.ic < 16 ? 4 : 16;
}

INLINE int src_side(struct conv c) {
    return c.side * c.stride;
}

/* Stride 1, source pixel s: window column kw takes it to output pixel p + 1 - kw. */
INLINE void add_pixel(struct conv c, __m512 tile[MAX_TILE_CHANNELS][3], const float *s, bool first,
                      bool last, __m512 left, __m512 here, __m512 right) {
    UNROLL for (int ic = 0; ic < tile_channels(c); ic++) {
        const __m512 value = line_of(s[ic]);
        if (!first) {
            tile[ic][2] = line_fma(value, left, tile[ic][2]);
        }
        tile[ic][1] = line_fma(value, here, tile[ic][1]);
        if (!last) {
            tile[ic][0] = line_fma(value, right, tile[ic][0]);
        }
    }
}

INLINE void add_row_stride1(struct conv c, __m512 tile[MAX_TILE_CHANNELS][3], const float *src,
                            const float *diff_dst) {
    __m512 left = line_zero();
    __m512 here = line_load(diff_dst);
    __m512 right = line_load(diff_dst + 16);
    add_pixel(c, tile, src, true, false, left, here, right);
    UNROLL_BY_3 for (int p = 1; p < c.side - 1; p++) {
        left = here;
        here = right;
        right = line_load(diff_dst + (p + 1) * 16);
        add_pixel(c, tile, src + p * pixel_floats(c), false, false, left, here, right);
    }
    add_pixel(c, tile, src + (c.side - 1) * pixel_floats(c), false, true, here, right, right);
}

/* Stride 2, output pixel p: saw source pixels 2p, 2p+1, 2p+2 (s), the last of a row two only. */
INLINE void add_pixel_stride2(__m512 tile[MAX_TILE_CHANNELS][3], const float *s, int n_columns,
                              __m512 diff) {
    UNROLL for (int ic = 0; ic < 8; ic++) {
        UNROLL for (int kw = 0; kw < n_columns; kw++) {
            tile[ic][kw] = line_fma(diff, line_of(s[kw * 16 + ic]), tile[ic][kw]);
        }
    }
}

INLINE void add_row_stride2(struct conv c, __m512 tile[MAX_TILE_CHANNELS][3], const float *src,
                            const float *diff_dst) {
    NO_UNROLL for (int p = 0; p < c.side - 1; p++, src += 32, diff_dst += 16) {
        add_pixel_stride2(tile, src, 3, line_load(diff_dst));
    }
    add_pixel_stride2(tile, src, 2, line_load(diff_dst));
}

/* Output rows oh .. oh_end of n images into one tile. */
INLINE void tile_add(struct conv c, int kh, int oh, int oh_end, int n, const float *src,
                     const float *diff_dst, bool set, float *accumulator) {
    const int channels = tile_channels(c);
    const int src_row = src_side(c) * pixel_floats(c);
    const int src_image = c.ic < 16 ? src_side(c) * src_row : src_side(c) * src_side(c) * c.ic;
    __m512 tile[MAX_TILE_CHANNELS][3];
    UNROLL for (int ic = 0; ic < channels; ic++) {
        UNROLL for (int kw = 0; kw < 3; kw++) {
            tile[ic][kw] = set ? line_zero() : line_load(accumulator + (ic * 3 + kw) * 16);
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
    UNROLL for (int ic = 0; ic < channels; ic++) {
        UNROLL for (int kw = 0; kw < 3; kw++) {
            line_store(accumulator + (ic * 3 + kw) * 16, tile[ic][kw]);
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
            tile_add(c, kh, begin, end, n, src + ic, diff_dst, set,
                     accumulator + (kh * slice_channels + ic) * 3 * 16);
        }
    }
}

INLINE void images_add(struct conv c, int n_images, const float *src, const float *diff_dst,
                       float *accumulator, bool first) {
    const int in_blocks = c.ic < 16 ? 1 : c.ic / 16;
    const int src_plane = src_side(c) * src_side(c) * pixel_floats(c);
    const int dst_plane = c.side * c.side * 16;
    const int slice = 9 * (c.ic < 16 ? 3 : 16) * 16;
    for (int image = 0; image < n_images; image += c.group) {
        int n = n_images - image < c.group ? n_images - image : c.group;
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

#define WEIGHTS(name, ...)                                                                         \
    CONV_WEIGHTS_ADD(avx512_##name##_weights_add) {                                                \
        (void)plan;                                                                                \
        (void)scratch;                                                                             \
        (void)prefetch;                                                                            \
        images_add((struct conv){__VA_ARGS__}, n_images, src, diff_dst, accumulator, first);       \
    }

WEIGHTS(stem, .ic = 3, .oc = 16, .side = 32, .stride = 1, .rows = 32, .group = 1)
WEIGHTS(conv16, .ic = 16, .oc = 16, .side = 32, .stride = 1, .rows = 8, .group = 1)
WEIGHTS(conv32, .ic = 32, .oc = 32, .side = 16, .stride = 1, .rows = 16, .group = 1)
WEIGHTS(conv64, .ic = 64, .oc = 64, .side = 8, .stride = 1, .rows = 8, .group = 2)
WEIGHTS(down32, .ic = 16, .oc = 32, .side = 16, .stride = 2, .rows = 16, .group = 1)
WEIGHTS(down64, .ic = 32, .oc = 64, .side = 8, .stride = 2, .rows = 8, .group = 1)

#endif
