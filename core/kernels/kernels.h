/* The contract of the compute kernels: what every variant (ref, blas, avx2, avx512) offers to the
 * network above it.
 *
 * Layer: core/kernels. Thread rule: a struct kernels and a struct conv_plan are read-only after
 * they were made; all functions may run on many threads at once as long as their outputs and
 * `scratch` do not overlap.
 *
 * Layout of activations: one image is [C/16][H][W][16] floats ("16c"): a group of 16 channels of
 * one pixel is one 64-byte line. Images follow each other without gaps. There are no halos. The
 * network's input is [H][W][4] with the fourth value zero (ic == 3).
 *
 * Layout of weights and their gradients outside of a variant: HWIO, [kh][kw][ic][oc], as in Keras.
 * Each variant packs them for itself.
 *
 * Padding is Keras' `same`: 3x3 stride 1 pads one pixel on all sides; 3x3 stride 2 (even input)
 * pads nothing at top and left and one at bottom and right; 1x1 stride 2 reads pixels (2i, 2j).
 *
 * Pointers to floats are aligned to 64 bytes, sizes are in floats; an output and `scratch` overlap
 * nothing else in the call, unless it is said (then they are the same, never a part). Builds with
 * asserts check all that a caller has to keep (core/kernels/require.h). A multiplication and the
 * addition of its product may be one operation (fma) or two: that is the variant's choice and part
 * of its bits.
 *
 * NaN is never swallowed: every result that depends on a NaN by this contract's formulas is NaN,
 * also behind ReLU and its mask, and where the factor beside it is zero. Winograd, and blas, which
 * multiplies padding too, may spread it over a 4x4 tile of pixels or the taps of a pair of
 * channels.
 *
 * Same inputs give the same bits: no function's result depends on which thread runs it, and a call
 * for n images gives for each image what n calls would (weights_add: the sum in order of images).
 */
#ifndef CUTOUTD_CORE_KERNELS_KERNELS_H
#define CUTOUTD_CORE_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

/* A convolution with square images. oh == ih / stride. */
struct conv_shape {
    int ic; /* 3 (the stem), 16, 32 or 64 */
    int oc; /* 16, 32 or 64 */
    int ih;
    int oh;
    int k;      /* 3 or 1 */
    int stride; /* 1 or 2 */
};

/* Memory that will be read soon: a variant may fetch it into L2 while it computes. Purely a hint.
 */
struct kernel_prefetch {
    int n_ranges;
    struct {
        const void *start;
        size_t n_bytes;
    } ranges[6];
};

/* A convolution prepared by one variant: sizes and the functions that do it. Immutable. */
struct conv_plan {
    struct conv_shape shape;
    bool winograd;             /* F(4x4,3x3) rather than direct */
    size_t forward_floats;     /* packed weights for forward; 0: it reads HWIO as it is */
    size_t backward_floats;    /* packed weights for backward_data; 0 likewise */
    size_t accumulator_floats; /* running sum of weights_add, one a thread; at least 9*ic*oc */
    size_t scratch_floats;     /* working space of any one call, one a thread */

    /* weights: HWIO -> packed. NULL when the size above is 0. */
    void (*pack_forward)(const struct conv_plan *plan, const float *weights, float *packed);
    void (*pack_backward)(const struct conv_plan *plan, const float *weights, float *packed);

    /* dst = conv(src, weights) + bias. bias: [oc] or NULL. src: n images of ic, ih; dst: n images
     * of oc, oh. weights: packed, or HWIO when forward_floats is 0. prefetch may be NULL. */
    void (*forward)(const struct conv_plan *plan, int n_images, const float *src,
                    const float *weights, const float *bias, float *dst, float *scratch,
                    const struct kernel_prefetch *prefetch);

    /* diff_src = or += (accumulate) the gradient for the input. Not for ic == 3. */
    void (*backward_data)(const struct conv_plan *plan, int n_images, const float *diff_dst,
                          const float *weights, float *diff_src, bool accumulate, float *scratch,
                          const struct kernel_prefetch *prefetch);

    /* accumulator (+)= gradient for the weights over n images; first: sets instead of adds. The
     * accumulator's layout is the variant's own. */
    void (*weights_add)(const struct conv_plan *plan, int n_images, const float *src,
                        const float *diff_dst, float *accumulator, bool first, float *scratch,
                        const struct kernel_prefetch *prefetch);

    /* diff_weights (HWIO) = accumulator. */
    void (*weights_finish)(const struct conv_plan *plan, const float *accumulator,
                           float *diff_weights);

    /* For benchmarks: the matrix products of forward and of weights_add alone, without the
     * transforms around them, on whatever scratch holds. NULL where nothing stands around them. */
    void (*forward_products)(const struct conv_plan *plan, int n_images, const float *weights,
                             float *scratch);
    void (*weights_products)(const struct conv_plan *plan, int n_images, float *accumulator,
                             float *scratch);
};

