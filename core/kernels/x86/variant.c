/* Which convolution of a variant does which shape, and the tables of both variants. Layer:
 * core/kernels.
 *
 * Compiled for any x86-64: tables and packing, nothing that needs a newer processor.
 */
#include "core/kernels/x86/variant.h"

#if defined(__x86_64__)

enum status variant_conv_plan(const struct variant_convolutions *convolutions,
                              const struct conv_shape *shape, bool winograd,
                              struct conv_plan *ret_plan) {
    enum direct_shape found = direct_shape_find(shape);
    if (found == N_SHAPES) {
        return STATUS_UNSUPPORTED;
    }
    *ret_plan = winograd && convolutions->winograd.shapes[found].convolution.forward
                    ? wino_plan(shape, found, &convolutions->winograd)
                    : direct_plan(found, &convolutions->direct[found], convolutions->wide);
    return STATUS_OK;
}

#endif
