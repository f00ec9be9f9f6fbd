#include "daemon/spec/json_write.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/cleanup.h"

/* The plain definition, beside which number_format is held. */
static void expect_shortest(double value) {
    char expected[JSON_NUMBER_SIZE], text[JSON_NUMBER_SIZE];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(expected, sizeof(expected), "%.*g", digits, value);
        if (strtod(expected, NULL) == value) {
            break;
        }
    }
    assert_string_equal(number_format(value, text), expected);
}

static void numbers_of_every_length_are_as_printf_writes_them(void **state) {
    (void)state;
    static const double edges[] = {1e-4, 1e-5, 99999.9, 999999, 999999.999999999, 1e6, 1e15, 1e300};
    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        expect_shortest(edges[i]);
        expect_shortest(-edges[i]);
        expect_shortest(nextafter(edges[i], 0));
        expect_shortest(nextafter(edges[i], (double)INFINITY));
    }
    for (int i = 1; i < 20000; i++) {
        expect_shortest(i / 10000.0);
        expect_shortest(i / 7.0);
        expect_shortest(i * 1.1);
        expect_shortest(i * 12345678.9 / 1e9);
    }
}

static void numbers_are_short_and_exact(void **state) {
    (void)state;
    char text[JSON_NUMBER_SIZE];
    assert_string_equal(number_format(0.001, text), "0.001");
    assert_string_equal(number_format(1e-12, text), "1e-12");
    assert_string_equal(number_format(0.1 + 0.2, text), "0.30000000000000004");
    assert_string_equal(number_format(-0.0, text), "-0");
    assert_string_equal(number_format(64, text), "64");
    struct json_writer writer = {0};
    json_write_array(&writer, NULL);
    json_write_number(&writer, NULL, (double)INFINITY);
    json_write_number(&writer, NULL, 0.5);
    json_write_string(&writer, NULL, "a\"\\\n\x01\x7f");
    json_write_end(&writer, ']');
    CLEANUP(free_pointer) char *json = json_write_take(&writer);
    assert_string_equal(json, "[null,0.5,\"a\\\"\\\\\\u000a\\u0001\\u007f\"]");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_short_and_exact),
        cmocka_unit_test(numbers_of_every_length_are_as_printf_writes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
