/* Winograd by AVX2: the weights. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/variant.h"
#include "core/kernels/x86/wino_weights.h"

VARIANT_DECLARE(avx2);

WINO_WEIGHTS_DEFINE(avx2)

#endif
