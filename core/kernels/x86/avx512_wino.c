/* Winograd by AVX-512. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/variant.h"
#include "core/kernels/x86/wino_conv.h"

VARIANT_DECLARE(avx512);

WINO_DEFINE(avx512)

#endif
