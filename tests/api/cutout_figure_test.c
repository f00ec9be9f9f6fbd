/* The picture of cutout is of the run that was asked for, or there is none. */
#include "tests/api/fixture.h"

#include <cjson/cJSON.h>

static int n_left; /* allocations of cJSON that succeed; below 0: all */

static void *allocate(size_t size) {
    if (n_left == 0) {
        return NULL;
    }
    n_left -= n_left > 0;
    return malloc(size);
}

static void without_memory_for_a_field_no_other_run_is_drawn(void **state) {
    struct fixture *fixture = *state;
    static const char target[] =
        "/api/v1/figures/cutout.png?m=1&cutout_size=9&flip=true&dataset=shapes&seed=3";
    cJSON_Hooks hooks = {.malloc_fn = allocate, .free_fn = free};
    cJSON_InitHooks(&hooks);
    n_left = -1;
    struct reply whole = ask(fixture, "GET", target, NULL);
    assert_int_equal(whole.http_status, 200);
    int http_status = 0;
    for (int n = 0; http_status != 200; n++) {
        n_left = n;
        struct reply reply = ask(fixture, "GET", target, NULL);
        n_left = -1;
        http_status = reply.http_status;
        if (http_status == 200) {
            assert_int_equal(reply.n_body, whole.n_body);
            assert_memory_equal(reply.body, whole.body, whole.n_body);
        } else {
            assert_int_equal(http_status, 503);
        }
        reply_clear(&reply);
    }
    reply_clear(&whole);
    cJSON_InitHooks(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(without_memory_for_a_field_no_other_run_is_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
