/* How statuses and messages become answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "api/http/reply.h"

static const struct request request = {.method = "GET", .url = {.path = "/x"}, .id = "r1"};

static const char *text_of(const cJSON *problem, const char *name) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(problem, name));
}

static void each_status_has_its_code_and_title(void **state) {
    (void)state;
    static const struct {
        enum status status;
        int code;
        const char *type;
        const char *title;
    } rows[] = {
        {STATUS_INVALID, 422, "urn:cutoutd:problem:invalid", "Invalid argument"},
        {STATUS_MALFORMED, 400, "urn:cutoutd:problem:malformed", "Malformed input"},
        {STATUS_UNAUTHORIZED, 401, "urn:cutoutd:problem:unauthorized", "Not authorized"},
        {STATUS_FORBIDDEN, 403, "urn:cutoutd:problem:forbidden", "Forbidden"},
        {STATUS_NOT_FOUND, 404, "urn:cutoutd:problem:not-found", "Not found"},
        {STATUS_CONFLICT, 409, "urn:cutoutd:problem:conflict", "Conflict with the current state"},
        {STATUS_TOO_LARGE, 413, "urn:cutoutd:problem:too-large", "Too large"},
        {STATUS_NO_SPACE, 507, "urn:cutoutd:problem:no-space", "No space left on device"},
        {STATUS_NO_MEMORY, 503, "urn:cutoutd:problem:no-memory", "Out of memory"},
        {STATUS_BUSY, 503, "urn:cutoutd:problem:busy", "In use by another process"},
        {STATUS_UNSUPPORTED, 501, "urn:cutoutd:problem:unsupported", "Not supported"},
        {STATUS_INTERNAL, 500, "urn:cutoutd:problem:internal", "Internal error"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct reply reply = {0};
        reply_problem(&reply, &request, rows[i].status, "Why.");
        cJSON *problem = cJSON_Parse(reply.body);
        assert_int_equal(reply.http_status, rows[i].code);
        assert_int_equal(http_code(rows[i].status), rows[i].code);
        assert_string_equal(text_of(problem, "type"), rows[i].type);
        assert_string_equal(text_of(problem, "title"), rows[i].title);
        assert_string_equal(text_of(problem, "detail"), "Why.");
        assert_int_equal(reply.retry_after_s > 0, rows[i].code == 503);
        cJSON_Delete(problem);
        reply_clear(&reply);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_status_has_its_code_and_title),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
