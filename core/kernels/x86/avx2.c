/* The AVX2 variant. Layer: core/kernels. Compiled for any x86-64: only a table. */
#if defined(__x86_64__)

#include "core/kernels/x86/variant.h"

VARIANT_DECLARE(avx2);

VARIANT_DEFINE(avx2, false);

#endif
