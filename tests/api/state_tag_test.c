/* Tags of answers that are not made for a client that has them. */
#include "tests/api/fixture.h"

/* The same rows, told by a program that tells them in another way. */
static void another_program_has_other_tags(void **state) {
    struct fixture *fixture = *state;
    static const char *const targets[] = {"/api/v1/sweeps/1", "/api/v1/compare?sweep=1",
                                          "/api/v1/compare?sweep=1&format=csv",
                                          "/api/v1/figures/validation-error.svg?sweep=1",
                                          "/api/v1/figures/validation-error.png?sweep=1"};
    struct reply reply = ask(fixture, "POST", "/api/v1/sweeps", "{\"grid\":{\"m\":[1,2]}}");
    assert_int_equal(reply.http_status, 201);
    reply_clear(&reply);
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        struct request request = {.method = "GET", .body = ""};
        struct error error;
        assert_int_equal(url_parse(targets[i], &request.url, &error), STATUS_OK);
        fixture->context.options.commit = "0123456789ab";
        reply = ask(fixture, "GET", targets[i], NULL);
        assert_int_equal(reply.http_status, 200);
        strcpy(request.if_none_match, reply.etag);
        reply_clear(&reply);
        router_dispatch(&fixture->context, &request, &reply);
        assert_int_equal(reply.http_status, 304);
        fixture->context.options.commit = "ba9876543210";
        router_dispatch(&fixture->context, &request, &reply);
        assert_int_equal(reply.http_status, 200);
        reply_clear(&reply);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(another_program_has_other_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
