/* Heads of the functions of a conv_plan, to be written once: CONV_FORWARD(name); declares,
 * CONV_FORWARD(name) { ... } defines. Arguments are those of core/kernels/kernels.h.
 *
 * Layer: core/kernels.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_CONV_FUNCTIONS_H
#define CUTOUTD_CORE_KERNELS_X86_CONV_FUNCTIONS_H

#include "core/kernels/kernels.h"

#define CONV_PACK(name)                                                                            \
    void name(const struct conv_plan *plan, const float *weights, float *packed, int part,         \
              int n_parts)

#define CONV_FORWARD(name)                                                                         \
    void name(const struct conv_plan *plan, int n_images, const float *src, const float *weights,  \
              const float *bias, float *dst, float *scratch,                                       \
              const struct kernel_prefetch *prefetch)

#define CONV_BACKWARD_DATA(name)                                                                   \
    void name(const struct conv_plan *plan, int n_images, const float *diff_dst,                   \
              const float *weights, float *diff_src, bool accumulate, float *scratch,              \
              const struct kernel_prefetch *prefetch)

#define CONV_WEIGHTS_ADD(name)                                                                     \
    void name(const struct conv_plan *plan, int n_images, const float *src, const float *diff_dst, \
              float *accumulator, bool first, float *scratch,                                      \
              const struct kernel_prefetch *prefetch)

#define CONV_WEIGHTS_FINISH(name)                                                                  \
    void name(const struct conv_plan *plan, const float *accumulator, float *diff_weights)

#endif
