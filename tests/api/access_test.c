/* Scopes at the router, and whose run it is. */
#include "tests/api/fixture.h"

#include <sys/stat.h>

#include "api/access.h"

static struct tokens *tokens;
static char token_text[SCOPE_ADMIN + 1][TOKEN_TEXT_SIZE];

/* A token a scope, named after it. */
static void use_tokens(struct fixture *fixture) {
    char path[96];
    struct error error;
    (void)snprintf(path, sizeof(path), "%s/tokens", fixture->dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    for (int i = SCOPE_READ; i <= SCOPE_ADMIN; i++) {
        char sha256[SHA256_HEX_SIZE];
        token_make(TOKEN_PREFIX, token_text[i], sha256);
        (void)fprintf(file, "%s %s %s\n", scope_name((enum scope)i), scope_name((enum scope)i),
                      sha256);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(tokens_open(path, &tokens, &error), STATUS_OK);
    assert_int_equal(unlink(path), 0);
    fixture->context.options.tokens = tokens;
}

static int close_all(void **state) {
    tokens_close(tokens);
    tokens = NULL;
    return fixture_close(state);
}

static int ask_status(struct fixture *fixture, enum scope scope, const char *method,
                      const char *target) {
    struct request request = {.body = ""};
    struct reply reply = {0};
    struct error error;
    (void)snprintf(request.method, sizeof(request.method), "%s", method);
    if (scope != SCOPE_NONE) {
        (void)snprintf(request.authorization, sizeof(request.authorization), "Bearer %s",
                       token_text[scope]);
    }
    assert_int_equal(url_parse(target, &request.url, &error), STATUS_OK);
    router_dispatch(&fixture->context, &request, &reply);
    assert_true((reply.http_status == 401) == (reply.authenticate != NULL));
    reply_clear(&reply);
    return reply.http_status;
}

static void each_scope_allows_what_stands_before_it(void **state) {
    struct fixture *fixture = *state;
    use_tokens(fixture);
    /* What an allowed one answers: an empty body is no run. */
    static const struct {
        const char *method;
        const char *target;
        int expected[SCOPE_ADMIN + 1];
    } cases[] = {
        {"GET", "/healthz", {200, 200, 200, 200}},
        {"GET", "/api/v1/runs", {401, 200, 200, 200}},
        {"POST", "/api/v1/runs", {401, 403, 400, 400}},
        {"GET", "/nothing", {404, 404, 404, 404}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int scope = SCOPE_NONE; scope <= SCOPE_ADMIN; scope++) {
            assert_int_equal(
                ask_status(fixture, (enum scope)scope, cases[i].method, cases[i].target),
                cases[i].expected[scope]);
        }
    }
}

static void a_run_of_nobody_is_the_admins(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(submit(fixture, "{}"), 1);
    use_tokens(fixture);
    assert_int_equal(ask_status(fixture, SCOPE_SUBMIT, "GET", "/api/v1/runs/1"), 200);
    assert_int_equal(ask_status(fixture, SCOPE_SUBMIT, "POST", "/api/v1/runs/1/cancel"), 403);
    assert_int_equal(ask_status(fixture, SCOPE_SUBMIT, "POST", "/api/v1/runs/2/cancel"), 404);
}

static void without_tokens_everything_is_allowed(void **state) {
    assert_int_equal(ask_status(*state, SCOPE_NONE, "POST", "/api/v1/runs"), 400);
}

static void only_the_owner_and_admins_change_what_is_owned(void **state) {
    (void)state;
    struct request request = {.owner = "anna", .scope = SCOPE_SUBMIT};
    struct error error;
    assert_int_equal(request_check_owner(&request, "anna", "run", 7, &error), STATUS_OK);
    assert_int_equal(request_check_owner(&request, "bert", "run", 7, &error), STATUS_FORBIDDEN);
    assert_contains(error.message, "run 7 belongs to bert");
    assert_int_equal(request_check_owner(&request, "", "run", 7, &error), STATUS_FORBIDDEN);
    request.scope = SCOPE_ADMIN;
    assert_int_equal(request_check_owner(&request, "bert", "run", 7, &error), STATUS_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_scope_allows_what_stands_before_it, fixture_open,
                                        close_all),
        cmocka_unit_test_setup_teardown(a_run_of_nobody_is_the_admins, fixture_open, close_all),
        cmocka_unit_test_setup_teardown(without_tokens_everything_is_allowed, fixture_open,
                                        close_all),
        cmocka_unit_test(only_the_owner_and_admins_change_what_is_owned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
