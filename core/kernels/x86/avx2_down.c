/* Direct kernels of the two places where the image shrinks, AVX2: the data gradient of 3x3
 * stride 2, and everything of the 1x1 stride 2 convolutions beside them.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h.
 */
#if defined(__x86_64__)

#include "core/kernels/x86/avx2.h"
#include "core/kernels/x86/avx2_half.h"

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

enum { HALVES = 2 /* of a line */ };

/* ---- 3x3, data gradient ----
 *
 * Padding is at the right and the bottom, so output pixel o saw input pixels 2o, 2o+1, 2o+2. Seen
 * from the input, even pixels have two parents (kernel columns 0 and 2), odd ones one (column 1);
 * the same holds for rows. A register tile is 8 channels of 8 pixels of one input row: 4 parents
 * and the one at their left. */
enum { PARENTS = 4 };

/* 16 channels of one row of parents. weights: [16 oc][3 kw][16 ic]. */
INLINE void multiply_parents(bool leftmost, __m256 sum[2 * PARENTS], const float *diff,
                             const float *weights) {
    NO_UNROLL for (int oc = 0; oc < 16; oc++, weights += 48) {
        const __m256 w0 = half_load(weights);
        const __m256 w1 = half_load(weights + 16);
        const __m256 w2 = half_load(weights + 32);
        UNROLL for (int parent = leftmost ? 0 : -1; parent < PARENTS; parent++) {
            const __m256 value = half_of(diff + parent * 16 + oc);
            if (parent >= 0) {
                sum[2 * parent] = half_fma(value, w0, sum[2 * parent]);
                sum[2 * parent + 1] = half_fma(value, w1, sum[2 * parent + 1]);
            }
            if (parent < PARENTS - 1) {
                sum[2 * parent + 2] = half_fma(value, w2, sum[2 * parent + 2]);
            }
        }
    }
}

/* The parents in one or two rows (diff_above NULL: one). `set`: starts at 0 instead of at what
 * diff_src holds. */
INLINE void parents_tile(bool leftmost, const float *diff, const float *weights,
                         const float *diff_above, const float *weights_above, bool set,
                         float *diff_src) {
    __m256 sum[2 * PARENTS];
    UNROLL for (int p = 0; p < 2 * PARENTS; p++) {
        sum[p] = set ? half_zero() : half_load(diff_src + p * 16);
    }
    multiply_parents(leftmost, sum, diff, weights);
    if (diff_above) {
        multiply_parents(leftmost, sum, diff_above, weights_above);
    }
    UNROLL for (int p = 0; p < 2 * PARENTS; p++) {
        half_store(diff_src + p * 16, sum[p]);
    }
}

/* One plane of 16 output channels into 8 of 16 input channels. weights: [3 kh][16][3][16]. */
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
        for (int parent = PARENTS; parent < d.side; parent += PARENTS) {
            parents_tile(false, diff + parent * 16, w, above ? above + parent * 16 : NULL, w_above,
                         set, out + parent * 32);
        }
    }
}

INLINE void parents_images(struct down d, int n_images, const float *diff_dst, const float *weights,
                           float *diff_src, bool accumulate) {
    const int slice = 9 * 16 * 16;
    for (int n = 0; n < n_images; n++) {
        for (int ib = 0; ib < d.ic / 16; ib++, diff_src += src_plane(d)) {
            for (int ob = 0; ob < d.oc / 16; ob++) {
                const float *w = weights + (ib * (d.oc / 16) + ob) * slice;
                for (int channel = 0; channel < 16; channel += 8) {
                    parents_plane(d, diff_dst + ob * dst_plane(d), w + channel,
                                  !accumulate && ob == 0, diff_src + channel);
                }
            }
        }
        diff_dst += d.oc / 16 * dst_plane(d);
    }
}

/* ---- 1x1 ----
 *
 * A register tile is 4 pixels by 16 channels. */
enum { TILE = 4 };

/* weights: [channel in][16], where a plane of 16 channels in is `plane` floats, a pixel `step`. */
INLINE void point_multiply(__m256 sum[TILE][HALVES], int n_blocks, const float *src, int plane,
                           int step, const float *weights) {
    for (int block = 0; block < n_blocks; block++, src += plane) {
        NO_UNROLL for (int channel = 0; channel < 16; channel++, weights += 16) {
            const __m256 w[HALVES] = {half_load(weights), half_load(weights + 8)};
            UNROLL for (int p = 0; p < TILE; p++) {
                const __m256 value = half_of(src + p * step + channel);
                UNROLL for (int h = 0; h < HALVES; h++) {
                    sum[p][h] = half_fma(value, w[h], sum[p][h]);
                }
            }
        }
    }
}

INLINE void point_tile(struct down d, const float *src, const float *weights, const float *bias,
                       float *dst) {
    __m256 sum[TILE][HALVES];
    UNROLL for (int p = 0; p < TILE; p++) {
        UNROLL for (int h = 0; h < HALVES; h++) {
            sum[p][h] = bias ? half_load(bias + h * 8) : half_zero();
        }
    }
    point_multiply(sum, d.ic / 16, src, src_plane(d), 32, weights);
    UNROLL for (int p = 0; p < TILE; p++) {
        UNROLL for (int h = 0; h < HALVES; h++) {
            half_store(dst + p * 16 + h * 8, sum[p][h]);
        }
    }
}

