/* LLVMFuzzerCustomMutator for inputs that are JSON. */
#ifndef CUTOUTD_TESTS_FUZZ_JSON_MUTATOR_H
#define CUTOUTD_TESTS_FUZZ_JSON_MUTATOR_H

#include <stddef.h>

/* Where the JSON begins in an input: the fuzzer defines it. */
extern const size_t fuzz_json_offset;

#endif
