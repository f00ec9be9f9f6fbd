/* What the fuzzers share: the entry points that libFuzzer calls, and what must be true of answers.
 * A broken promise aborts, which the fuzzer reports with the input. */
#ifndef CUTOUTD_TESTS_FUZZ_FUZZ_H
#define CUTOUTD_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size); /* libFuzzer's own */

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Ends within its room, and is whole characters. */
static inline void require_text(const char *text, size_t room) {
    size_t n = strnlen(text, room);
    REQUIRE(n < room);
    REQUIRE(text_cut(text, n, n) == n);
}

#endif
