/* How fast this processor multiplies and adds when nothing else is in the way. Layer: core/kernels.
 */
#include "core/kernels/x86/inline.h"

#if defined(__x86_64__)

#include "core/kernels/x86/avx512.h"
#include "core/kernels/x86/avx512_line.h"

/* More chains than latency times ports of any processor so far (4 cycles x 2). */
enum { CHAINS = 24, LANES = 16 };

double avx512_fma_probe(int64_t rounds) {
    __m512 chain[CHAINS];
    UNROLL
    for (int i = 0; i < CHAINS; i++) {
        chain[i] = _mm512_set1_ps(0.1F * (float)i);
    }
    __m512 factor = _mm512_set1_ps(0.999F);
    __m512 term = _mm512_set1_ps(0.001F);
    for (int64_t k = 0; k < rounds; k++) {
        UNROLL
        for (int i = 0; i < CHAINS; i++) {
            chain[i] = _mm512_fmadd_ps(chain[i], factor, term);
            /* Keeps the compiler from merging rounds or dropping them. */
            __asm__ volatile("" : "+v"(chain[i]));
        }
    }
    return 2.0 * CHAINS * LANES * (double)rounds;
}

#endif
