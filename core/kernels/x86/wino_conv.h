/* Winograd F(4x4,3x3) for the 3x3 stride 1 convolutions: forward, data gradient, weight gradient.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h. Included by one file an instruction
 * set, which then names the functions with WINO_DEFINE.
 *
 * Images are taken in groups of 1, 2, 4 for 16, 32, 64 channels: always 1024 floats a plane. One
 * set of 36 planes and one more (forward: the products of plane k + 1 go to plane k) or two sets
 * (weight gradient) are the scratch and stay in L2. Forward with
 * 16 channels does better: a strip of one row of tiles makes planes of 20 KB that stay in L1, and
 * the 36 KB of weights that it reads from L2 for each strip are cheaper than moving 150 KB of
 * planes in and out. (With 32 channels the weights are 147 KB: there it does not pay.) What is
 * summed in which order does not depend on any of this.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_WINO_CONV_H
#define CUTOUTD_CORE_KERNELS_X86_WINO_CONV_H

#include "core/kernels/x86/wino_products.h"

static const float zeros[64];

INLINE int image_floats(struct wino w) {
    return w.c * w.side * w.side;
}

/* Images of the group that starts at `first`. */
INLINE int group_size(struct wino w, int first, int n_images) {
    return n_images - first < group_images(w) ? n_images - first : group_images(w);
}

/* Forward, or the data gradient with transposed and turned weights. */
INLINE void wino_conv(struct wino w, int n_images, const float *src, const float *weights,
                      const float *bias, bool accumulate, float *dst, float *scratch,
                      const struct kernel_prefetch *hint) {
    const int image = strip_tiles(w) * w.c; /* floats of one image in a plane */
    const int n_tiles = n_images * strip_tiles(w) * (w.side / w.rows);
    /* prefetch_step is called once a register tile of the products. */
    struct prefetch_cursor prefetch = prefetch_start(hint, forward_steps(w, n_tiles));
    for (int first = 0; first < n_images; first += group_images(w)) {
        const int n = group_size(w, first, n_images);
        for (int row = 0; row < w.side; row += w.rows) {
            for (int i = 0; i < n; i++) {
                input_image(w, src + i * image_floats(w), row,
                            scratch + plane_floats(w) + i * image);
            }
            products_forward(w, n * strip_tiles(w), scratch, weights, &prefetch);
            for (int i = 0; i < n; i++) {
                output_image(w, scratch + i * image, bias, accumulate, row,
                             dst + i * image_floats(w));
            }
        }
        src += n * image_floats(w);
        dst += n * image_floats(w);
    }
}

INLINE void wino_weights_add(struct wino w, int n_images, const float *src, const float *diff_dst,
                             float *accumulator, bool set, float *scratch,
                             const struct kernel_prefetch *hint) {
    const int image = strip_tiles(w) * w.c;
    const int groups = (n_images + group_images(w) - 1) / group_images(w);
    struct prefetch_cursor prefetch = prefetch_start(hint, groups * weights_steps(w));
    float *v = scratch;
    float *z = scratch + WINO_PLANES * plane_floats(w);
    for (int first = 0; first < n_images; first += group_images(w)) {
        const int n = group_size(w, first, n_images);
        for (int i = 0; i < n; i++) {
            input_image(w, src, 0, v + i * image);
            gradient_image(w, diff_dst, 0, z + i * image);
            src += image_floats(w);
            diff_dst += image_floats(w);
        }
        products_weights(w, n * strip_tiles(w), v, z, accumulator, set && first == 0, &prefetch);
    }
}

/* What wino_conv and wino_weights_add leave when the transforms are taken away. */
INLINE void wino_forward_products(struct wino w, int n_images, const float *weights,
                                  float *scratch) {
    struct prefetch_cursor prefetch = prefetch_start(NULL, 1);
    for (int first = 0; first < n_images; first += group_images(w)) {
        for (int row = 0; row < w.side; row += w.rows) {
            products_forward(w, group_size(w, first, n_images) * strip_tiles(w), scratch, weights,
                             &prefetch);
        }
    }
}

INLINE void wino_weights_products(struct wino w, int n_images, float *accumulator, float *scratch) {
    struct prefetch_cursor prefetch = prefetch_start(NULL, 1);
    for (int first = 0; first < n_images; first += group_images(w)) {
        products_weights(w, group_size(w, first, n_images) * strip_tiles(w), scratch,
                         scratch + WINO_PLANES * plane_floats(w), accumulator, first == 0,
                         &prefetch);
    }
}

#define WINO_SHAPE(variant, channels, pixels, strip)                                               \
    CONV_FORWARD(variant##_wino##channels##_forward) {                                             \
        CONV_FORWARD_BEGIN(channels, channels);                                                    \
        wino_conv((struct wino){channels, pixels, strip}, n_images, src, weights,                  \
                  bias ? bias : zeros, false, dst, scratch, prefetch);                             \
    }                                                                                              \
    CONV_BACKWARD_DATA(variant##_wino##channels##_backward_data) {                                 \
        CONV_BACKWARD_DATA_BEGIN(channels, channels);                                              \
        wino_conv((struct wino){channels, pixels, strip}, n_images, diff_dst, weights, zeros,      \
                  accumulate, diff_src, scratch, prefetch);                                        \
    }                                                                                              \
    CONV_WEIGHTS_ADD(variant##_wino##channels##_weights_add) {                                     \
        CONV_WEIGHTS_ADD_BEGIN(channels, channels);                                                \
        wino_weights_add((struct wino){channels, pixels, pixels}, n_images, src, diff_dst,         \
                         accumulator, first, scratch, prefetch);                                   \
    }                                                                                              \
    WINO_FORWARD_PRODUCTS(variant##_wino##channels##_forward_products) {                           \
        (void)plan;                                                                                \
        wino_forward_products((struct wino){channels, pixels, strip}, n_images, weights, scratch); \
    }                                                                                              \
    WINO_WEIGHTS_PRODUCTS(variant##_wino##channels##_weights_products) {                           \
        (void)plan;                                                                                \
        wino_weights_products((struct wino){channels, pixels, pixels}, n_images, accumulator,      \
                              scratch);                                                            \
    }

#define WINO_DEFINE(variant)                                                                       \
    WINO_SHAPE(variant, 16, 32, 4)                                                                 \
    WINO_SHAPE(variant, 32, 16, 16)                                                                \
    WINO_SHAPE(variant, 64, 8, 8)

#endif
