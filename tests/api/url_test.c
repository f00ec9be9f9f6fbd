/* Targets of requests taken apart, and the numbers in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/http/request.h"

static void assert_refused(const char *target, enum status expected) {
    struct url url;
    struct error error;
    assert_int_equal(url_parse(target, &url, &error), expected);
    assert_true(strlen(error.message) > 0);
}

static void path_and_arguments_are_decoded(void **state) {
    (void)state;
    struct url url;
    struct error error;
    assert_int_equal(
        url_parse("/a%20b/%E2%82%AC?x=1%2C2&&empty=&flag&y=a+b%2B&x=again", &url, &error),
        STATUS_OK);
    assert_string_equal(url.path, "/a b/\xe2\x82\xac");
    assert_int_equal(url.n_arguments, 5);
    assert_string_equal(url_argument(&url, "x"), "1,2");
    assert_string_equal(url_argument(&url, "empty"), "");
    assert_string_equal(url_argument(&url, "flag"), "");
    assert_string_equal(url_argument(&url, "y"), "a b+");
    assert_null(url_argument(&url, "z"));
}

static void absolute_form_is_its_path_and_query(void **state) {
    (void)state;
    static const char *const targets[] = {"http://host/a?b=c", "HTTPS://[::1]:8443/a?b=c"};
    struct url url;
    struct error error;
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        assert_int_equal(url_parse(targets[i], &url, &error), STATUS_OK);
        assert_string_equal(url.path, "/a");
        assert_string_equal(url_argument(&url, "b"), "c");
    }
    assert_int_equal(url_parse("http://host", &url, &error), STATUS_OK);
    assert_string_equal(url.path, "/");
    assert_int_equal(url_parse("http://host?b=c", &url, &error), STATUS_OK);
    assert_string_equal(url.path, "/");
    assert_string_equal(url_argument(&url, "b"), "c");
}

static void what_cannot_be_meant_is_refused(void **state) {
    (void)state;
    assert_refused("", STATUS_MALFORMED);
    assert_refused("*", STATUS_MALFORMED);
    assert_refused("host:80", STATUS_MALFORMED);
    assert_refused("ftp://host/", STATUS_MALFORMED);
    assert_refused("http://", STATUS_MALFORMED);
    assert_refused("http://user@host/", STATUS_MALFORMED);
    assert_refused("http:///x", STATUS_MALFORMED);
    assert_refused("*", STATUS_MALFORMED);
    assert_refused("/?title=a%EF%BF%BEb", STATUS_MALFORMED); /* no character */
    assert_refused("/%C2%9B31m", STATUS_MALFORMED);          /* CSI */
    assert_refused("/?name=%E2%80%AE", STATUS_MALFORMED);    /* another direction */
    assert_refused("/%00", STATUS_MALFORMED);
    assert_refused("/?a=%00b", STATUS_MALFORMED);
    assert_refused("/%0a", STATUS_MALFORMED);
    assert_refused("/%2", STATUS_MALFORMED);
    assert_refused("/%zz", STATUS_MALFORMED);
    assert_refused("/a%2Fb", STATUS_MALFORMED);
    assert_refused("/%ff", STATUS_MALFORMED);
    assert_refused("/?1&2&3&4&5&6&7&8&9&10&11&12&13&14&15&16&17", STATUS_MALFORMED);
}

static void long_targets_are_refused_and_the_longest_fit(void **state) {
    (void)state;
    char target[URL_PATH_SIZE + URL_QUERY_SIZE + 2];
    struct url url;
    struct error error;
    memset(target, 'a', sizeof(target));
    target[0] = '/';
    target[URL_PATH_SIZE] = '\0';
    assert_refused(target, STATUS_TOO_LARGE);
    target[URL_PATH_SIZE - 1] = '\0';
    assert_int_equal(url_parse(target, &url, &error), STATUS_OK);
    memset(target, 'a', sizeof(target));
    memcpy(target, "/?", 2);
    target[2 + URL_QUERY_SIZE] = '\0';
    assert_refused(target, STATUS_TOO_LARGE);
    target[2 + URL_QUERY_SIZE - URL_MAX_ARGUMENTS - 3] = '\0';
    assert_int_equal(url_parse(target, &url, &error), STATUS_OK);
}

static void numbers_are_plain_decimal(void **state) {
    (void)state;
    int64_t value = -1;
    assert_true(text_to_count("0", 10, &value));
    assert_int_equal(value, 0);
    assert_true(text_to_count("9223372036854775807", INT64_MAX, &value));
    assert_true(value == INT64_MAX);
    assert_true(text_to_id("10", 10, &value));
    static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "01", "1e3", "0x1", "11", "9999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(text_to_count(bad[i], 10, &value));
    }
    assert_false(text_to_count("9223372036854775808", INT64_MAX, &value));
    assert_false(text_to_id("0", 10, &value));
}

static const char *format_of(const char *target, const char *accept, char format[8]) {
    struct request request = {0};
    struct error error;
    assert_int_equal(url_parse(target, &request.url, &error), STATUS_OK);
    strcpy(request.accept, accept);
    return request_format(&request, "json, csv", format, &error) == STATUS_OK ? format : "refused";
}

static void absolute_targets_have_an_authority(void **state) {
    (void)state;
    struct url url;
    struct error error;
    assert_int_equal(url_parse("http://Lab:8080/a?x=1", &url, &error), STATUS_OK);
    assert_string_equal(url.authority, "Lab:8080");
    assert_string_equal(url.path, "/a");
    assert_string_equal(url_argument(&url, "x"), "1");
    assert_int_equal(url_parse("HTTPS://[::1]?x=2", &url, &error), STATUS_OK);
    assert_string_equal(url.authority, "[::1]");
    assert_string_equal(url.path, "/");
    assert_string_equal(url_argument(&url, "x"), "2");
    assert_int_equal(url_parse("http://lab", &url, &error), STATUS_OK);
    assert_string_equal(url.path, "/");
    assert_int_equal(url_parse("/a", &url, &error), STATUS_OK);
    assert_string_equal(url.authority, "");
}

static void format_follows_argument_then_accept(void **state) {
    (void)state;
    char format[8];
    assert_string_equal(format_of("/", "", format), "json");
    assert_string_equal(format_of("/", "*/*", format), "json");
    assert_string_equal(format_of("/", "text/csv", format), "csv");
    assert_string_equal(format_of("/", "application/json, text/csv;q=0.5", format), "json");
    assert_string_equal(format_of("/", "text/plain", format), "json");
    assert_string_equal(format_of("/?format=csv", "application/json", format), "csv");
    assert_string_equal(format_of("/?format=xml", "", format), "refused");
    assert_string_equal(format_of("/?format=", "", format), "refused");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_and_arguments_are_decoded),
        cmocka_unit_test(absolute_form_is_its_path_and_query),
        cmocka_unit_test(what_cannot_be_meant_is_refused),
        cmocka_unit_test(long_targets_are_refused_and_the_longest_fit),
        cmocka_unit_test(numbers_are_plain_decimal),
        cmocka_unit_test(absolute_targets_have_an_authority),
        cmocka_unit_test(format_follows_argument_then_accept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
