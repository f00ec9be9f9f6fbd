/* The peak of multiply-adds by AVX2. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/probe.h"
#include "core/kernels/x86/variant.h"

VARIANT_DECLARE(avx2);

PROBE_DEFINE(avx2)

#endif
