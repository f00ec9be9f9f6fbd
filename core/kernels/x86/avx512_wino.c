/* Winograd by AVX-512: wino_conv.h for the three widths of the network. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/avx512.h"
#include "core/kernels/x86/wino_conv.h"

WINO_DEFINE(avx512, 16, 32, 4)
WINO_DEFINE(avx512, 32, 16, 16)
WINO_DEFINE(avx512, 64, 8, 8)

#endif
