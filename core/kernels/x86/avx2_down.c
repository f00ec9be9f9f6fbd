/* Where the image shrinks: AVX2. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/down.h"
#include "core/kernels/x86/variant.h"

VARIANT_DECLARE(avx2);

DOWN_DEFINE(avx2)

#endif
