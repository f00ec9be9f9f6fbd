/* As many multiply-adds as AVX-512 can do. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/avx512.h"
#include "core/kernels/x86/avx512_line.h"

/* Independent sums: more than two multipliers times their latency. */
enum { CHAINS = 24, LANES = 16 };

double avx512_fma_probe(int64_t rounds) {
    __m512 chain[CHAINS];
    UNROLL for (int i = 0; i < CHAINS; i++) {
        chain[i] = line_of(0.1F * (float)i);
    }
    const __m512 factor = line_of(0.999F);
    const __m512 term = line_of(0.001F);
    NO_UNROLL for (int64_t k = 0; k < rounds; k++) {
        UNROLL for (int i = 0; i < CHAINS; i++) {
            chain[i] = line_fma(chain[i], factor, term);
            /* Keeps the compiler from merging rounds or dropping them. */
            __asm__ volatile("" : "+v"(chain[i]));
        }
    }
    return 2.0 * CHAINS * LANES * (double)rounds;
}

#endif
