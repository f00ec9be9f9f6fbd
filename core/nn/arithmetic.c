/* Layer: core/nn. */
#include "core/nn/arithmetic.h"

#include <assert.h>
#include <cblas.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Variants whose names begin alike share their bits. */
static const struct {
    const char *name;
    int version;
} arithmetics[] = {{"ref", 1}, {"blas", 1}, {"avx", 2}};

/* OpenBLAS' configuration begins "OpenBLAS 0.3.21 ". */
static void add_blas(char text[ARITHMETIC_TEXT_SIZE]) {
    size_t at = strlen(text);
    const char *version = strchr(openblas_get_config(), ' ');
    version = version ? version + 1 : "";
    (void)snprintf(text + at, ARITHMETIC_TEXT_SIZE - at, "-%.24s-%.*s", openblas_get_corename(),
                   (int)strcspn(version, " "), version);
    for (char *c = text; *c; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
}

void engine_arithmetic(const struct kernels *kernels, bool winograd, bool bf16,
                       char ret_text[ARITHMETIC_TEXT_SIZE]) {
    ret_text[0] = '\0';
    for (size_t i = 0; i < sizeof(arithmetics) / sizeof(arithmetics[0]); i++) {
        const char *name = arithmetics[i].name;
        if (!strncmp(kernels->name, name, strlen(name))) {
            (void)snprintf(ret_text, ARITHMETIC_TEXT_SIZE, "%s-%d", name, arithmetics[i].version);
        }
    }
    assert(ret_text[0]); /* every variant has its arithmetic above */
    if (!strcmp(kernels->name, "blas")) {
        add_blas(ret_text);
    }
    if (kernels->has_winograd && !winograd) {
        strncat(ret_text, "+direct", ARITHMETIC_TEXT_SIZE - 1 - strlen(ret_text));
    }
    if (bf16) {
        strncat(ret_text, "+bf16", ARITHMETIC_TEXT_SIZE - 1 - strlen(ret_text));
    }
}

bool arithmetic_is_like(const char *a, const char *b) {
    size_t n = strcspn(a, "+");
    return n == strcspn(b, "+") && !strncmp(a, b, n);
}
