/* The variants for x86-64 processors. Compiled to nothing elsewhere.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_X86_H
#define CUTOUTD_CORE_KERNELS_X86_X86_H

#include "core/kernels/kernels.h"

#if defined(__x86_64__)

/* AVX-512: direct convolutions, and Winograd F(4x4,3x3) for 3x3 stride 1. To be called only where
 * the processor has it (kernels_available). */
extern const struct kernels kernels_avx512;

/* The same with AVX2 and FMA. */
extern const struct kernels kernels_avx2;

#endif

#endif
