/* Direct weight gradients of the 3x3 convolutions, AVX2.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h.
 *
 * As avx512_weights3x3.c, in a smaller tile: 12 registers. With stride 1 that is 4 source channels
 * x 3 columns of the window x 8 output channels, while three registers of the output's gradient
 * roll along; with stride 2, where nothing rolls, 2 x 3 x 16.
 *
 * Accumulator: as pack.h with one block: [oc / 16][ic / 16][kh][16 ic][kw][16 oc].
 */
#if defined(__x86_64__)

#include "core/kernels/x86/avx2.h"
#include "core/kernels/x86/avx2_half.h"

struct conv {
    int ic;
    int oc;
    int side; /* of the output */
    int stride;
    int rows; /* output rows between two visits of the same tile: what L1 holds */
};

/* A tile: source channels (at most 4) x columns of the window x halves of a line out. */
enum { MAX_TILE_CHANNELS = 4, MAX_HALVES = 2 };

typedef __m256 tile_registers[MAX_TILE_CHANNELS][3][MAX_HALVES];

INLINE int tile_channels(struct conv c) {
    return c.stride == 2 ? 2 : c.ic < 16 ? 3 : 4;
}

INLINE int tile_halves(struct conv c) {
    return c.stride == 2 ? 2 : 1;
}

INLINE int pixel_floats(struct conv c) {
    return c.ic < 16 ? 4 : 16;
}

INLINE int src_side(struct conv c) {
    return c.side * c.stride;
}

/* Stride 1, source pixel s: window column kw takes it to output pixel p + 1 - kw. */
INLINE void add_pixel(struct conv c, tile_registers tile, const float *s, bool first, bool last,
                      __m256 left, __m256 here, __m256 right) {
    UNROLL for (int ic = 0; ic < tile_channels(c); ic++) {
        const __m256 value = half_of(s + ic);
        if (!first) {
            tile[ic][2][0] = half_fma(value, left, tile[ic][2][0]);
        }
        tile[ic][1][0] = half_fma(value, here, tile[ic][1][0]);
        if (!last) {
            tile[ic][0][0] = half_fma(value, right, tile[ic][0][0]);
        }
    }
}

INLINE void add_row_stride1(struct conv c, tile_registers tile, const float *src,
                            const float *diff_dst) {
    __m256 left = half_zero();
    __m256 here = half_load(diff_dst);
    __m256 right = half_load(diff_dst + 16);
    add_pixel(c, tile, src, true, false, left, here, right);
    UNROLL_BY_3 for (int p = 1; p < c.side - 1; p++) {
        left = here;
        here = right;
        right = half_load(diff_dst + (p + 1) * 16);
        add_pixel(c, tile, src + p * pixel_floats(c), false, false, left, here, right);
    }
    add_pixel(c, tile, src + (c.side - 1) * pixel_floats(c), false, true, here, right, right);
}

/* Stride 2, output pixel p: saw source pixels 2p, 2p+1, 2p+2 (s), the last of a row two only. */
INLINE void add_pixel_stride2(tile_registers tile, const float *s, int n_columns,
                              const float *diff_dst) {
    const __m256 diff[2] = {half_load(diff_dst), half_load(diff_dst + 8)};
    UNROLL for (int kw = 0; kw < n_columns; kw++) {
        UNROLL for (int ic = 0; ic < 2; ic++) {
            const __m256 value = half_of(s + kw * 16 + ic);
            UNROLL for (int h = 0; h < 2; h++) {
                tile[ic][kw][h] = half_fma(diff[h], value, tile[ic][kw][h]);
            }
        }
    }
}

INLINE void add_row_stride2(struct conv c, tile_registers tile, const float *src,
                            const float *diff_dst) {
    NO_UNROLL for (int p = 0; p < c.side - 1; p++, src += 32, diff_dst += 16) {
        add_pixel_stride2(tile, src, 3, diff_dst);
    }
    add_pixel_stride2(tile, src, 2, diff_dst);
}

