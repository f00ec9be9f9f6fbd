/* The AVX-512 variant: which kernel does which convolution. Layer: core/kernels.
 *
 * Compiled without AVX-512: tables and packing, nothing that needs it.
 */
#if defined(__x86_64__)

#include "core/kernels/x86/avx512.h"
#include "core/kernels/x86/pack.h"

/* Register tiles of the direct kernels take 32 channels out at once, except those that have only
 * 16 and the data gradient of stride 2. */
static CONV_PACK(pack_forward) {
    pack_weights(&plan->shape, PACK_FORWARD, plan->shape.oc == 16 ? 1 : 2, weights, packed, part,
                 n_parts);
}

static CONV_PACK(pack_backward) {
    const struct conv_shape *s = &plan->shape;
    if (s->stride == 1) {
        pack_weights(s, PACK_TRANSPOSED_FLIPPED, s->ic == 16 ? 1 : 2, weights, packed, part,
                     n_parts);
    } else {
        pack_weights(s, PACK_TRANSPOSED, 1, weights, packed, part, n_parts);
    }
}

static const struct direct_functions direct[N_SHAPES] = DIRECT_TABLE(avx512);

static const struct wino_functions winograd_functions = WINO_FUNCTIONS(avx512);

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

const struct kernels kernels_avx512 = {
    .name = "avx512",
    .has_winograd = true,
    .conv_plan = conv_plan,
    .bn_sums = avx512_bn_sums,
    .bn_relu = avx512_bn_relu,
    .bn_add_relu = avx512_bn_add_relu,
    .bn_backward = avx512_bn_backward,
    .relu_backward = avx512_relu_backward,
    .fma_probe = avx512_fma_probe,
};

#endif
