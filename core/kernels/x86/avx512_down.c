/* Direct kernels of the two places where the image shrinks, AVX-512: the data gradient of 3x3
 * stride 2, and everything of the 1x1 stride 2 convolutions beside them.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h.
 */
#if defined(__x86_64__)

#include "core/kernels/x86/avx512.h"
#include "core/kernels/x86/avx512_line.h"

/* oc and side belong to the output (the smaller image), ic and 2 * side to the input. */
struct down {
    int ic;
    int oc;
    int side;
};

INLINE int src_plane(struct down d) {
    return 4 * d.side * d.side * 16;
}

INLINE int dst_plane(struct down d) {
    return d.side * d.side * 16;
}

/* ---- 3x3, data gradient ----
 *
 * Padding is at the right and the bottom, so output pixel o saw input pixels 2o, 2o+1, 2o+2. Seen
 * from the input, even pixels have two parents (kernel columns 0 and 2), odd ones one (column 1);
 * the same holds for rows. A register tile is 16 pixels of one input row: 8 parents and the one at
 * their left. */

/* 16 channels of one row of parents. weights: [16 oc][3 kw][16 ic]. */
INLINE void multiply_parents(bool leftmost, __m512 sum[16], const float *diff,
                             const float *weights) {
    NO_UNROLL for (int oc = 0; oc < 16; oc++) {
        const __m512 w0 = line_load(weights);
        const __m512 w1 = line_load(weights + 16);
        const __m512 w2 = line_load(weights + 32);
        UNROLL for (int parent = leftmost ? 0 : -1; parent < 8; parent++) {
            const __m512 value = line_of(diff[parent * 16 + oc]);
            if (parent >= 0) {
                sum[2 * parent] = line_fma(value, w0, sum[2 * parent]);
                sum[2 * parent + 1] = line_fma(value, w1, sum[2 * parent + 1]);
            }
            if (parent < 7) {
                sum[2 * parent + 2] = line_fma(value, w2, sum[2 * parent + 2]);
            }
        }
        weights += 48;
    }
}

/* The parents in one or two rows (diff_above NULL: one). `set`: starts at 0 instead of at what
 * diff_src holds. */
INLINE void parents_tile(bool leftmost, const float *diff, const float *weights,
                         const float *diff_above, const float *weights_above, bool set,
                         float *diff_src) {
    __m512 sum[16];
    UNROLL for (int p = 0; p < 16; p++) {
        sum[p] = set ? line_zero() : line_load(diff_src + p * 16);
    }
    multiply_parents(leftmost, sum, diff, weights);
    if (diff_above) {
        multiply_parents(leftmost, sum, diff_above, weights_above);
    }
    UNROLL for (int p = 0; p < 16; p++) {
        line_store(diff_src + p * 16, sum[p]);
    }
}

/* One plane of 16 output channels into one of 16 input channels. weights: [3 kh][16][3][16]. */
INLINE void parents_plane(struct down d, const float *diff_dst, const float *weights, bool set,
                          float *diff_src) {
    const int kernel_row = 16 * 3 * 16;
    for (int ih = 0; ih < 2 * d.side; ih++) {
        const float *diff = diff_dst + ih / 2 * d.side * 16;
        const float *above = ih % 2 == 0 && ih > 0 ? diff - d.side * 16 : NULL;
        const float *w = weights + ih % 2 * kernel_row;
        const float *w_above = weights + 2 * kernel_row;
        float *out = diff_src + ih * 2 * d.side * 16;
        parents_tile(true, diff, w, above, w_above, set, out);
        for (int parent = 8; parent < d.side; parent += 8) {
            parents_tile(false, diff + parent * 16, w, above ? above + parent * 16 : NULL, w_above,
                         set, out + parent * 32);
        }
    }
}

