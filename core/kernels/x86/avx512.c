/* The AVX-512 variant: which kernel does which convolution. Layer: core/kernels.
 *
 * This file is compiled without AVX-512: it only holds tables.
 */
#include "core/kernels/x86/pack.h"

#if defined(__x86_64__)

#include "core/kernels/x86/avx512.h"

/* Output blocks of 16 that the forward kernels take at once, and those of the data gradient. */
static int forward_blocks(const struct conv_shape *s) {
    return s->oc == 16 ? 1 : 2;
}

static int backward_blocks(const struct conv_shape *s) {
    return s->stride == 1 && s->ic > 16 ? 2 : 1;
}

static CONV_PACK(pack_forward) {
    pack_weights(&plan->shape, PACK_FORWARD, forward_blocks(&plan->shape), weights, packed, part,
                 n_parts);
}

static CONV_PACK(pack_backward) {
    const struct conv_shape *s = &plan->shape;
    enum pack_direction direction = s->stride == 1 ? PACK_TRANSPOSED_FLIPPED : PACK_TRANSPOSED;
    pack_weights(s, direction, backward_blocks(s), weights, packed, part, n_parts);
}

static CONV_WEIGHTS_FINISH(weights_finish) {
    unpack_gradient(&plan->shape, accumulator, diff_weights);
}

/* Functions by shape; packing and sizes are filled in by direct_plan. */
static const struct conv_plan direct_plans[] = {
    {.shape = {.ic = 3, .oc = 16, .ih = 32, .oh = 32, .k = 3, .stride = 1},
     .forward = avx512_stem_forward,
     .weights_add = avx512_stem_weights_add},
    {.shape = {.ic = 16, .oc = 16, .ih = 32, .oh = 32, .k = 3, .stride = 1},
     .forward = avx512_conv16_forward,
     .backward_data = avx512_conv16_backward_data,
     .weights_add = avx512_conv16_weights_add},
    {.shape = {.ic = 32, .oc = 32, .ih = 16, .oh = 16, .k = 3, .stride = 1},
     .forward = avx512_conv32_forward,
     .backward_data = avx512_conv32_backward_data,
     .weights_add = avx512_conv32_weights_add},
    {.shape = {.ic = 64, .oc = 64, .ih = 8, .oh = 8, .k = 3, .stride = 1},
     .forward = avx512_conv64_forward,
     .backward_data = avx512_conv64_backward_data,
     .weights_add = avx512_conv64_weights_add},
    {.shape = {.ic = 16, .oc = 32, .ih = 32, .oh = 16, .k = 3, .stride = 2},
     .forward = avx512_down32_forward,
     .backward_data = avx512_down32_backward_data,
     .weights_add = avx512_down32_weights_add},
    {.shape = {.ic = 32, .oc = 64, .ih = 16, .oh = 8, .k = 3, .stride = 2},
     .forward = avx512_down64_forward,
     .backward_data = avx512_down64_backward_data,
     .weights_add = avx512_down64_weights_add},
    {.shape = {.ic = 16, .oc = 32, .ih = 32, .oh = 16, .k = 1, .stride = 2},
     .forward = avx512_point32_forward,
     .backward_data = avx512_point32_backward_data,
     .weights_add = avx512_point32_weights_add},
    {.shape = {.ic = 32, .oc = 64, .ih = 16, .oh = 8, .k = 1, .stride = 2},
     .forward = avx512_point64_forward,
     .backward_data = avx512_point64_backward_data,
     .weights_add = avx512_point64_weights_add},
};

static bool shape_equal(const struct conv_shape *a, const struct conv_shape *b) {
    return a->ic == b->ic && a->oc == b->oc && a->ih == b->ih && a->oh == b->oh && a->k == b->k &&
           a->stride == b->stride;
}

static enum status conv_plan(const struct conv_shape *shape, bool winograd,
                             struct conv_plan *ret_plan) {
    (void)winograd;
    for (size_t i = 0; i < sizeof(direct_plans) / sizeof(direct_plans[0]); i++) {
        if (shape_equal(shape, &direct_plans[i].shape)) {
            struct conv_plan plan = direct_plans[i];
            plan.forward_floats = conv_weight_count(shape);
            plan.backward_floats = plan.backward_data ? conv_weight_count(shape) : 0;
            plan.accumulator_floats = conv_weight_count(shape);
            plan.pack_forward = pack_forward;
            plan.pack_backward = plan.backward_data ? pack_backward : NULL;
            plan.weights_finish = weights_finish;
            *ret_plan = plan;
            return STATUS_OK;
        }
    }
    return STATUS_UNSUPPORTED;
}

const struct kernels kernels_avx512 = {
    .name = "avx512",
    .has_winograd = false,
    .conv_plan = conv_plan,
    .bn_sums = avx512_bn_sums,
    .bn_relu = avx512_bn_relu,
    .bn_add_relu = avx512_bn_add_relu,
    .bn_backward = avx512_bn_backward,
    .relu_backward = avx512_relu_backward,
};

#endif
