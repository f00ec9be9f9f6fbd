/* Winograd: weights to the 36 planes and their gradient back. Once a step.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h. Included by one file an instruction
 * set.
 *
 * Planes of weights: [36][in][out]; accumulator: [36][ic][oc]; within a plane: weight_offset.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_WINO_WEIGHTS_H
#define CUTOUTD_CORE_KERNELS_X86_WINO_WEIGHTS_H

#include "core/kernels/x86/wino_products.h"

/* G w G^T for a register of channels out. plane: floats from one of the 36 to the next. */
INLINE void weights_tile(const vec w[WINO_TAPS][WINO_TAPS], int plane, float *to) {
    vec half[WINO_TAPS][WINO_IN]; /* [kw][row] */
    UNROLL for (int kw = 0; kw < WINO_TAPS; kw++) {
        const vec column[WINO_TAPS] = {w[0][kw], w[1][kw], w[2][kw]};
        wino_weights(column, half[kw]);
    }
    UNROLL for (int i = 0; i < WINO_IN; i++) {
        const vec row[WINO_TAPS] = {half[0][i], half[1][i], half[2][i]};
        vec transformed[WINO_IN];
        wino_weights(row, transformed);
        UNROLL for (int j = 0; j < WINO_IN; j++) {
            vec_store(to + (i * WINO_IN + j) * plane, transformed[j]);
        }
    }
}

INLINE CONV_PACK(wino_pack_forward) {
    const int c = plan->shape.oc;
    for (int at = 0; at < c * c; at += VEC_FLOATS) {
        vec w[WINO_TAPS][WINO_TAPS];
        UNROLL for (int tap = 0; tap < 9; tap++) {
            w[tap / 3][tap % 3] = vec_load(weights + tap * c * c + at);
        }
        weights_tile(w, wino_weight_plane(c), packed + weight_offset(c, at / c, at % c));
    }
}

/* The window turned, and in and out exchanged: out runs over ic, which lie oc floats apart. */
INLINE CONV_PACK(wino_pack_backward) {
    const int c = plan->shape.oc;
    for (int i = 0; i < c * c / VEC_FLOATS; i++) {
        const int oc = i % c; /* innermost: neighbours share the lines that are gathered */
        const int ic = i / c * VEC_FLOATS;
        vec w[WINO_TAPS][WINO_TAPS];
        UNROLL for (int tap = 0; tap < 9; tap++) {
            const float *turned = weights + (8 - tap) * c * c;
            w[tap / 3][tap % 3] = vec_gather(turned + ic * c + oc, c);
        }
        weights_tile(w, wino_weight_plane(c), packed + weight_offset(c, oc, ic));
    }
}

/* G^T du G. */
INLINE CONV_WEIGHTS_FINISH(wino_weights_finish) {
    const int c = plan->shape.oc;
    for (int i = 0; i < c * c; i += VEC_FLOATS) {
        const float *planes = accumulator + weight_offset(c, i / c, i % c);
        vec half[WINO_TAPS][WINO_IN];
        UNROLL for (int column = 0; column < WINO_IN; column++) {
            vec du[WINO_IN];
            vec transformed[WINO_TAPS];
            UNROLL for (int row = 0; row < WINO_IN; row++) {
                du[row] = vec_load(planes + (row * WINO_IN + column) * wino_weight_plane(c));
            }
            wino_weights_gradient(du, transformed);
            UNROLL for (int kh = 0; kh < WINO_TAPS; kh++) {
                half[kh][column] = transformed[kh];
            }
        }
        UNROLL for (int kh = 0; kh < WINO_TAPS; kh++) {
            vec transformed[WINO_TAPS];
            wino_weights_gradient(half[kh], transformed);
            UNROLL for (int kw = 0; kw < WINO_TAPS; kw++) {
                vec_store(diff_weights + (kh * 3 + kw) * c * c + i, transformed[kw]);
            }
        }
    }
}

#define WINO_WEIGHTS_DEFINE(variant)                                                               \
    CONV_PACK(variant##_wino_pack_forward) {                                                       \
        REQUIRE(pack(plan, weights, packed));                                                      \
        wino_pack_forward(plan, weights, packed);                                                  \
    }                                                                                              \
    CONV_PACK(variant##_wino_pack_backward) {                                                      \
        REQUIRE(pack(plan, weights, packed));                                                      \
        wino_pack_backward(plan, weights, packed);                                                 \
    }                                                                                              \
    CONV_WEIGHTS_FINISH(variant##_wino_weights_finish) {                                           \
        REQUIRE(weights_finish(plan, accumulator, diff_weights));                                  \
        wino_weights_finish(plan, accumulator, diff_weights);                                      \
    }

#endif