INLINE void parents_images(struct down d, int n_images, const float *diff_dst, const float *weights,
                           float *diff_src, bool accumulate) {
    const int slice = 9 * 16 * 16;
    for (int n = 0; n < n_images; n++) {
        for (int ib = 0; ib < d.ic / 16; ib++) {
            for (int ob = 0; ob < d.oc / 16; ob++) {
                parents_plane(d, diff_dst + ob * dst_plane(d),
                              weights + (ib * (d.oc / 16) + ob) * slice, !accumulate && ob == 0,
                              diff_src + ib * src_plane(d));
            }
        }
        diff_dst += d.oc / 16 * dst_plane(d);
        diff_src += d.ic / 16 * src_plane(d);
    }
}

/* ---- 1x1 ---- */

/* 8 pixels x 32 output channels. weights: [ic][2 blocks][16]. */
INLINE void point_tile(struct down d, const float *src, const float *weights, const float *bias,
                       float *dst) {
    __m512 sum[2][8];
    UNROLL for (int b = 0; b < 2; b++) {
        UNROLL for (int p = 0; p < 8; p++) {
            sum[b][p] = bias ? line_load(bias + b * 16) : line_zero();
        }
    }
    for (int ib = 0; ib < d.ic / 16; ib++, src += src_plane(d)) {
        NO_UNROLL for (int ic = 0; ic < 16; ic++, weights += 32) {
            const __m512 w[2] = {line_load(weights), line_load(weights + 16)};
            UNROLL for (int p = 0; p < 8; p++) {
                const __m512 value = line_of(src[p * 32 + ic]);
                sum[0][p] = line_fma(value, w[0], sum[0][p]);
                sum[1][p] = line_fma(value, w[1], sum[1][p]);
            }
        }
    }
    UNROLL for (int b = 0; b < 2; b++) {
        UNROLL for (int p = 0; p < 8; p++) {
            line_store(dst + b * dst_plane(d) + p * 16, sum[b][p]);
        }
    }
}

INLINE void point_images(struct down d, int n_images, const float *src, const float *weights,
                         const float *bias, float *dst) {
    for (int n = 0; n < n_images; n++) {
        for (int ob = 0; ob < d.oc / 16; ob += 2) {
            for (int tile = 0; tile < d.side * d.side; tile += 8) {
                int oh = tile / d.side;
                int ow = tile % d.side;
                point_tile(d, src + (2 * oh * 2 * d.side + 2 * ow) * 16, weights + ob * 16 * d.ic,
                           bias ? bias + ob * 16 : NULL, dst + ob * dst_plane(d) + tile * 16);
            }
        }
        src += d.ic / 16 * src_plane(d);
        dst += d.oc / 16 * dst_plane(d);
    }
}

/* 8 pixels x 16 input channels, added to (or set in) every other pixel. weights: [oc][16 ic]. */
INLINE void point_gradient_tile(struct down d, const float *diff_dst, const float *weights,
                                bool accumulate, float *diff_src) {
    __m512 sum[8];
    UNROLL for (int p = 0; p < 8; p++) {
        sum[p] = accumulate ? line_load(diff_src + p * 32) : line_zero();
    }
    for (int ob = 0; ob < d.oc / 16; ob++, diff_dst += dst_plane(d)) {
        UNROLL_BY_2 for (int oc = 0; oc < 16; oc++, weights += 16) {
            const __m512 w = line_load(weights);
            UNROLL for (int p = 0; p < 8; p++) {
                sum[p] = line_fma(line_of(diff_dst[p * 16 + oc]), w, sum[p]);
            }
        }
    }
    UNROLL for (int p = 0; p < 8; p++) {
        line_store(diff_src + p * 32, sum[p]);
    }
}

/* The pixels no output came from. */
INLINE void clear_skipped(struct down d, float *diff_src) {
    for (int ih = 0; ih < 2 * d.side; ih++) {
        for (int iw = ih % 2 ? 0 : 1; iw < 2 * d.side; iw += ih % 2 ? 1 : 2) {
            line_store(diff_src + (ih * 2 * d.side + iw) * 16, line_zero());
        }
    }
}

