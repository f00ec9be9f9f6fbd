/* Direct 3x3 convolutions by AVX-512. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/conv3x3.h"
#include "core/kernels/x86/variant.h"

VARIANT_DECLARE(avx512);

CONV3X3_DEFINE(avx512)

#endif
