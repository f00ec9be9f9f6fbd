/* Direct 3x3 convolutions, AVX-512: forward of all of them, and the data gradient of those with
 * stride 1, which is the same computation with flipped and transposed weights.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h.
 *
 * A register tile is `blocks` x `tile` lines: 16 or 32 output channels of 8 or 16 neighbouring
 * pixels of one output row. For each of the three rows of the source that it needs, and each of 16
 * source channels, one value after the other is broadcast and multiplied with the weights of the
 * three columns, each product going to another of three neighbouring pixels:
 *
 *      source row, channel ic    ... s[p-1]  s[p]  s[p+1] ...
 *                                      |  \  / | \  /  |
 *      tile (registers)          ... d[p-1]  d[p]  d[p+1] ...      d[p] +=
 * w0*s[p-1]+w1*s[p]+w2*s[p+1]
 *
 * So a value is loaded once for three multiplications of 16 or 32 channels, and the 16 source
 * channels' weights of a tile (9 to 18 KB) stay in L1. Packed weights: core/kernels/x86/pack.h.
 */
#if defined(__x86_64__)

#include "core/kernels/x86/avx512.h"
#include "core/kernels/x86/avx512_line.h"

struct conv {
    int ic; /* 3, or a multiple of 16 */
    int oc;
    int side; /* of the output, in pixels */
    int stride;
    int tile;   /* pixels of a register tile */
    int blocks; /* blocks of 16 output channels of a register tile */
    int group;  /* images that go through one slice of the weights before the next slice */
};

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
INLINE void multiply_pixel(struct conv c, __m512 sum[2][16], __m512 weights[3][2], int p,
                           __m512 value) {
    UNROLL for (int kw = 0; kw < 3; kw++) {
        int distance = c.stride == 1 ? p + 1 - kw : p - kw;
        int target = distance / c.stride;
        if (distance < 0 || distance % c.stride || target >= c.tile) {
            continue;
        }
        UNROLL for (int b = 0; b < c.blocks; b++) {
            sum[b][target] = line_fma(value, weights[kw][b], sum[b][target]);
        }
    }
}

/* One row of the source (src: the pixel above or below the tile's first) into the tile. */
INLINE void multiply_row(struct conv c, struct edges edges, __m512 sum[2][16], const float *src,
                         const float *weights) {
    const int first = c.stride == 1 && !edges.left ? -1 : 0;
    const int end = c.stride * c.tile + (edges.right ? 0 : 1);
    NO_UNROLL for (int ic = 0; ic < slice_channels(c); ic++) {
        __m512 w[3][2];
        UNROLL for (int kw = 0; kw < 3; kw++) {
            UNROLL for (int b = 0; b < c.blocks; b++) {
                w[kw][b] = line_load(weights + (kw * c.blocks + b) * 16);
            }
        }
        UNROLL for (int p = first; p < end; p++) {
            multiply_pixel(c, sum, w, p, line_of(src[p * pixel_floats(c) + ic]));
        }
        weights += 3 * c.blocks * 16;
    }
}

/* kh .. kh_end: the rows of the window that lie inside the image. bias: where the sums start, or
 * NULL: they go on from what dst holds. */
INLINE void tile_compute(struct conv c, struct edges edges, int kh, int kh_end, const float *src,
                         const float *weights, const float *bias, float *dst) {
    const int plane = c.side * c.side * 16;
    const int src_row = c.side * c.stride * pixel_floats(c);
    __m512 sum[2][16];
    UNROLL for (int b = 0; b < c.blocks; b++) {
        UNROLL for (int p = 0; p < c.tile; p++) {
            sum[b][p] = line_load(bias ? bias + b * 16 : dst + b * plane + p * 16);
        }
    }
    NO_UNROLL for (; kh < kh_end; kh++) {
        multiply_row(c, edges, sum, src + kh * src_row,
                     weights + kh * slice_channels(c) * 3 * c.blocks * 16);
    }
    UNROLL for (int b = 0; b < c.blocks; b++) {
        UNROLL for (int p = 0; p < c.tile; p++) {
            line_store(dst + b * plane + p * 16, sum[b][p]);
        }
    }
}