/* How tensors are kept that a training step saves for later. Streamed: written past the caches, for
 * what will have left them before it is read again; the bits are those without it. */
enum kept_type { KEPT_F32, KEPT_F32_STREAMED, KEPT_BF16, KEPT_BF16_STREAMED, N_KEPT_TYPES };

/* The element-wise functions of struct kernels on tensors that are kept so; arithmetic is that of
 * float. What is kept is rounded to bfloat16 first (to nearest, ties to even; NaN stays NaN), and
 * whatever follows works with the rounded value: sums, and dst. void: floats or bfloat16s, aligned
 * to 64 bytes. No pointer may be equal to another one unless it is said. */
struct kept_functions {
    /* kept = src. The sums are those of what is kept. */
    void (*bn_sums)(int c, int n_pixels, const float *src, void *kept, double *sum,
                    double *sum_squares);

    /* dst = max(0, (src * scale + shift) + add), add may be NULL. kept = dst, dst being rounded;
     * kept may be NULL, and dst is then as exact as a float. */
    void (*bn_relu)(int c, int n_pixels, const void *src, const float *scale, const float *shift,
                    const void *add, float *dst, void *kept);

    /* dst = a * diff + (b * src + k). */
    void (*bn_backward)(int c, int n_pixels, const void *diff, const void *src, const float *a,
                        const float *b, const float *k, float *dst);

    /* As in struct kernels; add may be NULL, dst may be add. */
    void (*relu_backward)(int c, int n_pixels, const float *diff, const void *add, const float *act,
                          const void *src, void *dst, double *sum, double *sum_src);

    /* dst = src; n: a multiple of 64. */
    void (*widen)(size_t n, const void *src, float *dst);
    void (*narrow)(size_t n, const float *src, void *dst);
};

/* One variant. The element-wise functions work on one image of c channels (a multiple of 16) and
 * n_pixels (a multiple of 4) pixels in 16c layout; vectors of coefficients are [c]. */
struct kernels {
    const char *name; /* "ref", "blas", "avx2", "avx512": stored with each run */
    bool has_winograd;

    /* Fills *ret_plan. `winograd`: where it can be had; a plan without it is made where the variant
     * or the shape has none. STATUS_UNSUPPORTED for shapes that ResNet does not have. */
    enum status (*conv_plan)(const struct conv_shape *shape, bool winograd,
                             struct conv_plan *ret_plan);

    /* sum[c] += sum over pixels of src, sum_squares[c] likewise of src^2; in double, of which runs
     * of at most four pixels may be added in float first. */
    void (*bn_sums)(int c, int n_pixels, const float *src, double *sum, double *sum_squares);

    /* dst = max(0, src * scale + shift). dst may be src. */
    void (*bn_relu)(int c, int n_pixels, const float *src, const float *scale, const float *shift,
                    float *dst);

    /* dst = max(0, (src * scale + shift) + add). dst may be src or add. */
    void (*bn_add_relu)(int c, int n_pixels, const float *src, const float *scale,
                        const float *shift, const float *add, float *dst);

    /* The gradient through batch normalisation once its sums are known:
     * dst = a * diff + (b * src + k). dst may be diff. */
    void (*bn_backward)(int c, int n_pixels, const float *diff, const float *src, const float *a,
                        const float *b, const float *k, float *dst);

    /* The gradient through ReLU, and the two sums that the batch normalisation before it needs:
     * dst = act > 0 ? diff + add : 0 (add may be NULL), NaN where act or diff + add is;
     * sum[c] += dst; sum_src[c] += dst * src, added as in bn_sums. dst may be diff or add. */
    void (*relu_backward)(int c, int n_pixels, const float *diff, const float *add,
                          const float *act, const float *src, float *dst, double *sum,
                          double *sum_src);

    /* By enum kept_type; NULL for KEPT_F32, whose functions are those above. */
    const struct kept_functions *kept[N_KEPT_TYPES];

    /* The machine's speed limit, for benchmarks: so many rounds of independent fused multiply-adds
     * that stay in registers. Returns the floating-point operations done (a multiply-add is two).
     * NULL: the variant has none. */
    double (*fma_probe)(int64_t rounds);
};

/* Plain loops, the specification of all others. */
extern const struct kernels kernels_ref;

/* im2col and OpenBLAS sgemm, portable. */
extern const struct kernels kernels_blas;

/* Chooses once at start: the best variant this processor runs, but nothing above `cap` ("ref",
 * "blas", "avx2", "avx512"; NULL, "" or "auto": no cap). STATUS_INVALID for another word. */
enum status kernels_select(const char *cap, const struct kernels **ret_kernels,
                           struct error *error);

/* The variant of exactly this name if this processor runs it, or NULL. */
const struct kernels *kernels_find(const char *name);

/* The variants this processor runs, best last; NULL after the last. */
const struct kernels *const *kernels_available(void);

#endif
