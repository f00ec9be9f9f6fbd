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

/* The plan of this shape in a table, or NULL. */
static const struct conv_plan *plan_find(const struct conv_plan *plans, size_t n,
                                         const struct conv_shape *shape) {
    for (size_t i = 0; i < n; i++) {
        if (shape_equal(shape, &plans[i].shape)) {
            return &plans[i];
        }
    }
    return NULL;
}

static const struct conv_plan wino_plans[] = {
    {.shape = {.ic = 16, .oc = 16, .ih = 32, .oh = 32, .k = 3, .stride = 1},
     .forward = avx512_wino16_forward,
     .backward_data = avx512_wino16_backward_data,
     .weights_add = avx512_wino16_weights_add},
    {.shape = {.ic = 32, .oc = 32, .ih = 16, .oh = 16, .k = 3, .stride = 1},
     .forward = avx512_wino32_forward,
     .backward_data = avx512_wino32_backward_data,
     .weights_add = avx512_wino32_weights_add},
    {.shape = {.ic = 64, .oc = 64, .ih = 8, .oh = 8, .k = 3, .stride = 1},
     .forward = avx512_wino64_forward,
     .backward_data = avx512_wino64_backward_data,
     .weights_add = avx512_wino64_weights_add},
};

static struct conv_plan direct_plan(const struct conv_plan *functions) {
    struct conv_plan plan = *functions;
    plan.forward_floats = conv_weight_count(&plan.shape);
    plan.accumulator_floats = conv_weight_count(&plan.shape);
    plan.pack_forward = pack_forward;
    if (plan.backward_data) {
        plan.backward_floats = conv_weight_count(&plan.shape);
        plan.pack_backward = pack_backward;
    }
    plan.weights_finish = weights_finish;
    return plan;
}

static struct conv_plan wino_plan(const struct conv_plan *functions) {
    struct conv_plan plan = *functions;
    size_t planes = 36 * (size_t)(plan.shape.ic * plan.shape.oc);
    plan.winograd = true;
    plan.forward_floats = planes;
    plan.backward_floats = planes;
    plan.accumulator_floats = planes;
    plan.scratch_floats = AVX512_WINO_SCRATCH_FLOATS;
    plan.pack_forward = avx512_wino_pack_forward;
    plan.pack_backward = avx512_wino_pack_backward;
    plan.weights_finish = avx512_wino_weights_finish;
    return plan;
}

static enum status conv_plan(const struct conv_shape *shape, bool winograd,
                             struct conv_plan *ret_plan) {
    const struct conv_plan *functions;
    functions = plan_find(wino_plans, sizeof(wino_plans) / sizeof(wino_plans[0]), shape);
    if (winograd && functions) {
        *ret_plan = wino_plan(functions);
        return STATUS_OK;
    }
    functions = plan_find(direct_plans, sizeof(direct_plans) / sizeof(direct_plans[0]), shape);
    if (functions) {
        *ret_plan = direct_plan(functions);
        return STATUS_OK;
    }
    return STATUS_UNSUPPORTED;
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
