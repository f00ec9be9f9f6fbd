/* Direct weight gradients by AVX-512. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/variant.h"
#include "core/kernels/x86/weights3x3.h"

VARIANT_DECLARE(avx512);

WEIGHTS3X3_DEFINE(avx512)

#endif
