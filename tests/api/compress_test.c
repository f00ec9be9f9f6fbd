/* Who takes gzip, and that it unpacks to the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "api/http/compress.h"

static void clients_say_whether_they_take_it(void **state) {
    (void)state;
    static const char *const yes[] = {"gzip",        "deflate, gzip", "GZIP;q=0.5",        "*",
                                      "br, *;q=0.1", "x-gzip",        "gzip ;q=1.0, *;q=0"};
    static const char *const no[] = {
        "",      "identity", "gzip;q=0",   "gzip; q=0.000", "deflate, br",
        "*;q=0", "gzipped",  "*, gzip;q=0"};
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        assert_true(gzip_is_accepted(yes[i]));
    }
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        assert_false(gzip_is_accepted(no[i]));
    }
}

static void a_body_comes_back_as_it_was(void **state) {
    (void)state;
    enum { SIZE = 100000 };
    char *body = malloc(SIZE);
    char *back = malloc(SIZE);
    for (int i = 0; i < SIZE; i++) {
        body[i] = (char)('a' + i % 100 * (i % 100) % 7);
    }
    size_t n = 0;
    char *packed = gzip_make(body, SIZE, &n);
    assert_non_null(packed);
    assert_true(n < SIZE / 2);
    z_stream stream = {.next_in = (z_const Bytef *)packed,
                       .avail_in = (uInt)n,
                       .next_out = (Bytef *)back,
                       .avail_out = SIZE};
    assert_int_equal(inflateInit2(&stream, MAX_WBITS + 16), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.total_out, SIZE);
    assert_memory_equal(back, body, SIZE);
    assert_int_equal(inflateEnd(&stream), Z_OK);
    free(packed);
    free(back);
    free(body);
}

static void what_would_not_be_shorter_stays(void **state) {
    (void)state;
    size_t n = 0;
    assert_null(gzip_make("abc", 3, &n));
    assert_null(gzip_make("", 0, &n));
}

static void brotli_is_taken_by_name_alone(void **state) {
    (void)state;
    assert_true(brotli_is_accepted("gzip, deflate, br, zstd"));
    assert_true(brotli_is_accepted("BR;q=0.1"));
    assert_false(brotli_is_accepted("br;q=0, gzip"));
    assert_false(brotli_is_accepted("gzip, *"));
    assert_false(brotli_is_accepted("brotli"));
    assert_false(brotli_is_accepted(""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_say_whether_they_take_it),
        cmocka_unit_test(brotli_is_taken_by_name_alone),
        cmocka_unit_test(a_body_comes_back_as_it_was),
        cmocka_unit_test(what_would_not_be_shorter_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
