/* How fast this processor multiplies and adds when nothing else is in the way. Layer: core/kernels.
 */
#if defined(__x86_64__)

#include "core/kernels/x86/avx2.h"
#include "core/kernels/x86/avx2_half.h"

/* More chains than latency times ports of any processor so far (4 cycles x 2). */
enum { CHAINS = 12, LANES = 8 };

double avx2_fma_probe(int64_t rounds) {
    __m256 chain[CHAINS];
    UNROLL for (int i = 0; i < CHAINS; i++) {
        chain[i] = _mm256_set1_ps(0.1F * (float)i);
    }
    const __m256 factor = _mm256_set1_ps(0.999F);
    const __m256 term = _mm256_set1_ps(0.001F);
    NO_UNROLL for (int64_t k = 0; k < rounds; k++) {
        UNROLL for (int i = 0; i < CHAINS; i++) {
            chain[i] = half_fma(chain[i], factor, term);
            /* Keeps the compiler from dropping the round. */
            __asm__ volatile("" : "+x"(chain[i]));
        }
    }
    return 2.0 * CHAINS * LANES * (double)rounds;
}

#endif
