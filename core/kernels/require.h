/* The caller's side of core/kernels/kernels.h, checked in builds with asserts: sizes, alignment,
 * which memory may overlap.
 *
 * Layer: core/kernels. Thread rule: pure functions. Use: REQUIRE(pack(plan, weights, packed)); as
 * the first line of each function of the contract; nothing in builds without asserts.
 */
#ifndef CUTOUTD_CORE_KERNELS_REQUIRE_H
#define CUTOUTD_CORE_KERNELS_REQUIRE_H

#include "core/kernels/kernels.h"

#ifdef NDEBUG
#define REQUIRE(call) ((void)0)
#else
#define REQUIRE(call) require_##call
#endif

/* Of struct conv_plan. */
void require_pack(const struct conv_plan *plan, const float *weights, const float *packed);
void require_forward(const struct conv_plan *plan, int n_images, const float *src,
                     const float *weights, const float *bias, const float *dst,
                     const float *scratch, const struct kernel_prefetch *prefetch);
void require_backward_data(const struct conv_plan *plan, int n_images, const float *diff_dst,
                           const float *weights, const float *diff_src, const float *scratch,
                           const struct kernel_prefetch *prefetch);
void require_weights_add(const struct conv_plan *plan, int n_images, const float *src,
                         const float *diff_dst, const float *accumulator, const float *scratch,
                         const struct kernel_prefetch *prefetch);
void require_weights_finish(const struct conv_plan *plan, const float *accumulator,
                            const float *diff_weights);

/* Of struct kernels. */
void require_bn_sums(int c, int n_pixels, const float *src, const double *sum,
                     const double *sum_squares);
void require_bn_add_relu(int c, int n_pixels, const float *src, const float *scale,
                         const float *shift, const float *add, const float *dst);
void require_bn_backward(int c, int n_pixels, const float *diff, const float *src, const float *a,
                         const float *b, const float *k, const float *dst);
void require_relu_backward(int c, int n_pixels, const float *diff, const float *add,
                           const float *act, const float *src, const float *dst, const double *sum,
                           const double *sum_src);

/* Of struct kept_functions. */
void require_kept_sums(int c, int n_pixels, const float *src, const void *kept, const double *sum,
                       const double *sum_squares);
void require_kept_bn_relu(int c, int n_pixels, const void *src, const float *scale,
                          const float *shift, const void *add, const float *dst, const void *kept);
void require_kept_bn_backward(int c, int n_pixels, const void *diff, const void *src,
                              const float *a, const float *b, const float *k, const float *dst);
void require_kept_relu_backward(int c, int n_pixels, const float *diff, const void *add,
                                const float *act, const void *src, const void *dst,
                                const double *sum, const double *sum_src);
void require_kept_copy(size_t n, const void *src, const void *dst);

#endif
