/* The plan of a convolution by Winograd. Layer: core/kernels. */
#include "core/kernels/x86/wino.h"

struct conv_plan wino_plan(const struct conv_shape *shape, enum direct_shape found,
                           const struct wino_functions *functions) {
    const size_t planes = WINO_PLANES * (size_t)wino_weight_plane(shape->oc);
    return (struct conv_plan){
        .shape = *shape,
        .winograd = true,
        .forward_floats = planes,
        .backward_floats = planes,
        .accumulator_floats = planes,
        .scratch_floats = WINO_SCRATCH_FLOATS,
        .pack_forward = functions->pack_forward,
        .pack_backward = functions->pack_backward,
        .forward = functions->shapes[found].convolution.forward,
        .backward_data = functions->shapes[found].convolution.backward_data,
        .weights_add = functions->shapes[found].convolution.weights_add,
        .forward_products = functions->shapes[found].forward_products,
        .weights_products = functions->shapes[found].weights_products,
        .weights_finish = functions->weights_finish,
    };
}
