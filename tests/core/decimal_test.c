/* Numbers that clients write: nothing is saturated, cut short or guessed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/base/decimal.h"

static void digits_alone_are_a_number(void **state) {
    (void)state;
    static const char *const refused[] = {"",    " 1", "1 ", "+1",  "-1",  "01",
                                          "1e3", "1.", "x",  "0x1", "1\n", "\xef\xbc\x91"};
    int64_t value = 7;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        assert_false(text_to_count(refused[i], INT64_MAX, &value));
        assert_false(text_to_id(refused[i], INT64_MAX, &value));
    }
    assert_int_equal(value, 7);
    assert_true(text_to_count("0", 10, &value));
    assert_int_equal(value, 0);
    assert_false(text_to_id("0", 10, &value));
}

static void the_bound_is_exact(void **state) {
    (void)state;
    int64_t value = 0;
    assert_true(text_to_id("9223372036854775807", INT64_MAX, &value));
    assert_true(value == INT64_MAX);
    assert_false(text_to_id("9223372036854775808", INT64_MAX, &value));
    assert_false(text_to_id("99999999999999999999", INT64_MAX, &value));
    assert_true(text_to_count("99", 99, &value));
    assert_false(text_to_count("100", 99, &value));
    assert_false(text_to_count("9", 5, &value));
}

static void integers_have_a_sign_below_zero_only(void **state) {
    (void)state;
    int64_t value = 0;
    assert_true(text_to_integer("-1000", 1000, &value));
    assert_int_equal(value, -1000);
    assert_true(text_to_integer("1000", 1000, &value));
    assert_false(text_to_integer("-1001", 1000, &value));
    assert_false(text_to_integer("-0", 1000, &value));
    assert_false(text_to_integer("--1", 1000, &value));
    assert_false(text_to_integer("-", 1000, &value));
}

static void settings_are_whole_numbers_within_bounds(void **state) {
    (void)state;
    static const char *const refused[] = {"",    " 5",  "5 ", "+5", "05", "0x5",
                                          "5.0", "1e1", "-0", "3",  "11", "99999999999"};
    int value = 7;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        assert_false(text_to_int(refused[i], 4, 10, &value));
        assert_int_equal(value, 7);
    }
    assert_true(text_to_int("4", 4, 10, &value));
    assert_int_equal(value, 4);
    assert_true(text_to_int("10", 4, 10, &value));
    assert_int_equal(value, 10);
    assert_true(text_to_int("-3", -5, 10, &value));
    assert_int_equal(value, -3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digits_alone_are_a_number),
        cmocka_unit_test(the_bound_is_exact),
        cmocka_unit_test(integers_have_a_sign_below_zero_only),
        cmocka_unit_test(settings_are_whole_numbers_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
