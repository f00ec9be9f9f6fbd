/* Philox4x32-10 against the known answers published with Random123, and the counter's packing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/rng.h"

static void philox_gives_the_published_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], words[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        uint32_t words[4];
        rng_philox4x32(known[i].counter, known[i].key, words);
        assert_memory_equal(words, known[i].words, sizeof(words));
    }
}

/* Every field of the counter, and both halves of seed and draw, must change the words. */
static void each_part_of_the_counter_matters(void **state) {
    (void)state;
    const struct rng_counter counters[] = {
        {RNG_CUTOUT, 1, 2, 3, 4}, {RNG_SHIFT, 1, 2, 3, 4},        {RNG_CUTOUT, 2, 2, 3, 4},
        {RNG_CUTOUT, 1, 3, 3, 4}, {RNG_CUTOUT, 1, 2, 4, 4},       {RNG_CUTOUT, 1, 2, 3, 5},
        {RNG_CUTOUT, 1, 2, 4, 3}, {RNG_CUTOUT, 1, 2, 3, 0x10004},
    };
    enum { N = sizeof(counters) / sizeof(counters[0]) };
    uint32_t words[N + 2][4];
    for (int i = 0; i < N; i++) {
        rng_words(7, counters[i], words[i]);
    }
    rng_words(8, counters[0], words[N]);
    rng_words(7 + (1ULL << 32), counters[0], words[N + 1]);
    for (int i = 0; i < N + 2; i++) {
        for (int j = 0; j < i; j++) {
            assert_memory_not_equal(words[i], words[j], sizeof(words[i]));
        }
    }
}

static void unit_and_below_stay_in_their_ranges(void **state) {
    (void)state;
    assert_true(rng_unit(0) == 0.0F);
    assert_true(rng_unit(UINT32_MAX) < 1.0F);
    assert_int_equal(rng_below(0, 10), 0);
    assert_int_equal(rng_below(UINT32_MAX, 10), 9);
    assert_int_equal(rng_below(UINT32_MAX, 1), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_published_answers),
        cmocka_unit_test(each_part_of_the_counter_matters),
        cmocka_unit_test(unit_and_below_stay_in_their_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
