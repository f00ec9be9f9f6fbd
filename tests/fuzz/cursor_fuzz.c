/* Cursors: the first byte chooses the list and its order, the rest is what the cursor says. */
#include "daemon/store/query/run_query.h"
#include "tests/fuzz/api_fuzz.h"

enum { N_ORDERS = 2 * RUN_SORT_COUNT };

/* The cursor of a list of runs, as hexadecimal behind its order. */
static size_t write_run_target(unsigned order, const uint8_t *data, size_t size, char *target,
                               size_t room) {
    const char *sort = run_sort_name((enum run_sort)(order / 2));
    const char *sign = order % 2 ? "-" : "";
    char head[48];
    int n_head = snprintf(head, sizeof(head), "%s%s ", sign, sort);
    size_t n = (size_t)snprintf(target, room, "/api/v1/runs?sort=%s%s&limit=2&cursor=", sign, sort);
    for (size_t i = 0; i < (size_t)n_head; i++) {
        n += (size_t)snprintf(target + n, room - n, "%02x", (unsigned)(unsigned char)head[i]);
    }
    for (size_t i = 0; i < size; i++) {
        n += (size_t)snprintf(target + n, room - n, "%02x", (unsigned)data[i]);
    }
    return n;
}

static void write_target(const uint8_t *data, size_t size, char *target, size_t room) {
    static const char *const others[] = {
        "/api/v1/queue?limit=1&cursor=", "/api/v1/sweeps?limit=1&cursor=",
        "/api/v1/runs/1/epochs?limit=1&cursor=", "/api/v1/runs/1/log?limit=1&cursor="};
    unsigned list = data[0] % (N_ORDERS + sizeof(others) / sizeof(others[0]));
    if (list < N_ORDERS) {
        (void)write_run_target(list, data + 1, size - 1, target, room);
        return;
    }
    size_t n = (size_t)snprintf(target, room, "%s", others[list - N_ORDERS]);
    for (size_t i = 1; i < size; i++) {
        n += (size_t)snprintf(target + n, room - n, "%%%02X", (unsigned)data[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fixture *fixture = api_fuzz_open();
    char target[2048];
    if (size == 0 || size > 500) {
        return 0;
    }
    write_target(data, size, target, sizeof(target));
    struct request request = {.body = "", .method = "GET"};
    struct reply reply = {0};
    if (url_parse(target, &request.url, NULL) == STATUS_OK) {
        router_dispatch(&fixture->context, &request, &reply);
        api_fuzz_require(&reply);
        reply_clear(&reply);
    }
    return 0;
}
