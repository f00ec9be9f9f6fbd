/* Moments as text, and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/time_text.h"

static void a_moment_is_read_as_it_is_written(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {{"2026-03-01T12:00:00.250Z", 1772366400250},
                 {"2026-03-01T12:00:00Z", 1772366400000},
                 {"2026-03-01t13:30:00+01:30", 1772366400000},
                 {"2026-03-01T11:00:00.5-01:00", 1772366400500},
                 {"2026-03-01T12:00:00.2509Z", 1772366400250},
                 {"1970-01-01T00:00:00Z", 0},
                 {"2024-02-29T23:59:60Z", 1709251199000}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ms = -1;
        assert_true(time_parse(cases[i].text, &ms));
        assert_int_equal(ms, cases[i].ms);
    }
    char text[TIME_TEXT_SIZE];
    assert_string_equal(time_format(1772366400250, text), cases[0].text);
}

static void what_is_no_moment_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        "2026",
                                        "2026-03-01",
                                        "2026-03-01T12:00:00",
                                        "2026-03-01 12:00:00Z",
                                        "2026-02-29T12:00:00Z",
                                        "2026-04-31T12:00:00Z",
                                        "2026-00-01T12:00:00Z",
                                        "2026-03-00T12:00:00Z",
                                        "2026-13-01T12:00:00Z",
                                        "2026-03-01T24:00:00Z",
                                        "2026-03-01T12:60:00Z",
                                        "2026-03-01T12:00:61Z",
                                        "2026-03-01T12:00:00.Z",
                                        "2026-03-01T12:00:00+1:00",
                                        "2026-03-01T12:00:00+24:00",
                                        "2026-03-01T12:00:00Zx",
                                        "1969-12-31T23:59:59Z",
                                        "1970-01-01T00:00:00+00:01",
                                        "+026-03-01T12:00:00Z"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int64_t ms = -1;
        assert_false(time_parse(texts[i], &ms));
        assert_int_equal(ms, -1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_moment_is_read_as_it_is_written),
        cmocka_unit_test(what_is_no_moment_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
