/* Winograd F(4x4,3x3) for the 3x3 stride 1 convolutions, AVX-512: forward, data gradient, weight
 * gradient. 36 multiplications a tile of 16 pixels instead of 144.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h.
 *
 * Images are taken in groups of 1, 2, 4 for 16, 32, 64 channels: always 1024 floats a plane. One
 * set of 36 planes (forward) or two (weight gradient) are the scratch and stay in L2. What is
 * summed in which order does not depend on the grouping.
 */
#if defined(__x86_64__)

#include "core/kernels/x86/avx512.h"
#include "core/kernels/x86/avx512_wino_products.h"
#include "core/kernels/x86/avx512_wino_tiles.h"

static const float zeros[64];

INLINE int group_images(struct wino w) {
    return w.c / 16;
}

INLINE int image_floats(struct wino w) {
    return w.c * w.side * w.side;
}

/* Images of the group that starts at `first`. */
INLINE int group_size(struct wino w, int first, int n_images) {
    return n_images - first < group_images(w) ? n_images - first : group_images(w);
}

/* prefetch_step is called once a register tile of the products. */
INLINE struct prefetch_cursor prefetch_of(struct wino w, int n_images, bool weights,
                                          const struct kernel_prefetch *hint) {
    int groups = (n_images + group_images(w) - 1) / group_images(w);
    int tiles = weights ? groups * w.c : n_images * tiles_per_image(w);
    return prefetch_start(hint, WINO_PLANES * tiles / product_rows(w.c));
}

/* Forward, or the data gradient with transposed and turned weights. */
INLINE void wino_conv(struct wino w, int n_images, const float *src, const float *weights,
                      const float *bias, bool accumulate, float *dst, float *scratch,
                      const struct kernel_prefetch *hint) {
    struct prefetch_cursor prefetch = prefetch_of(w, n_images, false, hint);
    const int image = tiles_per_image(w) * w.c; /* floats of one image in a plane */
    for (int first = 0; first < n_images; first += group_images(w)) {
        const int n = group_size(w, first, n_images);
        for (int i = 0; i < n; i++, src += image_floats(w)) {
            input_image(w, src, scratch + i * image);
        }
        products_forward(w, n * tiles_per_image(w), scratch, weights, &prefetch);
        for (int i = 0; i < n; i++, dst += image_floats(w)) {
            output_image(w, scratch + i * image, bias, accumulate, dst);
        }
    }
}

INLINE void wino_weights_add(struct wino w, int n_images, const float *src, const float *diff_dst,
                             float *accumulator, bool set, float *scratch,
                             const struct kernel_prefetch *hint) {
    struct prefetch_cursor prefetch = prefetch_of(w, n_images, true, hint);
    const int image = tiles_per_image(w) * w.c;
    float *v = scratch;
    float *z = scratch + WINO_PLANES * WINO_PLANE;
    for (int first = 0; first < n_images; first += group_images(w)) {
        const int n = group_size(w, first, n_images);
        for (int i = 0; i < n; i++) {
            input_image(w, src, v + i * image);
            gradient_image(w, diff_dst, z + i * image);
            src += image_floats(w);
            diff_dst += image_floats(w);
        }
        products_weights(w, n * tiles_per_image(w), v, z, accumulator, set && first == 0,
                         &prefetch);
    }
}

#define WINO(channels, pixels)                                                                     \
    CONV_FORWARD(avx512_wino##channels##_forward) {                                                \
        (void)plan;                                                                                \
        wino_conv((struct wino){channels, pixels}, n_images, src, weights, bias ? bias : zeros,    \
                  false, dst, scratch, prefetch);                                                  \
    }                                                                                              \
    CONV_BACKWARD_DATA(avx512_wino##channels##_backward_data) {                                    \
        (void)plan;                                                                                \
        wino_conv((struct wino){channels, pixels}, n_images, diff_dst, weights, zeros, accumulate, \
                  diff_src, scratch, prefetch);                                                    \
    }                                                                                              \
    CONV_WEIGHTS_ADD(avx512_wino##channels##_weights_add) {                                        \
        (void)plan;                                                                                \
        wino_weights_add((struct wino){channels, pixels}, n_images, src, diff_dst, accumulator,    \
                         first, scratch, prefetch);                                                \
    }

WINO(16, 32)
WINO(32, 16)
WINO(64, 8)

#endif
