/* Winograd F(4x4,3x3) for the 3x3 stride 1 convolutions, what all x86 variants share: sizes, names
 * and the plan. 36 multiplications a tile of 16 pixels instead of 144.
 *
 * Layer: core/kernels. Thread rule: pure functions and constants. The arithmetic is in wino_conv.h
 * and wino_weights.h, compiled once for each instruction set; a variant gives the same bits as the
 * others, because every result is the same sequence of operations on its own lane.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_WINO_H
#define CUTOUTD_CORE_KERNELS_X86_WINO_H

#include "core/kernels/x86/direct.h"

/* Declares the functions of a variant: avx2_wino16_forward ... */
#define WINO_DECLARE(variant)                                                                      \
    WINO_DECLARE_SHAPE(variant##_wino16);                                                          \
    WINO_DECLARE_SHAPE(variant##_wino32);                                                          \
    WINO_DECLARE_SHAPE(variant##_wino64);                                                          \
    CONV_PACK(variant##_wino_pack_forward);                                                        \
    CONV_PACK(variant##_wino_pack_backward);                                                       \
    CONV_WEIGHTS_FINISH(variant##_wino_weights_finish)

#define WINO_DECLARE_SHAPE(name)                                                                   \
    DIRECT_DECLARE_SHAPE(name);                                                                    \
    WINO_FORWARD_PRODUCTS(name##_forward_products);                                                \
    WINO_WEIGHTS_PRODUCTS(name##_weights_products)

#define WINO_FORWARD_PRODUCTS(name)                                                                \
    void name(const struct conv_plan *plan, int n_images, const float *weights, float *scratch)

#define WINO_WEIGHTS_PRODUCTS(name)                                                                \
    void name(const struct conv_plan *plan, int n_images, float *accumulator, float *scratch)

struct wino_shape_functions {
    struct direct_functions convolution;
    WINO_FORWARD_PRODUCTS((*forward_products));
    WINO_WEIGHTS_PRODUCTS((*weights_products));
};

struct wino_functions {
    struct wino_shape_functions shapes[N_SHAPES]; /* empty where there is no Winograd */
    CONV_PACK((*pack_forward));
    CONV_PACK((*pack_backward));
    CONV_WEIGHTS_FINISH((*weights_finish));
};

/* Starting values of a struct wino_functions. */
#define WINO_FUNCTIONS(variant)                                                                    \
    {                                                                                              \
        .shapes = {[SHAPE_CONV16] = WINO_TABLE_SHAPE(variant##_wino16),                            \
                   [SHAPE_CONV32] = WINO_TABLE_SHAPE(variant##_wino32),                            \
                   [SHAPE_CONV64] = WINO_TABLE_SHAPE(variant##_wino64)},                           \
        .pack_forward = variant##_wino_pack_forward,                                               \
        .pack_backward = variant##_wino_pack_backward,                                             \
        .weights_finish = variant##_wino_weights_finish,                                           \
    }

#define WINO_TABLE_SHAPE(name)                                                                     \
    { DIRECT_TABLE_SHAPE(name), name##_forward_products, name##_weights_products }

/* The plan of a shape that has Winograd. */
struct conv_plan wino_plan(const struct conv_shape *shape, enum direct_shape found,
                           const struct wino_functions *functions);

/* A tile of 4x4 outputs becomes 6x6 values, each in a plane of its own. The planes of a group of
 * images hold 1024 floats. Nine lines more between them spread a row of eight tiles in 36 planes
 * over all sets of the L1 cache; with one line more they crowd into 43 of 64. */
enum {
    WINO_PLANES = 36,
    WINO_PLANE_PADDING = 9 * 16,
    WINO_PLANE = 1024 + WINO_PLANE_PADDING,
    WINO_SCRATCH_FLOATS = 2 * WINO_PLANES * WINO_PLANE, /* of the functions of winoN */
};

/* Floats from one plane of transformed weights [ic][oc] to the next; padded likewise. */
static inline int wino_weight_plane(int c) {
    return c * c + 16;
}

#endif
