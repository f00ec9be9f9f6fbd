/* Winograd by AVX-512: the weights. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/variant.h"
#include "core/kernels/x86/wino_weights.h"

VARIANT_DECLARE(avx512);

WINO_WEIGHTS_DEFINE(avx512)

#endif
