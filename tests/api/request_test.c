/* What handlers read of a request: the format that the client likes best. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/http/request.h"

static void accept_is_weighed(void **state) {
    (void)state;
    static const struct {
        const char *accept;
        const char *allowed;
        const char *format;
    } rows[] = {
        {"", "json, csv", "json"},
        {"*/*", "json, ndjson, csv", "json"},
        {"text/csv", "json, csv", "csv"},
        {"text/csv, */*;q=0.1", "json, csv", "csv"},
        {"application/json;q=0.5, text/csv", "json, csv", "csv"},
        {"text/csv;q=0.5, application/json;q=0.9", "json, csv", "json"},
        {"text/csv;q=0, */*", "json, csv", "json"},
        {"application/json;q=0, text/*", "json, csv", "csv"},
        {"application/json;q=0, */*", "json, csv", "csv"},
        {"TEXT/CSV ; charset=utf-8 ; q=1.0, application/json;q=0.2", "json, csv", "csv"},
        {"application/x-ndjson, text/csv", "json, ndjson, csv", "ndjson"},
        {"text/csv;q=0.9, application/ndjson", "json, ndjson, csv", "ndjson"},
        {"text/html, application/xhtml+xml, */*;q=0.8", "json, text", "json"},
        {"image/png", "json, csv", "json"},
        {"text/plain, application/json", "json, text", "json"},
        {"text/event-stream", "sse, ndjson", "sse"},
        {"application/x-ndjson", "sse, ndjson", "ndjson"},
        {"text/event-stream;q=0.1, application/x-ndjson", "sse, ndjson", "ndjson"},
        {"application/json", "sse, ndjson", "sse"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct request request = {.n_body = 0};
        char format[8];
        struct error error;
        (void)snprintf(request.accept, sizeof(request.accept), "%s", rows[i].accept);
        assert_int_equal(request_format(&request, rows[i].allowed, format, &error), STATUS_OK);
        if (strcmp(format, rows[i].format) != 0) {
            fail_msg("Accept: %s of %s gives %s", rows[i].accept, rows[i].allowed, format);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accept_is_weighed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
