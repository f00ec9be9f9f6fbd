/* As many multiply-adds as AVX-512 can do. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/avx512_line.h"
#include "core/kernels/x86/x86.h"

/* Independent sums: more than two multipliers times their latency. */
enum { CHAINS = 24 };

double avx512_fma_burst(long n_rounds, float *sink) {
    __m512 sum[CHAINS];
    UNROLL for (int i = 0; i < CHAINS; i++) {
        sum[i] = line_of((float)i);
    }
    const __m512 factor = line_of(*sink);
    const __m512 term = line_of(0.001F);
    NO_UNROLL for (long round = 0; round < n_rounds; round++) {
        UNROLL for (int i = 0; i < CHAINS; i++) {
            sum[i] = line_fma(sum[i], factor, term);
        }
    }
    UNROLL for (int i = 1; i < CHAINS; i++) {
        sum[0] = line_add(sum[0], sum[i]);
    }
    *sink = *sink + 0.0F * _mm512_cvtss_f32(sum[0]);
    return 2.0 * 16 * CHAINS * (double)n_rounds;
}

#endif
