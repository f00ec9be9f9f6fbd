/* The name of the arithmetic that a training step is made of.
 *
 * Layer: core/nn. Thread rule: pure function.
 *
 * Equal names promise equal bits from equal inputs, whatever the machine and the number of threads
 * (with a C library whose exp and log round alike). A version is raised when a change of the
 * kernels, the engine or an optimizer changes a bit of the parameters: tests/core/arithmetic_test.c
 * notices.
 */
#ifndef CUTOUTD_CORE_NN_ARITHMETIC_H
#define CUTOUTD_CORE_NN_ARITHMETIC_H

#include <stdbool.h>

#include "core/kernels/kernels.h"

enum { ARITHMETIC_TEXT_SIZE = 64 };

/* "ref-1"; "avx-2" for avx2 and avx512, which give the same bits; "blas-1-haswell-0.3.21" with the
 * processor that OpenBLAS takes this one for and its version. "+direct" follows where the variant
 * has Winograd's algorithm and `winograd` is false, then "+bf16" where what is saved is bfloat16.
 */
void engine_arithmetic(const struct kernels *kernels, bool winograd, bool bf16,
                       char ret_text[ARITHMETIC_TEXT_SIZE]);

/* Whether they are equal but for what follows '+', which settings of a run decide. */
bool arithmetic_is_like(const char *a, const char *b);

#endif
