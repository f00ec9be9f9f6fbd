/* Targets of requests: the first byte chooses a route that reads, the rest is its query. */
#include "tests/fuzz/api_fuzz.h"

/* "/api/v1/runs/{id}/log" with 1 in the braces' place. */
static void fill_pattern(const char *pattern, char *target, size_t size) {
    size_t n = 0;
    for (; *pattern && n + 1 < size; pattern++) {
        if (*pattern == '{') {
            target[n++] = '1';
            pattern += strcspn(pattern, "}");
        } else {
            target[n++] = *pattern;
        }
    }
    target[n] = '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fixture *fixture = api_fuzz_open();
    char target[4096];
    if (size == 0 || size > 3000) {
        return 0;
    }
    const struct route *route = router_at(data[0] % router_count());
    bool streams = strstr(route->pattern, "/events") != NULL;
    if (strcmp(route->method, "GET") != 0 || streams) {
        return 0;
    }
    fill_pattern(route->pattern, target, 512);
    size_t n = strlen(target);
    (void)snprintf(target + n, sizeof(target) - n, "?%.*s", (int)(size - 1),
                   (const char *)data + 1);
    struct request request = {.body = "", .method = "GET"};
    struct reply reply = {0};
    if (url_parse(target, &request.url, NULL) == STATUS_OK) {
        router_dispatch(&fixture->context, &request, &reply);
        api_fuzz_require(&reply);
        reply_clear(&reply);
    }
    return 0;
}
