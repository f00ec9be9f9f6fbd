/* Which bytes of a file a Range asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/http/byte_range.h"

enum { SIZE = 1000 };

static void ranges_lie_within_the_file(void **state) {
    (void)state;
    static const struct {
        const char *header;
        int64_t first;
        int64_t n;
    } cases[] = {{"bytes=0-0", 0, 1},      {"bytes=0-99", 0, 100},   {"Bytes=10-19", 10, 10},
                 {"bytes=990-", 990, 10},  {"bytes=999-", 999, 1},   {"bytes=0-5000", 0, 1000},
                 {"bytes=-1", 999, 1},     {"bytes=-100", 900, 100}, {"bytes=-5000", 0, 1000},
                 {"bytes=999-999", 999, 1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t first = -1;
        int64_t n = -1;
        assert_int_equal(byte_range_parse(cases[i].header, SIZE, &first, &n), BYTE_RANGE_PART);
        assert_int_equal(first, cases[i].first);
        assert_int_equal(n, cases[i].n);
    }
}

static void what_begins_behind_the_end_cannot_be_had(void **state) {
    (void)state;
    static const char *const headers[] = {"bytes=1000-", "bytes=1000-2000", "bytes=-0"};
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        int64_t first;
        int64_t n;
        assert_int_equal(byte_range_parse(headers[i], SIZE, &first, &n), BYTE_RANGE_UNSATISFIABLE);
    }
}

static void anything_else_means_the_whole_file(void **state) {
    (void)state;
    static const char *const headers[] = {
        "",           "bytes=",    "bytes=-",   "bytes=a-b",
        "lines=1-2",  "bytes=5-4", "bytes=1",   "bytes=0-1,5-6",
        "bytes=0-1 ", "bytes=-1x", "bytes=--1", "bytes=1-99999999999999999999"};
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        int64_t first;
        int64_t n;
        assert_int_equal(byte_range_parse(headers[i], SIZE, &first, &n), BYTE_RANGE_ALL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_lie_within_the_file),
        cmocka_unit_test(what_begins_behind_the_end_cannot_be_had),
        cmocka_unit_test(anything_else_means_the_whole_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
