/* Batch normalisation and ReLU by AVX2. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/elementwise.h"
#include "core/kernels/x86/variant.h"

VARIANT_DECLARE(avx2);

ELEMENTWISE_DEFINE(avx2)

KEPT_DEFINE(avx2, f32_streamed, KEPT_F32_STREAMED);
KEPT_DEFINE(avx2, bf16, KEPT_BF16);
KEPT_DEFINE(avx2, bf16_streamed, KEPT_BF16_STREAMED);

#endif