INLINE void point_gradient_images(struct down d, int n_images, const float *diff_dst,
                                  const float *weights, float *diff_src, bool accumulate) {
    for (int n = 0; n < n_images; n++) {
        for (int ib = 0; ib < d.ic / 16; ib++, diff_src += src_plane(d)) {
            for (int tile = 0; tile < d.side * d.side; tile += 8) {
                int oh = tile / d.side;
                int ow = tile % d.side;
                point_gradient_tile(d, diff_dst + tile * 16, weights + ib * d.oc * 16, accumulate,
                                    diff_src + (2 * oh * 2 * d.side + 2 * ow) * 16);
            }
            if (!accumulate) {
                clear_skipped(d, diff_src);
            }
        }
        diff_dst += d.oc / 16 * dst_plane(d);
    }
}

/* 16 ic x 16 oc accumulators over all pixels of an image. accumulator: [ob][ib][16 ic][16 oc]. */
INLINE void point_weights_block(struct down d, const float *src, const float *diff_dst, bool set,
                                float *accumulator) {
    __m512 sum[16];
    UNROLL for (int ic = 0; ic < 16; ic++) {
        sum[ic] = set ? line_zero() : line_load(accumulator + ic * 16);
    }
    for (int oh = 0; oh < d.side; oh++, src += 2 * d.side * 16) {
        UNROLL_BY_2 for (int ow = 0; ow < d.side; ow++, src += 32, diff_dst += 16) {
            const __m512 diff = line_load(diff_dst);
            UNROLL for (int ic = 0; ic < 16; ic++) {
                sum[ic] = line_fma(diff, line_of(src[ic]), sum[ic]);
            }
        }
    }
    UNROLL for (int ic = 0; ic < 16; ic++) {
        line_store(accumulator + ic * 16, sum[ic]);
    }
}

INLINE void point_weights_images(struct down d, int n_images, const float *src,
                                 const float *diff_dst, float *accumulator, bool first) {
    for (int n = 0; n < n_images; n++) {
        for (int ob = 0; ob < d.oc / 16; ob++) {
            for (int ib = 0; ib < d.ic / 16; ib++) {
                point_weights_block(d, src + ib * src_plane(d), diff_dst + ob * dst_plane(d),
                                    first && n == 0, accumulator + (ob * (d.ic / 16) + ib) * 256);
            }
        }
        src += d.ic / 16 * src_plane(d);
        diff_dst += d.oc / 16 * dst_plane(d);
    }
}

#define UNUSED_ARGUMENTS                                                                           \
    (void)plan;                                                                                    \
    (void)scratch;                                                                                 \
    (void)prefetch

#define DOWN(n, ...)                                                                               \
    CONV_BACKWARD_DATA(avx512_down##n##_backward_data) {                                           \
        UNUSED_ARGUMENTS;                                                                          \
        parents_images((struct down){__VA_ARGS__}, n_images, diff_dst, weights, diff_src,          \
                       accumulate);                                                                \
    }                                                                                              \
    CONV_FORWARD(avx512_point##n##_forward) {                                                      \
        UNUSED_ARGUMENTS;                                                                          \
        point_images((struct down){__VA_ARGS__}, n_images, src, weights, bias, dst);               \
    }                                                                                              \
    CONV_BACKWARD_DATA(avx512_point##n##_backward_data) {                                          \
        UNUSED_ARGUMENTS;                                                                          \
        point_gradient_images((struct down){__VA_ARGS__}, n_images, diff_dst, weights, diff_src,   \
                              accumulate);                                                         \
    }                                                                                              \
    CONV_WEIGHTS_ADD(avx512_point##n##_weights_add) {                                              \
        UNUSED_ARGUMENTS;                                                                          \
        point_weights_images((struct down){__VA_ARGS__}, n_images, src, diff_dst, accumulator,     \
                             first);                                                               \
    }

DOWN(32, .ic = 16, .oc = 32, .side = 16)
DOWN(64, .ic = 32, .oc = 64, .side = 8)

#endif
