/* Winograd by AVX-512: the weights. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/avx512.h"
#include "core/kernels/x86/wino_weights.h"

CONV_PACK(avx512_wino_pack_forward) {
    wino_pack_forward(plan, weights, packed, part, n_parts);
}

CONV_PACK(avx512_wino_pack_backward) {
    wino_pack_backward(plan, weights, packed, part, n_parts);
}

CONV_WEIGHTS_FINISH(avx512_wino_weights_finish) {
    wino_weights_finish(plan, accumulator, diff_weights);
}

#endif
