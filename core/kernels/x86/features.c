/* What the processor can do. Layer: core/kernels.
 *
 * The compiler's own check also asks whether the operating system saves the wide registers.
 */
#include "core/kernels/x86/x86.h"

#if defined(__x86_64__)

bool x86_has_avx512(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
           x86_has_avx2();
}

bool x86_has_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#endif
