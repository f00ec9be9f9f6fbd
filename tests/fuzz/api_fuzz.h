/* A store with a run that has ended and one that waits, behind the router, for fuzzers of requests.
 * It is made once and removed when the process ends. */
#ifndef CUTOUTD_TESTS_FUZZ_API_FUZZ_H
#define CUTOUTD_TESTS_FUZZ_API_FUZZ_H

#include <cjson/cJSON.h>

#include "core/base/log.h"
#include "tests/api/fixture.h"
#include "tests/fuzz/fuzz.h"

static struct fixture *api_fuzz_fixture;

static void api_fuzz_close(void) {
    void *state = api_fuzz_fixture;
    (void)fixture_close(&state);
}

static struct fixture *api_fuzz_open(void) {
    static const char tiny[] = "{\"dataset\":\"shapes\",\"depth\":8,\"epochs\":1,\"m\":1,"
                               "\"name\":\"zebra\",\"labels\":{\"team\":\"vision\"}}";
    if (!api_fuzz_fixture) {
        void *state = NULL;
        REQUIRE(fixture_open(&state) == 0);
        api_fuzz_fixture = state;
        REQUIRE(atexit(api_fuzz_close) == 0);
        int64_t id = submit(api_fuzz_fixture, tiny);
        claim(api_fuzz_fixture, id);
        put_epoch_row(api_fuzz_fixture, id, 1, 2.0, 100);
        finish(api_fuzz_fixture, id);
        (void)submit(api_fuzz_fixture, tiny);
        struct reply reply = ask(api_fuzz_fixture, "POST", "/api/v1/sweeps",
                                 "{\"base\":{\"depth\":8},\"grid\":{\"m\":[1,2]}}");
        REQUIRE(reply.http_status == 201);
        reply_clear(&reply);
    }
    return api_fuzz_fixture;
}

/* An answer that a client can read, and no fault of ours. */
static inline void api_fuzz_require(const struct reply *reply) {
    REQUIRE(reply->http_status >= 200 && reply->http_status < 500);
    REQUIRE(reply->http_status < 400 || reply->body);
    if (reply->body && reply->content_type && strstr(reply->content_type, "json") &&
        !strstr(reply->content_type, "ndjson")) {
        cJSON *tree = cJSON_ParseWithLength(reply->body, reply->n_body);
        REQUIRE(tree != NULL);
        cJSON_Delete(tree);
        REQUIRE(text_cut(reply->body, reply->n_body, reply->n_body) == reply->n_body);
    }
}

#endif
