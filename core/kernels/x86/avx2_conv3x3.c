/* Direct 3x3 convolutions, AVX2: forward of all of them, and the data gradient of those with
 * stride 1, which is the same computation with flipped and transposed weights.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h.
 *
 * The scheme of avx512_conv3x3.c with registers half as wide and half as many: a register tile is 4
 * neighbouring pixels of one output row by 16 channels, 8 registers, and 6 more hold the weights of
 * the three columns. 8 sums are enough to keep two multipliers of 4 cycles busy. Weights are packed
 * with one block (core/kernels/x86/pack.h).
 */
#if defined(__x86_64__)

#include "core/kernels/x86/avx2.h"
#include "core/kernels/x86/avx2_half.h"

struct conv {
    int ic; /* 3, or a multiple of 16 */
    int oc;
    int side; /* of the output, in pixels */
    int stride;
};

/* Where a register tile lies: the outermost have no source pixel at their side (padding). */
struct edges {
    bool left;
    bool right;
};

enum { TILE = 4 /* pixels of a register tile */, HALVES = 2 /* of their lines */ };

INLINE int slice_channels(struct conv c) {
    return c.ic < 16 ? c.ic : 16;
}

INLINE int pixel_floats(struct conv c) {
    return c.ic < 16 ? 4 : 16;
}

/* Source pixel p of the row times the weights of all columns that lead to a pixel of the tile. */
INLINE void multiply_pixel(struct conv c, __m256 sum[HALVES][TILE], __m256 weights[3][HALVES],
                           int p, __m256 value) {
    UNROLL for (int kw = 0; kw < 3; kw++) {
        int distance = c.stride == 1 ? p + 1 - kw : p - kw;
        int target = distance / c.stride;
        if (distance < 0 || distance % c.stride || target >= TILE) {
            continue;
        }
        UNROLL for (int h = 0; h < HALVES; h++) {
            sum[h][target] = half_fma(value, weights[kw][h], sum[h][target]);
        }
    }
}

/* One row of the source (src: the pixel above or below the tile's first) into the tile. */
INLINE void multiply_row(struct conv c, struct edges edges, __m256 sum[HALVES][TILE],
                         const float *src, const float *weights) {
    const int first = c.stride == 1 && !edges.left ? -1 : 0;
    const int end = c.stride * TILE + (edges.right ? 0 : 1);
    NO_UNROLL for (int ic = 0; ic < slice_channels(c); ic++, weights += 3 * 16) {
        __m256 w[3][HALVES];
        UNROLL for (int kw = 0; kw < 3; kw++) {
            UNROLL for (int h = 0; h < HALVES; h++) {
                w[kw][h] = half_load(weights + kw * 16 + h * 8);
            }
        }
        UNROLL for (int p = first; p < end; p++) {
            multiply_pixel(c, sum, w, p, half_of(src + p * pixel_floats(c) + ic));
        }
    }
}

/* kh .. kh_end: the rows of the window that lie inside the image. bias: where the sums start, or
 * NULL: they go on from what dst holds. */
INLINE void tile_compute(struct conv c, struct edges edges, int kh, int kh_end, const float *src,
                         const float *weights, const float *bias, float *dst) {
    const int src_row = c.side * c.stride * pixel_floats(c);
    __m256 sum[HALVES][TILE];
    UNROLL for (int h = 0; h < HALVES; h++) {
        UNROLL for (int p = 0; p < TILE; p++) {
            sum[h][p] = half_load(bias ? bias + h * 8 : dst + p * 16 + h * 8);
        }
    }
    NO_UNROLL for (; kh < kh_end; kh++) {
        multiply_row(c, edges, sum, src + kh * src_row, weights + kh * slice_channels(c) * 3 * 16);
    }
    UNROLL for (int h = 0; h < HALVES; h++) {
        UNROLL for (int p = 0; p < TILE; p++) {
            half_store(dst + p * 16 + h * 8, sum[h][p]);
        }
    }
}

/* One image, one slice of the weights. */
INLINE void slice_compute(struct conv c, const float *src, const float *weights, const float *bias,
                          float *dst) {
    const int src_row = c.side * c.stride * pixel_floats(c);
    const int src_tile = TILE * c.stride * pixel_floats(c);
    for (int oh = 0; oh < c.side; oh++) {
        int kh = c.stride == 1 && oh == 0 ? 1 : 0;
        int kh_end = oh == c.side - 1 ? 2 : 3;
        const float *row = src + (oh * c.stride - (c.stride == 1 ? 1 : 0)) * src_row;
        float *out = dst + oh * c.side * 16;
        tile_compute(c, (struct edges){true, false}, kh, kh_end, row, weights, bias, out);
        for (int t = 1; t < c.side / TILE - 1; t++) {
            tile_compute(c, (struct edges){false, false}, kh, kh_end, row + t * src_tile, weights,
                         bias, out + t * TILE * 16);
        }
        int last = c.side / TILE - 1;
        tile_compute(c, (struct edges){false, true}, kh, kh_end, row + last * src_tile, weights,
                     bias, out + last * TILE * 16);
    }
}

/* bias NULL: adds to dst. */
INLINE void images_compute(struct conv c, int n_images, const float *src, const float *weights,
                           const float *bias, float *dst) {
    const int in_blocks = c.ic < 16 ? 1 : c.ic / 16;
    const int src_plane = c.side * c.stride * c.side * c.stride * pixel_floats(c);
    const int dst_plane = c.side * c.side * 16;
    const int slice = 9 * slice_channels(c) * 16;
    for (int n = 0; n < n_images; n++) {
        const float *w = weights;
        for (int ob = 0; ob < c.oc / 16; ob++) {
            for (int ib = 0; ib < in_blocks; ib++, w += slice) {
                const float *start = ib == 0 && bias ? bias + ob * 16 : NULL;
                slice_compute(c, src + ib * src_plane, w, start, dst + ob * dst_plane);
            }
        }
        src += in_blocks * src_plane;
        dst += c.oc / 16 * dst_plane;
    }
}

static const float zeros[64];

#define CONV(name, ...)                                                                            \
    __attribute__((noinline)) static void name(                                                    \
        int n_images, const float *src, const float *weights, const float *bias, float *dst) {     \
        images_compute((struct conv){__VA_ARGS__}, n_images, src, weights, bias, dst);             \
    }                                                                                              \
    CONV_FORWARD(avx2_##name##_forward) {                                                          \
        (void)plan;                                                                                \
        (void)scratch;                                                                             \
        (void)prefetch;                                                                            \
        name(n_images, src, weights, bias ? bias : zeros, dst);                                    \
    }

#define CONV_AND_GRADIENT(name, ...)                                                               \
    CONV(name, __VA_ARGS__)                                                                        \
    CONV_BACKWARD_DATA(avx2_##name##_backward_data) {                                              \
        (void)plan;                                                                                \
        (void)scratch;                                                                             \
        (void)prefetch;                                                                            \
        name(n_images, diff_dst, weights, accumulate ? NULL : zeros, diff_src);                    \
    }

CONV(stem, .ic = 3, .oc = 16, .side = 32, .stride = 1)
CONV_AND_GRADIENT(conv16, .ic = 16, .oc = 16, .side = 32, .stride = 1)
CONV_AND_GRADIENT(conv32, .ic = 32, .oc = 32, .side = 16, .stride = 1)
CONV_AND_GRADIENT(conv64, .ic = 64, .oc = 64, .side = 8, .stride = 1)
CONV(down32, .ic = 16, .oc = 32, .side = 16, .stride = 2)
CONV(down64, .ic = 32, .oc = 64, .side = 8, .stride = 2)

#endif
