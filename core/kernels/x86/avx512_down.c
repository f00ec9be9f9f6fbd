/* Where the image shrinks: AVX-512. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/down.h"
#include "core/kernels/x86/variant.h"

VARIANT_DECLARE(avx512);

DOWN_DEFINE(avx512)

#endif
