/* Winograd by AVX2. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/variant.h"
#include "core/kernels/x86/wino_conv.h"

VARIANT_DECLARE(avx2);

WINO_DEFINE(avx2)

#endif
