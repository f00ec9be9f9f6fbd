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

static bool utf8_is_valid(const char *text) {
    while (*text) {
        unsigned char c = (unsigned char)*text++;
        int n_more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
        bool lead = c < 0x80 || c >= 0xc0;
        for (; lead && n_more > 0; n_more--) {
            lead = ((unsigned char)*text++ & 0xc0) == 0x80;
        }
        if (!lead) {
            return false;
        }
    }
    return true;
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

/* A sentence longer than its room ends with a whole letter, wherever the cut comes. */
static void sentences_are_cut_between_letters(void **state) {
    (void)state;
    static const char *const letters[] = {"x", "\u00e4", "\u20ac", "\U0001f600"};
    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
        for (size_t shift = 0; shift < 4; shift++) {
            char text[2048];
            size_t n = shift;
            memset(text, 'a', shift);
            while (n + 5 < sizeof(text)) {
                memcpy(text + n, letters[i], strlen(letters[i]));
                n += strlen(letters[i]);
            }
            text[n] = '\0';
            struct reply replies[3] = {0};
            struct error error;
            reply_problem(&replies[0], &request, STATUS_INVALID, "%s", text);
            reply_bad_argument(&replies[1], &request, "x", "%s", text);
            reply_error(&replies[2], &request,
                        (error_set(&error, STATUS_CONFLICT, "%s", text), &error));
            for (int k = 0; k < 3; k++) {
                assert_true(utf8_is_valid(replies[k].body));
                reply_clear(&replies[k]);
            }
        }
    }
}

static void only_what_the_address_stands_for_is_kept(void **state) {
    (void)state;
    static const int kept[] = {200, 201, 204, 206, 304};
    static const int not_kept[] = {400, 404, 412, 416, 422, 500, 503};
    struct reply reply = {.for_ever = true};
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        reply.http_status = kept[i];
        assert_true(reply_is_of_address(&reply));
    }
    for (size_t i = 0; i < sizeof(not_kept) / sizeof(not_kept[0]); i++) {
        reply.http_status = not_kept[i];
        assert_false(reply_is_of_address(&reply));
    }
    /* A file of the page for which there was no memory. */
    reply_bytes(&reply, &request, "text/css", NULL, 10);
    assert_int_equal(reply.http_status, 503);
    assert_false(reply_is_of_address(&reply));
    reply_clear(&reply);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_status_has_its_code_and_title),
        cmocka_unit_test(sentences_are_cut_between_letters),
        cmocka_unit_test(only_what_the_address_stands_for_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
