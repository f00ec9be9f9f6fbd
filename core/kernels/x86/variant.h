/* What a variant of one instruction set consists of: its functions, and the tables made of them.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h. Names: direct.h; winoN is convN by
 * Winograd.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_VARIANT_H
#define CUTOUTD_CORE_KERNELS_X86_VARIANT_H

#include "core/kernels/x86/direct.h"
#include "core/kernels/x86/wino.h"
#include "core/kernels/x86/x86.h"

/* Declares everything that a variant's files define; the arguments are those of kernels.h. */
#define VARIANT_DECLARE(variant)                                                                   \
    DIRECT_DECLARE(variant);                                                                       \
    WINO_DECLARE(variant);                                                                         \
    void variant##_bn_sums(int c, int n_pixels, const float *src, double *sum,                     \
                           double *sum_squares);                                                   \
    void variant##_bn_relu(int c, int n_pixels, const float *src, const float *scale,              \
                           const float *shift, float *dst);                                        \
    void variant##_bn_add_relu(int c, int n_pixels, const float *src, const float *scale,          \
                               const float *shift, const float *add, float *dst);                  \
    void variant##_bn_backward(int c, int n_pixels, const float *diff, const float *src,           \
                               const float *a, const float *b, const float *k, float *dst);        \
    void variant##_relu_backward(int c, int n_pixels, const float *diff, const float *add,         \
                                 const float *act, const float *src, float *dst, double *sum,      \
                                 double *sum_src);                                                 \
    extern const struct kept_functions variant##_f32_streamed;                                     \
    extern const struct kept_functions variant##_bf16;                                             \
    extern const struct kept_functions variant##_bf16_streamed;                                    \
    double variant##_fma_probe(int64_t rounds)

struct variant_convolutions {
    struct direct_functions direct[N_SHAPES];
    bool wide; /* direct_plan */
    struct wino_functions winograd;
};

/* conv_plan of struct kernels, for one variant. */
enum status variant_conv_plan(const struct variant_convolutions *convolutions,
                              const struct conv_shape *shape, bool winograd,
                              struct conv_plan *ret_plan);

/* Defines kernels_VARIANT. */
#define VARIANT_DEFINE(variant, is_wide)                                                           \
    static enum status conv_plan(const struct conv_shape *shape, bool winograd,                    \
                                 struct conv_plan *ret_plan) {                                     \
        static const struct variant_convolutions convolutions = {                                  \
            .direct = DIRECT_TABLE(variant),                                                       \
            .wide = (is_wide),                                                                     \
            .winograd = WINO_FUNCTIONS(variant),                                                   \
        };                                                                                         \
        return variant_conv_plan(&convolutions, shape, winograd, ret_plan);                        \
    }                                                                                              \
    const struct kernels kernels_##variant = {                                                     \
        .name = #variant,                                                                          \
        .has_winograd = true,                                                                      \
        .conv_plan = conv_plan,                                                                    \
        .bn_sums = variant##_bn_sums,                                                              \
        .bn_relu = variant##_bn_relu,                                                              \
        .bn_add_relu = variant##_bn_add_relu,                                                      \
        .bn_backward = variant##_bn_backward,                                                      \
        .relu_backward = variant##_relu_backward,                                                  \
        .kept = {[KEPT_F32_STREAMED] = &variant##_f32_streamed,                                    \
                 [KEPT_BF16] = &variant##_bf16,                                                    \
                 [KEPT_BF16_STREAMED] = &variant##_bf16_streamed},                                 \
        .fma_probe = variant##_fma_probe,                                                          \
    }

#endif
