/* Winograd by AVX2: the weights. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/avx2.h"
#include "core/kernels/x86/wino_weights.h"

CONV_PACK(avx2_wino_pack_forward) {
    wino_pack_forward(plan, weights, packed, part, n_parts);
}

CONV_PACK(avx2_wino_pack_backward) {
    wino_pack_backward(plan, weights, packed, part, n_parts);
}

CONV_WEIGHTS_FINISH(avx2_wino_weights_finish) {
    wino_weights_finish(plan, accumulator, diff_weights);
}

#endif
