/* Batch normalisation and ReLU by AVX-512. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/elementwise.h"
#include "core/kernels/x86/variant.h"

VARIANT_DECLARE(avx512);

ELEMENTWISE_DEFINE(avx512)

KEPT_DEFINE(avx512, f32_streamed, KEPT_F32_STREAMED);
KEPT_DEFINE(avx512, bf16, KEPT_BF16);
KEPT_DEFINE(avx512, bf16_streamed, KEPT_BF16_STREAMED);

#endif
