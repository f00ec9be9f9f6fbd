/* What the files of the AVX-512 variant share.
 *
 * Layer: core/kernels; only core/kernels/x86/avx512_*.c include this. Thread rule: as
 * core/kernels/kernels.h.
 *
 * Names: stem (3 -> 16 channels), convN (3x3 stride 1, N -> N), downN (3x3 stride 2, N/2 -> N),
 * pointN (1x1 stride 2, N/2 -> N), winoN (convN by Winograd).
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_AVX512_H
#define CUTOUTD_CORE_KERNELS_X86_AVX512_H

#include "core/kernels/x86/conv_functions.h"
#include "core/kernels/x86/x86.h"

CONV_FORWARD(avx512_stem_forward);
CONV_FORWARD(avx512_conv16_forward);
CONV_FORWARD(avx512_conv32_forward);
CONV_FORWARD(avx512_conv64_forward);
CONV_FORWARD(avx512_down32_forward);
CONV_FORWARD(avx512_down64_forward);
CONV_BACKWARD_DATA(avx512_conv16_backward_data);
CONV_BACKWARD_DATA(avx512_conv32_backward_data);
CONV_BACKWARD_DATA(avx512_conv64_backward_data);
CONV_WEIGHTS_ADD(avx512_stem_weights_add);
CONV_WEIGHTS_ADD(avx512_conv16_weights_add);
CONV_WEIGHTS_ADD(avx512_conv32_weights_add);
CONV_WEIGHTS_ADD(avx512_conv64_weights_add);
CONV_WEIGHTS_ADD(avx512_down32_weights_add);
CONV_WEIGHTS_ADD(avx512_down64_weights_add);

CONV_BACKWARD_DATA(avx512_down32_backward_data);
CONV_BACKWARD_DATA(avx512_down64_backward_data);
CONV_FORWARD(avx512_point32_forward);
CONV_FORWARD(avx512_point64_forward);
CONV_BACKWARD_DATA(avx512_point32_backward_data);
CONV_BACKWARD_DATA(avx512_point64_backward_data);
CONV_WEIGHTS_ADD(avx512_point32_weights_add);
CONV_WEIGHTS_ADD(avx512_point64_weights_add);

CONV_PACK(avx512_wino_pack_forward);
CONV_PACK(avx512_wino_pack_backward);
CONV_WEIGHTS_FINISH(avx512_wino_weights_finish);
CONV_FORWARD(avx512_wino16_forward);
CONV_BACKWARD_DATA(avx512_wino16_backward_data);
CONV_WEIGHTS_ADD(avx512_wino16_weights_add);
CONV_FORWARD(avx512_wino32_forward);
CONV_BACKWARD_DATA(avx512_wino32_backward_data);
CONV_WEIGHTS_ADD(avx512_wino32_weights_add);
CONV_FORWARD(avx512_wino64_forward);
CONV_BACKWARD_DATA(avx512_wino64_backward_data);
CONV_WEIGHTS_ADD(avx512_wino64_weights_add);

/* Floats of scratch that the functions of winoN need: two sets of 36 planes. */
enum { AVX512_WINO_SCRATCH_FLOATS = 2 * 36 * (1024 + 16) };

void avx512_bn_sums(int c, int n_pixels, const float *src, double *sum, double *sum_squares);
void avx512_bn_relu(int c, int n_pixels, const float *src, const float *scale, const float *shift,
                    float *dst);
void avx512_bn_add_relu(int c, int n_pixels, const float *src, const float *scale,
                        const float *shift, const float *add, float *dst);
void avx512_bn_backward(int c, int n_pixels, const float *diff, const float *src, const float *a,
                        const float *b, const float *k, float *dst);
void avx512_relu_backward(int c, int n_pixels, const float *diff, const float *add,
                          const float *act, const float *src, float *dst, double *sum,
                          double *sum_src);

/* kernels.h: fma_probe. */
double avx512_fma_probe(int64_t rounds);

#endif
