/* The AVX2 variant: which kernel does which convolution. Layer: core/kernels.
 *
 * Compiled without AVX2: tables and packing, nothing that needs it.
 */
#if defined(__x86_64__)

#include "core/kernels/x86/avx2.h"
#include "core/kernels/x86/pack.h"

static CONV_PACK(pack_forward) {
    pack_weights(&plan->shape, PACK_FORWARD, 1, weights, packed, part, n_parts);
}

static CONV_PACK(pack_backward) {
    enum pack_direction direction =
        plan->shape.stride == 1 ? PACK_TRANSPOSED_FLIPPED : PACK_TRANSPOSED;
    pack_weights(&plan->shape, direction, 1, weights, packed, part, n_parts);
}

static const struct direct_functions direct[N_SHAPES] = DIRECT_TABLE(avx2);

static const struct wino_functions winograd_functions = WINO_FUNCTIONS(avx2);

static enum status conv_plan(const struct conv_shape *shape, bool winograd,
                             struct conv_plan *ret_plan) {
    enum direct_shape found = direct_shape_find(shape);
    if (found == N_SHAPES) {
        return STATUS_UNSUPPORTED;
    }
    *ret_plan = winograd && winograd_functions.shapes[found].forward
                    ? wino_plan(shape, found, &winograd_functions)
                    : direct_plan(found, &direct[found], pack_forward, pack_backward);
    return STATUS_OK;
}

const struct kernels kernels_avx2 = {
    .name = "avx2",
    .has_winograd = true,
    .conv_plan = conv_plan,
    .bn_sums = avx2_bn_sums,
    .bn_relu = avx2_bn_relu,
    .bn_add_relu = avx2_bn_add_relu,
    .bn_backward = avx2_bn_backward,
    .relu_backward = avx2_relu_backward,
    .fma_probe = avx2_fma_probe,
};

#endif
