/* Names and addresses of machines: taken apart, looked up in lists, and which of them are this one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/host.h"

static bool split(const char *text, char host[HOST_SIZE], int *port) {
    return host_split(text, strlen(text), host, port);
}

static void hosts_are_taken_apart(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *host;
        int port;
    } cases[] = {
        {"localhost", "localhost", -1},        {"LocalHost:8080", "localhost", 8080},
        {"a.example.", "a.example", -1},       {"a.example.:80", "a.example", 80},
        {"127.0.0.1:0", "127.0.0.1", 0},       {"[::1]", "::1", -1},
        {"[FD00::7]:65535", "fd00::7", 65535}, {"a:", "a", -1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char host[HOST_SIZE];
        int port = -2;
        assert_true(split(cases[i].text, host, &port));
        assert_string_equal(host, cases[i].host);
        assert_int_equal(port, cases[i].port);
    }
    static const char *const wrong[] = {
        "",        ":80",   "a:b",     "a:65536",  "a:80:90",  "::1",        "[::1",
        "[::1]80", "[a]",   "u@a",     "a/b",      "a b",      ".",          "a,b",
        "a\x1b",   "[]:80", "a%2eb:1", "http://a", "\xc3\xa9", ".localhost", "[fe80::1%1]"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char host[HOST_SIZE];
        int port = 0;
        if (split(wrong[i], host, &port)) {
            fail_msg("taken: %s", wrong[i]);
        }
    }
}

static void loopback_is_what_no_name_server_can_change(void **state) {
    (void)state;
    static const char *const loopback[] = {
        "localhost", "a.localhost", "127.0.0.1", "127.255.0.9", "127.1", "::1", "0:0:0:0:0:0:0:1"};
    static const char *const others[] = {"localhost.example.org",
                                         "notlocalhost",
                                         "rebind.attacker.example",
                                         "128.0.0.1",
                                         "0.0.0.0",
                                         "10.0.0.1",
                                         "::",
                                         "::2",
                                         "127.0.0.1.nip.io",
                                         "xlocalhost"};
    for (size_t i = 0; i < sizeof(loopback) / sizeof(loopback[0]); i++) {
        assert_true(host_is_loopback(loopback[i]));
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(host_is_loopback(others[i]));
    }
}

static void lists_are_looked_through(void **state) {
    (void)state;
    static const char hosts[] = "Lab.example.org,  gpu-1 ,fd00::7 [FD00::8]";
    char word[HOST_SIZE];
    assert_true(host_is_listed("lab.example.org", hosts));
    assert_true(host_is_listed("gpu-1", hosts));
    assert_true(host_is_listed("fd00::7", hosts));
    assert_true(host_is_listed("fd00::8", hosts));
    assert_false(host_is_listed("lab.example", hosts));
    assert_false(host_is_listed("gpu-11", hosts));
    assert_false(host_is_listed("gpu-1", ""));
    assert_false(host_list_is_wrong(hosts, word));
    assert_false(host_list_is_wrong("", word));
    assert_true(host_list_is_wrong("a, b:8080", word));
    assert_string_equal(word, "b:8080");
    assert_true(host_list_is_wrong("*", word));

    static const char networks[] = "10.1.0.0/16, ::1 fd00::/9,192.168.0.7";
    static const char *const inside[] = {"10.1.2.3", "::ffff:10.1.0.0", "::1",
                                         "fd7f::", "192.168.0.7"};
    static const char *const outside[] = {"10.2.0.0", "::2", "fd80::", "192.168.0.6",
                                          "",         "x",   "10.1"};
    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
        assert_true(host_address_is_listed(inside[i], networks));
    }
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        assert_false(host_address_is_listed(outside[i], networks));
    }
    assert_true(host_address_is_listed("1.2.3.4", "0.0.0.0/0"));
    assert_false(host_address_list_is_wrong(networks, word));
    static const char *const wrong[] = {"10.0.0.0/33", "10.0.0/8", "::/129",     "lab",
                                        "10.0.0.1/",   "/8",       "10.0.0.1/-1"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_true(host_address_list_is_wrong(wrong[i], word));
        char list[64];
        (void)snprintf(list, sizeof(list), "%s, 10.0.0.9", wrong[i]);
        assert_false(host_address_is_listed("10.0.0.1", list)); /* what is wrong lists nobody */
        assert_true(host_address_is_listed("10.0.0.9", list));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_are_taken_apart),
        cmocka_unit_test(loopback_is_what_no_name_server_can_change),
        cmocka_unit_test(lists_are_looked_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
