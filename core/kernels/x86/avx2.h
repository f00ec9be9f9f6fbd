/* What the files of the AVX2 variant share.
 *
 * Layer: core/kernels; only core/kernels/x86/avx2*.c include this. Thread rule: as
 * core/kernels/kernels.h. Names: direct.h; winoN is convN by Winograd.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_AVX2_H
#define CUTOUTD_CORE_KERNELS_X86_AVX2_H

#include "core/kernels/x86/direct.h"
#include "core/kernels/x86/wino.h"
#include "core/kernels/x86/x86.h"

DIRECT_DECLARE(avx2);

WINO_DECLARE(avx2);

void avx2_bn_sums(int c, int n_pixels, const float *src, double *sum, double *sum_squares);
void avx2_bn_relu(int c, int n_pixels, const float *src, const float *scale, const float *shift,
                  float *dst);
void avx2_bn_add_relu(int c, int n_pixels, const float *src, const float *scale, const float *shift,
                      const float *add, float *dst);
void avx2_bn_backward(int c, int n_pixels, const float *diff, const float *src, const float *a,
                      const float *b, const float *k, float *dst);
void avx2_relu_backward(int c, int n_pixels, const float *diff, const float *add, const float *act,
                        const float *src, float *dst, double *sum, double *sum_src);

/* kernels.h: fma_probe. */
double avx2_fma_probe(int64_t rounds);

#endif