/* One image, one slice of the weights. */
INLINE void slice_compute(struct conv c, const float *src, const float *weights, const float *bias,
                          float *dst) {
    const int src_row = c.side * c.stride * pixel_floats(c);
    for (int oh = 0; oh < c.side; oh++) {
        int kh = c.stride == 1 && oh == 0 ? 1 : 0;
        int kh_end = oh == c.side - 1 ? 2 : 3;
        const float *row = src + (oh * c.stride - (c.stride == 1 ? 1 : 0)) * src_row;
        float *out = dst + oh * c.side * 16;
        if (c.tile == c.side) {
            tile_compute(c, (struct edges){true, true}, kh, kh_end, row, weights, bias, out);
            continue;
        }
        tile_compute(c, (struct edges){true, false}, kh, kh_end, row, weights, bias, out);
        int ow = c.tile;
        for (; ow < c.side - c.tile; ow += c.tile) {
            tile_compute(c, (struct edges){false, false}, kh, kh_end,
                         row + ow * c.stride * pixel_floats(c), weights, bias, out + ow * 16);
        }
        tile_compute(c, (struct edges){false, true}, kh, kh_end,
                     row + ow * c.stride * pixel_floats(c), weights, bias, out + ow * 16);
    }
}

/* All images, `group` by `group`. bias NULL: adds to dst. */
INLINE void images_compute(struct conv c, int n_images, const float *src, const float *weights,
                           const float *bias, float *dst) {
    const int in_blocks = c.ic < 16 ? 1 : c.ic / 16;
    const int src_side = c.side * c.stride;
    const int src_plane = src_side * src_side * pixel_floats(c);
    const int dst_plane = c.side * c.side * 16;
    const int slice = 9 * slice_channels(c) * c.blocks * 16;
    for (int first = 0; first < n_images; first += c.group) {
        int n = n_images - first < c.group ? n_images - first : c.group;
        const float *w = weights;
        for (int ob = 0; ob < c.oc / 16; ob += c.blocks) {
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

/* NAME_forward, and NAME_backward_data where `stride` is 1. */
#define CONV(name, ...)                                                                            \
    __attribute__((noinline)) static void name(                                                    \
        int n_images, const float *src, const float *weights, const float *bias, float *dst) {     \
        images_compute((struct conv){__VA_ARGS__}, n_images, src, weights, bias, dst);             \
    }                                                                                              \
    CONV_FORWARD(avx512_##name##_forward) {                                                        \
        (void)plan;                                                                                \
        (void)scratch;                                                                             \
        (void)prefetch;                                                                            \
        name(n_images, src, weights, bias ? bias : zeros, dst);                                    \
    }

#define CONV_AND_GRADIENT(name, ...)                                                               \
    CONV(name, __VA_ARGS__)                                                                        \
    CONV_BACKWARD_DATA(avx512_##name##_backward_data) {                                            \
        (void)plan;                                                                                \
        (void)scratch;                                                                             \
        (void)prefetch;                                                                            \
        name(n_images, diff_dst, weights, accumulate ? NULL : zeros, diff_src);                    \
    }

CONV(stem, .ic = 3, .oc = 16, .side = 32, .stride = 1, .tile = 16, .blocks = 1, .group = 1)
CONV_AND_GRADIENT(conv16, .ic = 16, .oc = 16, .side = 32, .stride = 1, .tile = 16, .blocks = 1,
                  .group = 1)
CONV_AND_GRADIENT(conv32, .ic = 32, .oc = 32, .side = 16, .stride = 1, .tile = 8, .blocks = 2,
                  .group = 2)
CONV_AND_GRADIENT(conv64, .ic = 64, .oc = 64, .side = 8, .stride = 1, .tile = 8, .blocks = 2,
                  .group = 4)
CONV(down32, .ic = 16, .oc = 32, .side = 16, .stride = 2, .tile = 8, .blocks = 2, .group = 1)
CONV(down64, .ic = 32, .oc = 64, .side = 8, .stride = 2, .tile = 8, .blocks = 2, .group = 2)

#endif
