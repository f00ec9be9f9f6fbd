/* Batch normalisation and ReLU by AVX-512. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/elementwise.h"
#include "core/kernels/x86/variant.h"

VARIANT_DECLARE(avx512);

ELEMENTWISE_DEFINE(avx512)

#endif
