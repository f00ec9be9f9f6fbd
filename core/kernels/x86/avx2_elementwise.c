/* Batch normalisation and ReLU by AVX2. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/elementwise.h"
#include "core/kernels/x86/variant.h"

VARIANT_DECLARE(avx2);

ELEMENTWISE_DEFINE(avx2)

#endif
