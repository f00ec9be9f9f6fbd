/* The variants for x86-64 processors. Compiled to nothing elsewhere.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_X86_H
#define CUTOUTD_CORE_KERNELS_X86_X86_H

#include "core/kernels/kernels.h"

#if defined(__x86_64__)

/* AVX-512: direct convolutions, and Winograd F(4x4,3x3) for 3x3 stride 1. To be called only if
 * x86_has_avx512(). */
extern const struct kernels kernels_avx512;

/* The same with AVX2 and FMA. To be called only if x86_has_avx2(). */
extern const struct kernels kernels_avx2;

/* Whether this processor and its operating system run the variant. */
bool x86_has_avx512(void);
bool x86_has_avx2(void);

#endif

#endif