/* Output rows oh .. oh_end of one image into one tile. */
INLINE void tile_add(struct conv c, int kh, int oh, int oh_end, const float *src,
                     const float *diff_dst, bool set, float *accumulator) {
    const int src_row = src_side(c) * pixel_floats(c);
    tile_registers tile;
    UNROLL for (int i = 0; i < tile_channels(c) * 3; i++) {
        UNROLL for (int h = 0; h < tile_halves(c); h++) {
            tile[i / 3][i % 3][h] = set ? half_zero() : half_load(accumulator + i * 16 + h * 8);
        }
    }
    for (int row = oh; row < oh_end; row++) {
        const float *diff = diff_dst + row * c.side * 16;
        if (c.stride == 1) {
            add_row_stride1(c, tile, src + (row + kh - 1) * src_row, diff);
        } else {
            add_row_stride2(c, tile, src + (2 * row + kh) * src_row, diff);
        }
    }
    UNROLL for (int i = 0; i < tile_channels(c) * 3; i++) {
        UNROLL for (int h = 0; h < tile_halves(c); h++) {
            half_store(accumulator + i * 16 + h * 8, tile[i / 3][i % 3][h]);
        }
    }
}

/* Output rows oh .. oh_end of one image into all tiles of one pair of 16-channel blocks. */
INLINE void block_add(struct conv c, int oh, int oh_end, const float *src, const float *diff_dst,
                      bool set, float *accumulator) {
    const int slice_channels = c.ic < 16 ? 3 : 16;
    for (int kh = 0; kh < 3; kh++) {
        /* Rows whose source row lies inside the image. */
        int begin = c.stride == 1 && kh == 0 && oh == 0 ? 1 : oh;
        int end = kh == 2 && oh_end == c.side ? c.side - 1 : oh_end;
        for (int ic = 0; ic < slice_channels; ic += tile_channels(c)) {
            float *to = accumulator + (kh * slice_channels + ic) * 3 * 16;
            for (int channel = 0; channel < 16; channel += 8 * tile_halves(c)) {
                tile_add(c, kh, begin, end, src + ic, diff_dst + channel, set, to + channel);
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
    for (int n = 0; n < n_images; n++) {
        for (int oh = 0; oh < c.side; oh += c.rows) {
            bool set = first && n == 0 && oh == 0;
            float *a = accumulator;
            for (int ob = 0; ob < c.oc / 16; ob++) {
                for (int ib = 0; ib < in_blocks; ib++, a += slice) {
                    block_add(c, oh, oh + c.rows, src + ib * src_plane, diff_dst + ob * dst_plane,
                              set, a);
                }
            }
        }
        src += in_blocks * src_plane;
        diff_dst += c.oc / 16 * dst_plane;
    }
}

#define WEIGHTS(name, ...)                                                                         \
    CONV_WEIGHTS_ADD(avx2_##name##_weights_add) {                                                  \
        (void)plan;                                                                                \
        (void)scratch;                                                                             \
        (void)prefetch;                                                                            \
        images_add((struct conv){__VA_ARGS__}, n_images, src, diff_dst, accumulator, first);       \
    }

WEIGHTS(stem, .ic = 3, .oc = 16, .side = 32, .stride = 1, .rows = 32)
WEIGHTS(conv16, .ic = 16, .oc = 16, .side = 32, .stride = 1, .rows = 8)
WEIGHTS(conv32, .ic = 32, .oc = 32, .side = 16, .stride = 1, .rows = 16)
WEIGHTS(conv64, .ic = 64, .oc = 64, .side = 8, .stride = 1, .rows = 8)
WEIGHTS(down32, .ic = 16, .oc = 32, .side = 16, .stride = 2, .rows = 16)
WEIGHTS(down64, .ic = 32, .oc = 64, .side = 8, .stride = 2, .rows = 8)

#endif
