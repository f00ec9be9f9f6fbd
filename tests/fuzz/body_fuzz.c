/* Bodies of forks, edits, actions on many and the rest that takes JSON, through the router. The
 * first byte chooses the route. */
#include "tests/fuzz/api_fuzz.h"
#include "tests/fuzz/json_mutator.h"

const size_t fuzz_json_offset = 1;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct {
        const char *method, *target;
    } routes[] = {
        {"POST", "/api/v1/runs/1/fork"},         {"PATCH", "/api/v1/runs/1"},
        {"POST", "/api/v1/runs/bulk"},           {"POST", "/api/v1/runs?dry_run=true"},
        {"POST", "/api/v1/sweeps?dry_run=true"}, {"POST", "/api/v1/admin/purge"},
    };
    struct fixture *fixture = api_fuzz_open();
    if (size == 0) {
        return 0;
    }
    struct request request = {.body = (const char *)data + 1, .n_body = size - 1};
    struct reply reply = {0};
    const size_t route = data[0] % (sizeof(routes) / sizeof(routes[0]));
    (void)snprintf(request.method, sizeof(request.method), "%s", routes[route].method);
    REQUIRE(url_parse(routes[route].target, &request.url, NULL) == STATUS_OK);
    router_dispatch(&fixture->context, &request, &reply);
    api_fuzz_require(&reply);
    reply_clear(&reply);
    return 0;
}
