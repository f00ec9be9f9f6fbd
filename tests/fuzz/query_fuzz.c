/* Targets of requests that read: "/api/v1/runs?limit=1". */
#include "tests/fuzz/api_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fixture *fixture = api_fuzz_open();
    char target[4096];
    if (size > 3000) {
        return 0;
    }
    (void)snprintf(target, sizeof(target), "%.*s", (int)size, (const char *)data);
    if (strstr(target, "/events")) {
        return 0; /* they have no end */
    }
    struct request request = {.body = "", .method = "GET"};
    struct reply reply = {0};
    if (url_parse(target, &request.url, NULL) == STATUS_OK) {
        router_dispatch(&fixture->context, &request, &reply);
        api_fuzz_require(&reply);
        reply_clear(&reply);
    }
    return 0;
}
