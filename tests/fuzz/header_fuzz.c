/* Headers: what stands in those that something here reads, one a line, and a first byte that
 * chooses the route. */
#include "api/http/byte_range.h"
#include "api/http/compress.h"
#include "api/http/origin.h"
#include "core/base/host.h"
#include "tests/fuzz/api_fuzz.h"

enum { N_LINES = 14 };

/* Up to N_LINES lines, each with a NUL; *text is theirs. */
static int split(char *text, char *lines[N_LINES]) {
    int n = 0;
    for (char *line = text; line && n < N_LINES; n++) {
        char *end = strchr(line, '\n');
        if (end) {
            *end++ = '\0';
        }
        lines[n] = line;
        line = end;
    }
    return n;
}

static void copy(const char *line, char *header) {
    (void)snprintf(header, REQUEST_HEADER_SIZE, "%s", line);
}

static void fill_request(char *const lines[N_LINES], struct request *request) {
    copy(lines[0], request->accept);
    copy(lines[1], request->accept_encoding);
    copy(lines[2], request->if_none_match);
    copy(lines[3], request->if_match);
    copy(lines[4], request->range);
    copy(lines[5], request->if_range);
    copy(lines[6], request->last_event_id);
    copy(lines[7], request->authorization);
    request_id_choose(lines[8], request->id);
}

static void look_at_origin(char *const lines[N_LINES]) {
    const struct origin origin = {.host = lines[9],
                                  .origin = lines[10][0] ? lines[10] : NULL,
                                  .fetch_site = lines[11][0] ? lines[11] : NULL,
                                  .check_host = true,
                                  .changes = true,
                                  .allowed_hosts = "lab.example, 10.0.0.0/8"};
    const struct body_type type = {.content_type = lines[12], .encoding = lines[13]};
    const char *problem = origin_problem(&origin);
    REQUIRE(!problem || problem[0] != '\0');
    (void)body_type_is_taken(&type);
    (void)host_address_is_listed(lines[9], lines[10]);
}

static void look_at_range(const char *header) {
    static const int64_t sizes[] = {0, 1, 1000, INT64_MAX};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int64_t first = 0;
        int64_t n = 0;
        if (byte_range_parse(header, sizes[i], &first, &n) == BYTE_RANGE_PART) {
            REQUIRE(first >= 0 && n >= 1 && first <= sizes[i] - n);
        }
    }
}

static void dispatch(unsigned choice, struct request *request) {
    static const char *const targets[] = {"/",
                                          "/api/v1/runs",
                                          "/api/v1/runs/1",
                                          "/api/v1/runs/1/epochs",
                                          "/api/v1/runs/1/note",
                                          "/api/v1/runs/1/checkpoints",
                                          "/api/v1/runs/1/validation-error",
                                          "/metrics",
                                          "/openapi.json",
                                          "/api/v1/compare?ids=1",
                                          "/api/v1/system"};
    struct fixture *fixture = api_fuzz_open();
    struct reply reply = {0};
    REQUIRE(url_parse(targets[choice % (sizeof(targets) / sizeof(targets[0]))], &request->url,
                      NULL) == STATUS_OK);
    (void)snprintf(request->method, sizeof(request->method), "GET");
    request->body = "";
    router_dispatch(&fixture->context, request, &reply);
    api_fuzz_require(&reply);
    reply_compress(&reply, request);
    reply_clear(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char text[4096];
    char nothing[1] = "";
    char *lines[N_LINES];
    struct request request = {.scope = SCOPE_NONE};
    if (size == 0 || size > sizeof(text)) {
        return 0;
    }
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    for (int n = split(text, lines); n < N_LINES; n++) {
        lines[n] = nothing;
    }
    fill_request(lines, &request);
    look_at_origin(lines);
    look_at_range(request.range);
    dispatch(data[0], &request);
    return 0;
}
