/* Buffers for tests of kernels: between two borders that must stay as they are, filled with small
 * integers (sums are exact, so results must agree to the bit) or real numbers. */
#ifndef CUTOUTD_TESTS_CORE_KERNEL_BUFFERS_H
#define CUTOUTD_TESTS_CORE_KERNEL_BUFFERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_BORDER = 64 };

static const float BUFFER_CANARY = -7.25e20F;

struct buffer {
    float *memory;
    float *data; /* [n], between two borders */
    size_t n;
};

/* Aligned to 64 bytes. */
static inline struct buffer buffer_make(size_t n) {
    struct buffer b = {.n = n};
    size_t floats = (n + 2 * BUFFER_BORDER + 16 + 15) / 16 * 16;
    b.memory = aligned_alloc(64, floats * sizeof(float));
    assert_non_null(b.memory);
    for (size_t i = 0; i < floats; i++) {
        b.memory[i] = BUFFER_CANARY;
    }
    b.data = b.memory + BUFFER_BORDER;
    return b;
}

static inline void buffer_free(struct buffer *b) {
    free(b->memory);
}

static inline void buffer_check_borders(const struct buffer *b) {
    for (int i = 1; i <= BUFFER_BORDER; i++) {
        assert_true(b->data[-i] == BUFFER_CANARY);
        assert_true(b->data[b->n + (size_t)i - 1] == BUFFER_CANARY);
    }
}

static inline uint32_t buffer_random(uint32_t *state) {
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

/* exact: integers -2 .. 2; otherwise reals in [-1, 1). */
static inline void buffer_fill(struct buffer *b, bool exact, uint32_t seed) {
    for (size_t i = 0; i < b->n; i++) {
        uint32_t r = buffer_random(&seed);
        b->data[i] = exact ? (float)(r % 5U) - 2.0F : (float)r * 0x1p-23F - 1.0F;
    }
}

/* A copy of the first n values. */
static inline struct buffer buffer_prefix(const struct buffer *from, size_t n) {
    struct buffer b = buffer_make(n);
    assert_true(n <= from->n);
    memcpy(b.data, from->data, n * sizeof(float));
    return b;
}

/* The largest difference to factor * expected, in units of the latter's root mean square; 0: all
 * bits agree. */
static inline double buffer_difference(const float *got, const float *expected, size_t n,
                                       double factor) {
    double squares = 0.0;
    double worst = 0.0;
    for (size_t i = 0; i < n; i++) {
        double value = factor * (double)expected[i];
        double distance = fabs((double)got[i] - value);
        assert_true(isfinite((double)got[i]));
        squares += value * value;
        worst = distance > worst ? distance : worst;
    }
    return worst > 0.0 ? worst / (sqrt(squares / (double)n) + 1e-30) : 0.0;
}

#endif
