/* What the variants share of the plain reference.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h.
 */
#ifndef CUTOUTD_CORE_KERNELS_REF_REF_H
#define CUTOUTD_CORE_KERNELS_REF_REF_H

#include "core/kernels/kernels.h"

/* Offset of channel c at pixel (row, column) in an image of `side` pixels a side, 16c layout;
 * n_channels == 3 means the network's input layout [H][W][4]. */
static inline size_t image_offset(int n_channels, int side, int c, int row, int column) {
    if (n_channels == 3) {
        return ((size_t)row * (size_t)side + (size_t)column) * 4 + (size_t)c;
    }
    return (((size_t)(c / 16) * (size_t)side + (size_t)row) * (size_t)side + (size_t)column) * 16 +
           (size_t)(c % 16);
}

/* Floats of one image in its layout. */
static inline size_t image_floats(int n_channels, int side) {
    return (size_t)(n_channels == 3 ? 4 : n_channels) * (size_t)side * (size_t)side;
}

/* Pixels of padding at top and left: 1 for 3x3 stride 1, otherwise 0. */
static inline int conv_padding(const struct conv_shape *shape) {
    return shape->k == 3 && shape->stride == 1 ? 1 : 0;
}

/* STATUS_UNSUPPORTED for anything that is no convolution of this network. */
enum status conv_shape_check(const struct conv_shape *shape);

/* The element-wise functions in plain C, also used by the blas variant. */
void ref_bn_sums(int c, int n_pixels, const float *src, double *sum, double *sum_squares);
void ref_bn_relu(int c, int n_pixels, const float *src, const float *scale, const float *shift,
                 float *dst);
void ref_bn_add_relu(int c, int n_pixels, const float *src, const float *scale, const float *shift,
                     const float *add, float *dst);
void ref_bn_backward(int c, int n_pixels, const float *diff, const float *src, const float *a,
                     const float *b, const float *k, float *dst);
void ref_relu_backward(int c, int n_pixels, const float *diff, const float *add, const float *act,
                       const float *src, float *dst, double *sum, double *sum_src);

/* The same on kept tensors; nothing is streamed here. */
extern const struct kept_functions ref_kept_f32;
extern const struct kept_functions ref_kept_bf16;

#endif
