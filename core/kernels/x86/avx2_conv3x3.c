/* Direct 3x3 convolutions by AVX2. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/conv3x3.h"
#include "core/kernels/x86/variant.h"

VARIANT_DECLARE(avx2);

CONV3X3_DEFINE(avx2)

#endif
