/* As many multiply-adds as AVX2 can do. Layer: core/kernels. */
#if defined(__x86_64__)

#include "core/kernels/x86/avx2_half.h"
#include "core/kernels/x86/x86.h"

/* Independent sums: more than two multipliers times their latency. */
enum { CHAINS = 12 };

double avx2_fma_burst(long n_rounds, float *sink) {
    __m256 sum[CHAINS];
    UNROLL for (int i = 0; i < CHAINS; i++) {
        sum[i] = _mm256_set1_ps((float)i);
    }
    const __m256 factor = _mm256_set1_ps(*sink);
    const __m256 term = _mm256_set1_ps(0.001F);
    NO_UNROLL for (long round = 0; round < n_rounds; round++) {
        UNROLL for (int i = 0; i < CHAINS; i++) {
            sum[i] = half_fma(sum[i], factor, term);
        }
    }
    UNROLL for (int i = 1; i < CHAINS; i++) {
        sum[0] = half_add(sum[0], sum[i]);
    }
    *sink = *sink + 0.0F * _mm256_cvtss_f32(sum[0]);
    return 2.0 * 8 * CHAINS * (double)n_rounds;
}

#endif
