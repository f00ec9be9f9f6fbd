/* Direct kernels of the two places where the image shrinks: the data gradient of 3x3 stride 2, and
 * everything of the 1x1 stride 2 convolutions beside them.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h. Included by one file an instruction
 * set, which then names the functions with DOWN_DEFINE.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_DOWN_H
#define CUTOUTD_CORE_KERNELS_X86_DOWN_H

#include "core/kernels/x86/direct.h"
#include "core/kernels/x86/vec.h"

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
 * the same holds for rows. A register tile is one register of each of some pixels of one input row:
 * their parents and the one at the left of these take part. */
enum { PARENTS = VEC_FLOATS / 2 };

/* 16 channels of one row of parents. weights: [16 oc][3 kw][16 ic]. */
INLINE void multiply_parents(bool leftmost, vec sum[2 * PARENTS], const float *diff,
                             const float *weights) {
    NO_UNROLL for (int oc = 0; oc < 16; oc++) {
        const vec w0 = vec_load(weights);
        const vec w1 = vec_load(weights + 16);
        const vec w2 = vec_load(weights + 32);
        UNROLL for (int parent = leftmost ? 0 : -1; parent < PARENTS; parent++) {
            const vec value = vec_of(diff[parent * 16 + oc]);
            if (parent >= 0) {
                sum[2 * parent] = vec_fma(value, w0, sum[2 * parent]);
                sum[2 * parent + 1] = vec_fma(value, w1, sum[2 * parent + 1]);
            }
            if (parent < PARENTS - 1) {
                sum[2 * parent + 2] = vec_fma(value, w2, sum[2 * parent + 2]);
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
    vec sum[2 * PARENTS];
    UNROLL for (int p = 0; p < 2 * PARENTS; p++) {
        sum[p] = set ? vec_zero() : vec_load(diff_src + p * 16);
    }
    multiply_parents(leftmost, sum, diff, weights);
    if (diff_above) {
        multiply_parents(leftmost, sum, diff_above, weights_above);
    }
    UNROLL for (int p = 0; p < 2 * PARENTS; p++) {
        vec_store(diff_src + p * 16, sum[p]);
    }
}

/* One plane of 16 output channels into a register of input channels. weights: [3 kh][16][3][16]. */
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
                for (int channel = 0; channel < 16; channel += VEC_FLOATS) {
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
 * A register tile is some pixels by one or two registers of channels. */
enum { POINT_PIXELS = VEC_FLOATS / 2, MAX_POINT_VECS = 2 };

typedef vec point_sums[MAX_POINT_VECS][POINT_PIXELS];

/* sum += pixels times weights. src: n_blocks planes of 16 channels in, `plane` floats apart, a
 * pixel `pixel`; weights: [channel in][vecs registers]. */
INLINE void point_multiply(point_sums sum, int vecs, int n_blocks, const float *src, int plane,
                           int pixel, const float *weights) {
    for (int block = 0; block < n_blocks; block++, src += plane) {
        NO_UNROLL for (int channel = 0; channel < 16; channel++, weights += vecs * VEC_FLOATS) {
            vec w[MAX_POINT_VECS];
            UNROLL for (int v = 0; v < vecs; v++) {
                w[v] = vec_load(weights + v * VEC_FLOATS);
            }
            UNROLL for (int p = 0; p < POINT_PIXELS; p++) {
                const vec value = vec_of(src[p * pixel + channel]);
                UNROLL for (int v = 0; v < vecs; v++) {
                    sum[v][p] = vec_fma(value, w[v], sum[v][p]);
                }
            }
        }
    }
}

/* Output channels of a tile: 32 or 16. */
enum { POINT_OC = MAX_POINT_VECS * VEC_FLOATS };

INLINE void point_tile(struct down d, const float *src, const float *weights, const float *bias,
                       float *dst) {
    point_sums sum;
    UNROLL for (int v = 0; v < MAX_POINT_VECS; v++) {
        UNROLL for (int p = 0; p < POINT_PIXELS; p++) {
            sum[v][p] = bias ? vec_load(bias + v * VEC_FLOATS) : vec_zero();
        }
    }
    point_multiply(sum, MAX_POINT_VECS, d.ic / 16, src, src_plane(d), 32, weights);
    UNROLL for (int v = 0; v < MAX_POINT_VECS; v++) {
        UNROLL for (int p = 0; p < POINT_PIXELS; p++) {
            vec_store(dst + vec_offset(v, dst_plane(d)) + p * 16, sum[v][p]);
        }
    }
}

/* The input pixel at the place of output pixel `pixel`. */
INLINE int point_source(struct down d, int pixel) {
    return (2 * (pixel / d.side) * 2 * d.side + 2 * (pixel % d.side)) * 16;
}

INLINE void point_images(struct down d, int n_images, const float *src, const float *weights,
                         const float *bias, float *dst) {
    for (int n = 0; n < n_images; n++) {
        for (int oc = 0; oc < d.oc; oc += POINT_OC) {
            for (int pixel = 0; pixel < d.side * d.side; pixel += POINT_PIXELS) {
                point_tile(d, src + point_source(d, pixel), weights + oc * d.ic,
                           bias ? bias + oc : NULL, dst + oc / 16 * dst_plane(d) + pixel * 16);
            }
        }
        src += d.ic / 16 * src_plane(d);
        dst += d.oc / 16 * dst_plane(d);
    }
}

/* 16 input channels, added to (or set in) every other pixel. weights: [oc][16 ic]. */
INLINE void point_gradient_tile(struct down d, const float *diff_dst, const float *weights,
                                bool accumulate, float *diff_src) {
    point_sums sum;
    UNROLL for (int v = 0; v < LINE_VECS; v++) {
        UNROLL for (int p = 0; p < POINT_PIXELS; p++) {
            sum[v][p] = accumulate ? vec_load(diff_src + p * 32 + v * VEC_FLOATS) : vec_zero();
        }
    }
    point_multiply(sum, LINE_VECS, d.oc / 16, diff_dst, dst_plane(d), 16, weights);
    UNROLL for (int v = 0; v < LINE_VECS; v++) {
        UNROLL for (int p = 0; p < POINT_PIXELS; p++) {
            vec_store(diff_src + p * 32 + v * VEC_FLOATS, sum[v][p]);
        }
    }
}

/* The pixels no output came from. */
INLINE void clear_skipped(struct down d, float *diff_src) {
    for (int ih = 0; ih < 2 * d.side; ih++) {
        for (int iw = ih % 2 ? 0 : 1; iw < 2 * d.side; iw += ih % 2 ? 1 : 2) {
            UNROLL for (int v = 0; v < LINE_VECS; v++) {
                vec_store(diff_src + (ih * 2 * d.side + iw) * 16 + v * VEC_FLOATS, vec_zero());
            }
        }
    }
}

INLINE void point_gradient_images(struct down d, int n_images, const float *diff_dst,
                                  const float *weights, float *diff_src, bool accumulate) {
    for (int n = 0; n < n_images; n++) {
        for (int ib = 0; ib < d.ic / 16; ib++, diff_src += src_plane(d)) {
            for (int pixel = 0; pixel < d.side * d.side; pixel += POINT_PIXELS) {
                point_gradient_tile(d, diff_dst + pixel * 16, weights + ib * d.oc * 16, accumulate,
                                    diff_src + point_source(d, pixel));
            }
            if (!accumulate) {
                clear_skipped(d, diff_src);
            }
        }
        diff_dst += d.oc / 16 * dst_plane(d);
    }
}

/* Input channels of a tile of the weight gradient. */
enum { POINT_IC = VEC_FLOATS == 16 ? 16 : 4 };

/* POINT_IC x 16 oc sums over all pixels of an image. accumulator: [POINT_IC][16 oc]. */
INLINE void point_weights_tile(struct down d, const float *src, const float *diff_dst, bool set,
                               float *accumulator) {
    vec sum[POINT_IC][LINE_VECS];
    UNROLL for (int ic = 0; ic < POINT_IC; ic++) {
        UNROLL for (int v = 0; v < LINE_VECS; v++) {
            sum[ic][v] = set ? vec_zero() : vec_load(accumulator + ic * 16 + v * VEC_FLOATS);
        }
    }
    for (int oh = 0; oh < d.side; oh++, src += 2 * d.side * 16) {
        UNROLL_BY_2 for (int ow = 0; ow < d.side; ow++, src += 32, diff_dst += 16) {
            vec diff[LINE_VECS];
            UNROLL for (int v = 0; v < LINE_VECS; v++) {
                diff[v] = vec_load(diff_dst + v * VEC_FLOATS);
            }
            UNROLL for (int ic = 0; ic < POINT_IC; ic++) {
                const vec value = vec_of(src[ic]);
                UNROLL for (int v = 0; v < LINE_VECS; v++) {
                    sum[ic][v] = vec_fma(diff[v], value, sum[ic][v]);
                }
            }
        }
    }
    UNROLL for (int ic = 0; ic < POINT_IC; ic++) {
        UNROLL for (int v = 0; v < LINE_VECS; v++) {
            vec_store(accumulator + ic * 16 + v * VEC_FLOATS, sum[ic][v]);
        }
    }
}

/* accumulator: [ob][ic][16 oc]. */
INLINE void point_weights_images(struct down d, int n_images, const float *src,
                                 const float *diff_dst, float *accumulator, bool first) {
    for (int n = 0; n < n_images; n++) {
        float *to = accumulator;
        for (int ob = 0; ob < d.oc / 16; ob++) {
            for (int ic = 0; ic < d.ic; ic += POINT_IC, to += POINT_IC * 16) {
                point_weights_tile(d, src + ic / 16 * src_plane(d) + ic % 16,
                                   diff_dst + ob * dst_plane(d), first && n == 0, to);
            }
        }
        src += d.ic / 16 * src_plane(d);
        diff_dst += d.oc / 16 * dst_plane(d);
    }
}

#define DOWN(variant, n, ...)                                                                      \
    CONV_BACKWARD_DATA(variant##_down##n##_backward_data) {                                        \
        const struct down d = {__VA_ARGS__};                                                       \
        CONV_BACKWARD_DATA_BEGIN(d.ic, d.oc);                                                      \
        parents_images(d, n_images, diff_dst, weights, diff_src, accumulate);                      \
    }                                                                                              \
    CONV_FORWARD(variant##_point##n##_forward) {                                                   \
        const struct down d = {__VA_ARGS__};                                                       \
        CONV_FORWARD_BEGIN(d.ic, d.oc);                                                            \
        point_images(d, n_images, src, weights, bias, dst);                                        \
    }                                                                                              \
    CONV_BACKWARD_DATA(variant##_point##n##_backward_data) {                                       \
        const struct down d = {__VA_ARGS__};                                                       \
        CONV_BACKWARD_DATA_BEGIN(d.ic, d.oc);                                                      \
        point_gradient_images(d, n_images, diff_dst, weights, diff_src, accumulate);               \
    }                                                                                              \
    CONV_WEIGHTS_ADD(variant##_point##n##_weights_add) {                                           \
        const struct down d = {__VA_ARGS__};                                                       \
        CONV_WEIGHTS_ADD_BEGIN(d.ic, d.oc);                                                        \
        point_weights_images(d, n_images, src, diff_dst, accumulator, first);                      \
    }

#define DOWN_DEFINE(variant)                                                                       \
    DOWN(variant, 32, .ic = 16, .oc = 32, .side = 16)                                              \
    DOWN(variant, 64, .ic = 32, .oc = 64, .side = 8)

#endif
