/* What the direct kernels of all x86 variants have in common: the shapes, the heads of the
 * functions, the plan made from them.
 *
 * Layer: core/kernels. Thread rule: pure functions and constants.
 *
 * Names: stem (3 -> 16 channels), convN (3x3 stride 1, N -> N), downN (3x3 stride 2, N/2 -> N),
 * pointN (1x1 stride 2, N/2 -> N).
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_DIRECT_H
#define CUTOUTD_CORE_KERNELS_X86_DIRECT_H

#include <assert.h>

#include "core/kernels/kernels.h"
#include "core/kernels/require.h"

/* Heads of the functions of a conv_plan: CONV_FORWARD(name); declares, CONV_FORWARD(name) { ... }
 * defines. Arguments are those of core/kernels/kernels.h. */
#define CONV_PACK(name) void name(const struct conv_plan *plan, const float *weights, float *packed)

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

/* The first lines of a function with such a head: what the contract requires, and that the plan is
 * for the channels the function was made for. */
#define CONV_FORWARD_BEGIN(channels_in, channels_out)                                              \
    REQUIRE(forward(plan, n_images, src, weights, bias, dst, scratch, prefetch));                  \
    CONV_BEGIN(channels_in, channels_out)

#define CONV_BACKWARD_DATA_BEGIN(channels_in, channels_out)                                        \
    REQUIRE(backward_data(plan, n_images, diff_dst, weights, diff_src, scratch, prefetch));        \
    CONV_BEGIN(channels_in, channels_out)

#define CONV_WEIGHTS_ADD_BEGIN(channels_in, channels_out)                                          \
    REQUIRE(weights_add(plan, n_images, src, diff_dst, accumulator, scratch, prefetch));           \
    CONV_BEGIN(channels_in, channels_out)

/* Direct kernels need no scratch and fetch nothing ahead. */
#define CONV_BEGIN(channels_in, channels_out)                                                      \
    assert(plan->shape.ic == (channels_in) && plan->shape.oc == (channels_out));                   \
    (void)plan;                                                                                    \
    (void)scratch;                                                                                 \
    (void)prefetch

/* The convolutions of ResNet. */
enum direct_shape {
    SHAPE_STEM,
    SHAPE_CONV16,
    SHAPE_CONV32,
    SHAPE_CONV64,
    SHAPE_DOWN32,
    SHAPE_DOWN64,
    SHAPE_POINT32,
    SHAPE_POINT64,
    N_SHAPES, /* also: none of these */
};

enum direct_shape direct_shape_find(const struct conv_shape *shape);

/* The three functions of one shape; the stem has no data gradient. */
struct direct_functions {
    CONV_FORWARD((*forward));
    CONV_BACKWARD_DATA((*backward_data));
    CONV_WEIGHTS_ADD((*weights_add));
};

/* Declares all direct kernels of a variant: avx2_stem_forward ... */
#define DIRECT_DECLARE(variant)                                                                    \
    CONV_FORWARD(variant##_stem_forward);                                                          \
    CONV_WEIGHTS_ADD(variant##_stem_weights_add);                                                  \
    DIRECT_DECLARE_SHAPE(variant##_conv16);                                                        \
    DIRECT_DECLARE_SHAPE(variant##_conv32);                                                        \
    DIRECT_DECLARE_SHAPE(variant##_conv64);                                                        \
    DIRECT_DECLARE_SHAPE(variant##_down32);                                                        \
    DIRECT_DECLARE_SHAPE(variant##_down64);                                                        \
    DIRECT_DECLARE_SHAPE(variant##_point32);                                                       \
    DIRECT_DECLARE_SHAPE(variant##_point64)

#define DIRECT_DECLARE_SHAPE(name)                                                                 \
    CONV_FORWARD(name##_forward);                                                                  \
    CONV_BACKWARD_DATA(name##_backward_data);                                                      \
    CONV_WEIGHTS_ADD(name##_weights_add)

/* Starting values of a struct direct_functions [N_SHAPES]. */
#define DIRECT_TABLE(variant)                                                                      \
    {                                                                                              \
        [SHAPE_STEM] = {.forward = variant##_stem_forward,                                         \
                        .weights_add = variant##_stem_weights_add},                                \
        [SHAPE_CONV16] = DIRECT_TABLE_SHAPE(variant##_conv16),                                     \
        [SHAPE_CONV32] = DIRECT_TABLE_SHAPE(variant##_conv32),                                     \
        [SHAPE_CONV64] = DIRECT_TABLE_SHAPE(variant##_conv64),                                     \
        [SHAPE_DOWN32] = DIRECT_TABLE_SHAPE(variant##_down32),                                     \
        [SHAPE_DOWN64] = DIRECT_TABLE_SHAPE(variant##_down64),                                     \
        [SHAPE_POINT32] = DIRECT_TABLE_SHAPE(variant##_point32),                                   \
        [SHAPE_POINT64] = DIRECT_TABLE_SHAPE(variant##_point64),                                   \
    }

#define DIRECT_TABLE_SHAPE(name)                                                                   \
    { name##_forward, name##_backward_data, name##_weights_add }

/* Blocks of 16 channels that a register tile makes at once where it is wide: there are more than 16
 * channels, and it is not the data gradient of stride 2. */
enum { WIDE_BLOCKS = 2 };

/* The plan of one shape. Weights are packed in slices of WIDE_BLOCKS where a tile is wide if
 * `wide`, else of one block (pack.h); the accumulator has the order of unpack_gradient. No scratch.
 */
struct conv_plan direct_plan(enum direct_shape shape, const struct direct_functions *functions,
                             bool wide);

#endif