INLINE void point_images(struct down d, int n_images, const float *src, const float *weights,
                         const float *bias, float *dst) {
    for (int n = 0; n < n_images; n++) {
        for (int ob = 0; ob < d.oc / 16; ob++, dst += dst_plane(d)) {
            for (int tile = 0; tile < d.side * d.side; tile += TILE) {
                int oh = tile / d.side;
                int ow = tile % d.side;
                point_tile(d, src + (2 * oh * 2 * d.side + 2 * ow) * 16, weights + ob * 16 * d.ic,
                           bias ? bias + ob * 16 : NULL, dst + tile * 16);
            }
        }
        src += d.ic / 16 * src_plane(d);
    }
}

/* Added to (or set in) every other pixel. */
INLINE void point_gradient_tile(struct down d, const float *diff_dst, const float *weights,
                                bool accumulate, float *diff_src) {
    __m256 sum[TILE][HALVES];
    UNROLL for (int p = 0; p < TILE; p++) {
        UNROLL for (int h = 0; h < HALVES; h++) {
            sum[p][h] = accumulate ? half_load(diff_src + p * 32 + h * 8) : half_zero();
        }
    }
    point_multiply(sum, d.oc / 16, diff_dst, dst_plane(d), 16, weights);
    UNROLL for (int p = 0; p < TILE; p++) {
        UNROLL for (int h = 0; h < HALVES; h++) {
            half_store(diff_src + p * 32 + h * 8, sum[p][h]);
        }
    }
}

/* The pixels no output came from. */
INLINE void clear_skipped(struct down d, float *diff_src) {
    for (int ih = 0; ih < 2 * d.side; ih++) {
        for (int iw = ih % 2 ? 0 : 1; iw < 2 * d.side; iw += ih % 2 ? 1 : 2) {
            half_store(diff_src + (ih * 2 * d.side + iw) * 16, half_zero());
            half_store(diff_src + (ih * 2 * d.side + iw) * 16 + 8, half_zero());
        }
    }
}

INLINE void point_gradient_images(struct down d, int n_images, const float *diff_dst,
                                  const float *weights, float *diff_src, bool accumulate) {
    for (int n = 0; n < n_images; n++) {
        for (int ib = 0; ib < d.ic / 16; ib++, diff_src += src_plane(d)) {
            for (int tile = 0; tile < d.side * d.side; tile += TILE) {
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

/* 4 ic x 16 oc accumulators over all pixels of an image. accumulator: [4 ic][16 oc]. */
INLINE void point_weights_tile(struct down d, const float *src, const float *diff_dst, bool set,
                               float *accumulator) {
    __m256 sum[TILE][HALVES];
    UNROLL for (int ic = 0; ic < TILE; ic++) {
        UNROLL for (int h = 0; h < HALVES; h++) {
            sum[ic][h] = set ? half_zero() : half_load(accumulator + ic * 16 + h * 8);
        }
    }
    for (int oh = 0; oh < d.side; oh++, src += 2 * d.side * 16) {
        UNROLL_BY_2 for (int ow = 0; ow < d.side; ow++, src += 32, diff_dst += 16) {
            const __m256 diff[HALVES] = {half_load(diff_dst), half_load(diff_dst + 8)};
            UNROLL for (int ic = 0; ic < TILE; ic++) {
                UNROLL for (int h = 0; h < HALVES; h++) {
                    sum[ic][h] = half_fma(diff[h], half_of(src + ic), sum[ic][h]);
                }
            }
        }
    }
    UNROLL for (int ic = 0; ic < TILE; ic++) {
        UNROLL for (int h = 0; h < HALVES; h++) {
            half_store(accumulator + ic * 16 + h * 8, sum[ic][h]);
        }
    }
}

/* accumulator: [ob][ib][16 ic][16 oc]. */
INLINE void point_weights_images(struct down d, int n_images, const float *src,
                                 const float *diff_dst, float *accumulator, bool first) {
    for (int n = 0; n < n_images; n++) {
        float *to = accumulator;
        for (int ob = 0; ob < d.oc / 16; ob++) {
            for (int ic = 0; ic < d.ic; ic += TILE, to += TILE * 16) {
                point_weights_tile(d, src + ic / 16 * src_plane(d) + ic % 16,
                                   diff_dst + ob * dst_plane(d), first && n == 0, to);
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
    CONV_BACKWARD_DATA(avx2_down##n##_backward_data) {                                             \
        UNUSED_ARGUMENTS;                                                                          \
        parents_images((struct down){__VA_ARGS__}, n_images, diff_dst, weights, diff_src,          \
                       accumulate);                                                                \
    }                                                                                              \
    CONV_FORWARD(avx2_point##n##_forward) {                                                        \
        UNUSED_ARGUMENTS;                                                                          \
        point_images((struct down){__VA_ARGS__}, n_images, src, weights, bias, dst);               \
    }                                                                                              \
    CONV_BACKWARD_DATA(avx2_point##n##_backward_data) {                                            \
        UNUSED_ARGUMENTS;                                                                          \
        point_gradient_images((struct down){__VA_ARGS__}, n_images, diff_dst, weights, diff_src,   \
                              accumulate);                                                         \
    }                                                                                              \
    CONV_WEIGHTS_ADD(avx2_point##n##_weights_add) {                                                \
        UNUSED_ARGUMENTS;                                                                          \
        point_weights_images((struct down){__VA_ARGS__}, n_images, src, diff_dst, accumulator,     \
                             first);                                                               \
    }

DOWN(32, .ic = 16, .oc = 32, .side = 16)
DOWN(64, .ic = 32, .oc = 64, .side = 8)

#endif
