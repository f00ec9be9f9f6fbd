/* Weights of the direct kernels: from HWIO to the order in which a kernel reads them, and weight
 * gradients back.
 *
 * Layer: core/kernels. Thread rule: pure functions.
 *
 * A kernel works on a slice: 16 channels it reads ("in") and `blocks` x 16 channels it makes
 * ("out"). Slices follow each other, in the order [out / (16 * blocks)][in / 16]; one slice is
 *
 *     [kh][in: 16][kw][block][out: 16]
 *
 * so that everything one source value is multiplied with lies in successive lines. For the stem
 * there are 3 channels in instead of 16.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_PACK_H
#define CUTOUTD_CORE_KERNELS_X86_PACK_H

#include "core/kernels/kernels.h"

enum pack_direction {
    PACK_FORWARD,            /* in = ic, out = oc */
    PACK_TRANSPOSED,         /* in = oc, out = ic: data gradient */
    PACK_TRANSPOSED_FLIPPED, /* and the window turned by 180 degrees: data gradient, stride 1 */
};

/* blocks: 1 or 2. */
void pack_weights(const struct conv_shape *shape, enum pack_direction direction, int blocks,
                  const float *weights, float *packed);

/* The way back for a gradient packed with PACK_FORWARD and one block. */
void unpack_gradient(const struct conv_shape *shape, const float *packed, float *weights);

/* Numbers in the kernel of a convolution, which is also what its packed weights take. */
size_t conv_weight_count(const struct conv_shape *shape);

#endif
