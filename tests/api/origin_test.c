/* What pages in browsers may not do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/http/origin.h"

static bool is_refused(const char *host, const char *page, const char *site, bool changes) {
    const struct origin origin = {.host = host,
                                  .origin = page,
                                  .fetch_site = site,
                                  .check_host = true,
                                  .changes = changes,
                                  .allowed_hosts = "lab.example"};
    return origin_problem(&origin) != NULL;
}

static void only_loopback_and_listed_hosts_are_served(void **state) {
    (void)state;
    static const char *const good[] = {"localhost", "127.0.0.1:8080", "[::1]:80", "LAB.example:1"};
    static const char *const bad[] = {
        "rebind.attacker.example",   "10.0.0.1:8080", "", "a b", "localhost.attacker.example",
        "localhost@attacker.example"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_false(is_refused(good[i], NULL, NULL, false));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_true(is_refused(bad[i], NULL, NULL, false));
    }
    assert_false(is_refused(NULL, NULL, NULL, false));
    const struct origin with_tokens = {.host = "anything.example", .allowed_hosts = ""};
    assert_null(origin_problem(&with_tokens));
}

static void foreign_pages_change_nothing(void **state) {
    (void)state;
    static const struct {
        const char *host;
        const char *page;
        const char *site;
        bool refused;
    } cases[] = {
        {"localhost:8080", NULL, NULL, false},
        {"localhost:8080", "http://localhost:8080", "same-origin", false},
        {"localhost", "http://localhost", NULL, false},
        {"localhost:443", "https://localhost", NULL, false},
        {"localhost:8080", NULL, "none", false},
        {"127.0.0.1:8080", "https://lab.example", NULL, false}, /* listed, behind a proxy */
        {"localhost:8080", "http://evil.example", NULL, true},
        {"localhost:8080", "null", NULL, true},
        {"localhost:8080", "", NULL, true},
        {"localhost:8080", "http://localhost:3000", "same-site", true},
        {"localhost:8080", "http://localhost", NULL, true},
        {"localhost:8080", "http://127.0.0.1:8080", NULL, true},
        {"localhost:8080", "http://localhost:8080.evil.example", NULL, true},
        {"localhost:8080", "file://localhost:8080", NULL, true},
        {"localhost:8080", NULL, "cross-site", true},
        {"localhost:8080", NULL, "same-site", true},
        {"localhost:8080", "http://localhost:8080", "cross-site", true},
        {NULL, "http://evil.example", NULL, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (is_refused(cases[i].host, cases[i].page, cases[i].site, true) != cases[i].refused) {
            fail_msg("case %zu", i);
        }
        assert_false(is_refused(cases[i].host, cases[i].page, cases[i].site, false));
    }
}

static bool is_taken(const char *content_type, const char *own, bool from_browser) {
    const struct body_type type = {
        .content_type = content_type, .own = own, .from_browser = from_browser};
    return body_type_is_taken(&type);
}

static void bodies_are_json_or_what_curl_sends(void **state) {
    (void)state;
    static const char form[] = "application/x-www-form-urlencoded";
    assert_true(is_taken("application/json", NULL, true));
    assert_true(is_taken("Application/JSON; charset=UTF-8", NULL, true));
    assert_true(is_taken("application/json;charset=\"utf-8\"", NULL, false));
    assert_true(is_taken(form, NULL, false));
    assert_true(is_taken(NULL, NULL, false));
    assert_true(is_taken("text/markdown; charset=utf-8", "text/markdown", true));
    assert_false(is_taken(form, NULL, true));
    assert_false(is_taken(NULL, NULL, true));
    assert_false(is_taken("text/plain", NULL, false));
    assert_false(is_taken("text/plain; application/json", NULL, false));
    assert_false(is_taken("multipart/form-data; boundary=x", NULL, false));
    assert_false(is_taken("application/jsonp", NULL, false));
    assert_false(is_taken("application/json; charset=latin1", NULL, false));
    assert_false(is_taken("", NULL, false));
    assert_false(is_taken("application/json", "text/markdown", false));
    assert_true(is_taken(form, "text/markdown", false));
    assert_false(is_taken(form, "text/markdown", true));
    const struct body_type packed = {.content_type = "application/json", .encoding = "gzip"};
    assert_false(body_type_is_taken(&packed));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_loopback_and_listed_hosts_are_served),
        cmocka_unit_test(foreign_pages_change_nothing),
        cmocka_unit_test(bodies_are_json_or_what_curl_sends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
