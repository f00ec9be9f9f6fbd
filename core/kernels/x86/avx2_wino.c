/* Winograd by AVX2: wino_conv.h for the three widths of the network. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/avx2.h"
#include "core/kernels/x86/wino_conv.h"

WINO_DEFINE(avx2, 16, 32, 4)
WINO_DEFINE(avx2, 32, 16, 16)
WINO_DEFINE(avx2, 64, 8, 8)

#endif
