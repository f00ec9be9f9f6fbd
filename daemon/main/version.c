/* Layer: daemon/main. */
#include "daemon/main/version.h"

#include "core/nn/arithmetic.h"

void version_print(FILE *out) {
    const struct kernels *const *k = kernels_available(); /* one at least */
    const char *separator = "";
    (void)fprintf(out, "cutoutd " CUTOUTD_VERSION " (commit %s)\nkernels here:", version_commit);
    do {
        char arithmetic[ARITHMETIC_TEXT_SIZE];
        engine_arithmetic(*k, (*k)->has_winograd, false, arithmetic);
        (void)fprintf(out, "%s %s (arithmetic %s)", separator, (*k)->name, arithmetic);
        separator = ",";
    } while (*++k);
    (void)fprintf(out, "\nin use unless `isa` says less: %s\n", k[-1]->name);
}
