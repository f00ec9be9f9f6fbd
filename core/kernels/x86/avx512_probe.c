/* The peak of multiply-adds by AVX-512. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/probe.h"
#include "core/kernels/x86/variant.h"

VARIANT_DECLARE(avx512);

PROBE_DEFINE(avx512)

#endif
