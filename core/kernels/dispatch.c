/* Which variants there are, and which one this processor should use. Layer: core/kernels. */
#include "core/kernels/kernels.h"

#include <string.h>

#include "core/kernels/x86/x86.h"

/* Worst first: a cap cuts the list behind the variant it names. */
static const struct kernels *const portable[] = {&kernels_ref, &kernels_blas, NULL};

#if defined(__x86_64__)
/* The compiler's own check also asks whether the operating system saves the wide registers. */
static bool has_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && has_avx2();
}

static const struct kernels *const with_avx2[] = {&kernels_ref, &kernels_blas, &kernels_avx2, NULL};
static const struct kernels *const with_avx512[] = {&kernels_ref, &kernels_blas, &kernels_avx2,
                                                    &kernels_avx512, NULL};
#endif

const struct kernels *const *kernels_available(void) {
#if defined(__x86_64__)
    if (has_avx512()) {
        return with_avx512;
    }
    if (has_avx2()) {
        return with_avx2;
    }
#endif
    return portable;
}

const struct kernels *kernels_find(const char *name) {
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        if (!strcmp((*k)->name, name)) {
            return *k;
        }
    }
    return NULL;
}

static bool is_variant_name(const char *name) {
    static const char *const names[] = {"ref", "blas", "avx2", "avx512"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!strcmp(name, names[i])) {
            return true;
        }
    }
    return false;
}

enum status kernels_select(const char *cap, const struct kernels **ret_kernels,
                           struct error *error) {
    bool capped = cap && *cap && strcmp(cap, "auto") != 0;
    if (capped && !is_variant_name(cap)) {
        return error_set(error, STATUS_INVALID,
                         "there is no kernel variant '%s'; choose auto, ref, blas, avx2 or avx512",
                         cap);
    }
    const struct kernels *best = NULL;
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        best = *k;
        if (capped && !strcmp((*k)->name, cap)) {
            break;
        }
    }
    *ret_kernels = best;
    return STATUS_OK;
}
