/* How fast this processor multiplies and adds when nothing else is in the way.
 *
 * Layer: core/kernels. Thread rule: a pure function. Included by one file an instruction set.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_PROBE_H
#define CUTOUTD_CORE_KERNELS_X86_PROBE_H

#include <stdint.h>

#include "core/kernels/x86/vec.h"

/* Independent sums: more than the multipliers of any processor so far times their latency (2 x 4),
 * and as many as leave registers for the operands. */
enum { CHAINS = VEC_FLOATS == 16 ? 24 : 12 };

INLINE double fma_probe(int64_t rounds) {
    vec chain[CHAINS];
    UNROLL for (int i = 0; i < CHAINS; i++) {
        chain[i] = vec_of(0.1F * (float)i);
    }
    const vec factor = vec_of(0.999F);
    const vec term = vec_of(0.001F);
    NO_UNROLL for (int64_t k = 0; k < rounds; k++) {
        UNROLL for (int i = 0; i < CHAINS; i++) {
            chain[i] = vec_fma(chain[i], factor, term);
            vec_touch(&chain[i]); /* keeps the compiler from merging rounds or dropping them */
        }
    }
    return 2.0 * CHAINS * VEC_FLOATS * (double)rounds;
}

#define PROBE_DEFINE(variant)                                                                      \
    double variant##_fma_probe(int64_t rounds) {                                                   \
        return fma_probe(rounds);                                                                  \
    }

#endif
