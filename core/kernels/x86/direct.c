/* Shapes and plans of the direct kernels. Layer: core/kernels. */
#include "core/kernels/x86/direct.h"

#include "core/kernels/x86/pack.h"

static const struct conv_shape shapes[N_SHAPES] = {
    [SHAPE_STEM] = {.ic = 3, .oc = 16, .ih = 32, .oh = 32, .k = 3, .stride = 1},
    [SHAPE_CONV16] = {.ic = 16, .oc = 16, .ih = 32, .oh = 32, .k = 3, .stride = 1},
    [SHAPE_CONV32] = {.ic = 32, .oc = 32, .ih = 16, .oh = 16, .k = 3, .stride = 1},
    [SHAPE_CONV64] = {.ic = 64, .oc = 64, .ih = 8, .oh = 8, .k = 3, .stride = 1},
    [SHAPE_DOWN32] = {.ic = 16, .oc = 32, .ih = 32, .oh = 16, .k = 3, .stride = 2},
    [SHAPE_DOWN64] = {.ic = 32, .oc = 64, .ih = 16, .oh = 8, .k = 3, .stride = 2},
    [SHAPE_POINT32] = {.ic = 16, .oc = 32, .ih = 32, .oh = 16, .k = 1, .stride = 2},
    [SHAPE_POINT64] = {.ic = 32, .oc = 64, .ih = 16, .oh = 8, .k = 1, .stride = 2},
};

enum direct_shape direct_shape_find(const struct conv_shape *shape) {
    for (int i = 0; i < N_SHAPES; i++) {
        const struct conv_shape *s = &shapes[i];
        if (s->ic == shape->ic && s->oc == shape->oc && s->ih == shape->ih && s->oh == shape->oh &&
            s->k == shape->k && s->stride == shape->stride) {
            return (enum direct_shape)i;
        }
    }
    return N_SHAPES;
}

static CONV_WEIGHTS_FINISH(weights_finish) {
    REQUIRE(weights_finish(plan, accumulator, diff_weights));
    unpack_gradient(&plan->shape, accumulator, diff_weights);
}

static int blocks_of(int channels_out, bool wide) {
    return wide && channels_out > 16 ? WIDE_BLOCKS : 1;
}

static void forward_pack(const struct conv_plan *plan, bool wide, const float *weights,
                         float *packed) {
    REQUIRE(pack(plan, weights, packed));
    const struct conv_shape *s = &plan->shape;
    pack_weights(s, PACK_FORWARD, blocks_of(s->oc, wide), weights, packed);
}

static void backward_pack(const struct conv_plan *plan, bool wide, const float *weights,
                          float *packed) {
    REQUIRE(pack(plan, weights, packed));
    const struct conv_shape *s = &plan->shape;
    if (s->stride == 1) {
        pack_weights(s, PACK_TRANSPOSED_FLIPPED, blocks_of(s->ic, wide), weights, packed);
    } else {
        pack_weights(s, PACK_TRANSPOSED, 1, weights, packed);
    }
}

static CONV_PACK(pack_forward) {
    forward_pack(plan, false, weights, packed);
}

static CONV_PACK(pack_forward_wide) {
    forward_pack(plan, true, weights, packed);
}

static CONV_PACK(pack_backward) {
    backward_pack(plan, false, weights, packed);
}

static CONV_PACK(pack_backward_wide) {
    backward_pack(plan, true, weights, packed);
}

struct conv_plan direct_plan(enum direct_shape shape, const struct direct_functions *functions,
                             bool wide) {
    const size_t n_weights = conv_weight_count(&shapes[shape]);
    const bool has_gradient = functions->backward_data != NULL;
    return (struct conv_plan){
        .shape = shapes[shape],
        .forward_floats = n_weights,
        .backward_floats = has_gradient ? n_weights : 0,
        /* At least what a 3x3 convolution of these channels takes: the contract. */
        .accumulator_floats = 9 * (size_t)(shapes[shape].ic * shapes[shape].oc),
        .pack_forward = wide ? pack_forward_wide : pack_forward,
        .pack_backward = !has_gradient ? NULL
                         : wide        ? pack_backward_wide
                                       : pack_backward,
        .forward = functions->forward,
        .backward_data = functions->backward_data,
        .weights_add = functions->weights_add,
        .weights_finish = weights_finish,
    };
}
