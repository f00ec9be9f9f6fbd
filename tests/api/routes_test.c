/* The handlers over a real store: what each answers, byte for byte where it matters. */
#include "tests/api/fixture.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <sqlite3.h>
#include <unistd.h>

/* The body as JSON; the reply is cleared. */
static cJSON *json_of(struct reply *reply) {
    cJSON *json = cJSON_Parse(reply->body);
    if (!json) {
        print_error("not JSON: %s\n", reply->body ? reply->body : "(nothing)");
    }
    assert_non_null(json);
    reply_clear(reply);
    return json;
}

static const char *text_at(const cJSON *json, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
    assert_true(cJSON_IsString(item));
    return item->valuestring;
}

static double number_at(const cJSON *json, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

static void submitted_run_is_answered_whole(void **state) {
    struct reply reply = ask(*state, "POST", "/api/v1/runs",
                             "{\"m\":8,\"cutout_size\":12,\"name\":\"a \\\"b\\\"\",\"priority\":3,"
                             "\"labels\":{\"team\":\"vision\"},\"seed\":9007199254740991}");
    assert_int_equal(reply.http_status, 201);
    assert_string_equal(reply.location, "/api/v1/runs/1");
    assert_string_equal(reply.content_type, CONTENT_JSON);
    assert_contains(reply.body, "\"seed\":9007199254740991");
    cJSON *run = json_of(&reply);
    assert_string_equal(text_at(run, "id"), "1");
    assert_string_equal(text_at(run, "name"), "a \"b\"");
    assert_string_equal(text_at(run, "state"), "queued");
    assert_string_equal(text_at(run, "created_at"), "2026-03-01T12:00:00.250Z");
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(run, "started_at")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(run, "best")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(run, "progress")));
    const cJSON *config = cJSON_GetObjectItem(run, "config");
    assert_int_equal(number_at(config, "m"), 8);
    assert_int_equal(number_at(config, "depth"), 44);
    assert_string_equal(text_at(config, "dataset"), "shapes");
    assert_string_equal(text_at(cJSON_GetObjectItem(run, "labels"), "team"), "vision");
    cJSON_Delete(run);
}

static void bad_fields_are_a_problem_with_pointers(void **state) {
    struct reply reply = ask(*state, "POST", "/api/v1/runs", "{\"m\":0,\"epoch\":5}");
    assert_int_equal(reply.http_status, 422);
    assert_string_equal(reply.content_type, CONTENT_PROBLEM);
    cJSON *problem = json_of(&reply);
    assert_string_equal(text_at(problem, "type"), "urn:cutoutd:problem:invalid");
    assert_string_equal(text_at(problem, "title"), "Invalid argument");
    assert_string_equal(text_at(problem, "instance"), "/api/v1/runs");
    assert_int_equal(number_at(problem, "status"), 422);
    const cJSON *errors = cJSON_GetObjectItem(problem, "errors");
    assert_int_equal(cJSON_GetArraySize(errors), 2);
    assert_string_equal(text_at(cJSON_GetArrayItem(errors, 1), "pointer"), "/epoch");
    cJSON_Delete(problem);
    reply = ask(*state, "POST", "/api/v1/runs", "{\"m\":");
    assert_int_equal(reply.http_status, 400);
    reply_clear(&reply);
    reply = ask(*state, "POST", "/api/v1/runs", NULL);
    assert_int_equal(reply.http_status, 400);
    reply_clear(&reply);
}

static void run_that_needs_too_much_memory_is_refused_with_numbers(void **state) {
    struct fixture *fixture = *state;
    fixture->local.memory_limit_bytes = (int64_t)1 << 30;
    struct reply reply = ask(fixture, "POST", "/api/v1/runs", "{\"m\":512}");
    assert_int_equal(reply.http_status, 422);
    cJSON *problem = json_of(&reply);
    const cJSON *memory = cJSON_GetObjectItem(problem, "memory");
    assert_true(number_at(memory, "needed_bytes") > number_at(memory, "limit_bytes"));
    assert_true(number_at(memory, "limit_bytes") == 1073741824);
    const cJSON *error = cJSON_GetArrayItem(cJSON_GetObjectItem(problem, "errors"), 0);
    assert_string_equal(text_at(error, "pointer"), "/m");
    int fits = 0;
    assert_int_equal(sscanf(strstr(text_at(error, "detail"), "m up to"), "m up to %d", &fits), 1);
    cJSON_Delete(problem);
    /* The advice is right: that m is taken, one more is not. */
    char body[32];
    (void)snprintf(body, sizeof(body), "{\"m\":%d}", fits);
    (void)submit(fixture, body);
    (void)snprintf(body, sizeof(body), "{\"m\":%d}", fits + 1);
    reply = ask(fixture, "POST", "/api/v1/runs", body);
    assert_int_equal(reply.http_status, 422);
    reply_clear(&reply);
}

static void batch_larger_than_the_data_set_is_refused(void **state) {
    struct reply reply =
        ask(*state, "POST", "/api/v1/runs", "{\"batch_size\":1001,\"m\":1,\"depth\":8}");
    assert_int_equal(reply.http_status, 422);
    assert_contains(reply.body, "1000 training images");
    reply_clear(&reply);
}

static void failed_commit_is_no_accepted_run(void **state) {
    struct fixture *fixture = *state;
    store_inject_failure(fixture->context.options.store, 1);
    struct reply reply = ask(fixture, "POST", "/api/v1/runs", "{}");
    assert_int_equal(reply.http_status, 507);
    assert_contains(reply.body, "disk is full");
    reply_clear(&reply);
    reply = ask(fixture, "GET", "/api/v1/runs", NULL);
    assert_string_equal(reply.body, "{\"varies\":[],\"items\":[],\"next_cursor\":null}\n");
    reply_clear(&reply);
}

/* Nobody else repeats a request that was called wrong. */
static void webhooks_that_cannot_be_read_are_not_the_clients_fault(void **state) {
    struct fixture *fixture = *state;
    static const struct {
        const char *path;
        const char *body;
    } requests[] = {
        {"/api/v1/runs", "{\"notify\":[\"chat\"]}"},
        {"/api/v1/runs?dry_run=true", "{\"notify\":[\"chat\"]}"},
        {"/api/v1/sweeps", "{\"base\":{\"notify\":[\"chat\"]},\"grid\":{\"m\":[2,4]}}"},
    };
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        struct reply reply = ask(fixture, "POST", requests[i].path, requests[i].body);
        assert_int_equal(reply.http_status, 422);
        assert_contains(reply.body, "There is no webhook chat");
        reply_clear(&reply);
    }
    char path[96];
    sqlite3 *database = NULL;
    (void)snprintf(path, sizeof(path), "%s/test.db", fixture->dir);
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, "ALTER TABLE webhook RENAME TO gone", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        struct reply reply = ask(fixture, "POST", requests[i].path, requests[i].body);
        assert_true(reply.http_status >= 500);
        reply_clear(&reply);
    }
}

static void list_pages_from_the_newest(void **state) {
    struct fixture *fixture = *state;
    for (int i = 0; i < 5; i++) {
        (void)submit(fixture, i % 2 ? "{\"m\":4}" : "{\"cutout_size\":16}");
    }
    struct reply reply = ask(fixture, "GET", "/api/v1/runs?limit=2", NULL);
    cJSON *page = json_of(&reply);
    const cJSON *items = cJSON_GetObjectItem(page, "items");
    assert_int_equal(cJSON_GetArraySize(items), 2);
    assert_string_equal(text_at(cJSON_GetArrayItem(items, 0), "id"), "5");
    char target[640];
    (void)snprintf(target, sizeof(target), "/api/v1/runs?limit=4&cursor=%s",
                   text_at(page, "next_cursor"));
    cJSON_Delete(page);
    reply = ask(fixture, "GET", target, NULL);
    page = json_of(&reply);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(page, "items")), 3);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(page, "next_cursor")));
    cJSON_Delete(page);
}

static void list_links_to_the_next_page_in_its_own_words(void **state) {
    struct fixture *fixture = *state;
    for (int i = 0; i < 3; i++) {
        (void)submit(fixture, "{\"name\":\"a b\"}");
    }
    struct reply reply =
        ask(fixture, "GET", "/api/v1/runs?name=a+b&sort=-name&fields=id,name&limit=2", NULL);
    assert_int_equal(reply.http_status, 200);
    assert_contains(reply.body, "{\"items\":[{\"id\":\"3\",\"name\":\"a b\"},{\"id\":\"2\"");
    const char *end = strstr(reply.link, ">; rel=\"next\"");
    assert_non_null(end);
    assert_contains(reply.link,
                    "</api/v1/runs?name=a%20b&sort=-name&fields=id,name&limit=2&cursor=");
    char *target = strndup(reply.link + 1, (size_t)(end - reply.link - 1));
    reply_clear(&reply);
    reply = ask(fixture, "GET", target, NULL);
    assert_string_equal(reply.body, "{\"items\":[{\"id\":\"1\",\"name\":\"a b\"}],"
                                    "\"next_cursor\":null}\n");
    assert_null(reply.link);
    reply_clear(&reply);
    /* A cursor means a place in one order. */
    char *cursor = strstr(target, "cursor=");
    char other[700];
    (void)snprintf(other, sizeof(other), "/api/v1/runs?sort=name&%s", cursor);
    reply = ask(fixture, "GET", other, NULL);
    assert_int_equal(reply.http_status, 400);
    reply_clear(&reply);
    free(target);
}

static void list_filters(void **state) {
    struct fixture *fixture = *state;
    (void)submit(fixture, "{\"m\":4}");
    (void)submit(fixture, "{\"m\":8,\"cutout_size\":16}");
    (void)submit(fixture, "{\"m\":2,\"labels\":{\"note\":\"a,b:c\\\\\"},\"name\":\"x,y\"}");
    claim(fixture, 1);
    static const struct {
        const char *query;
        int n;
    } cases[] = {{"m=4", 1},
                 {"m=4,8", 2},
                 {"cutout_size=12", 2},
                 {"cutout_size=12,16", 3},
                 {"state=running", 1},
                 {"state=queued,running", 3},
                 {"state=queued&m=4", 0},
                 {"state=failed", 0},
                 {"dataset=shapes&depth=44&copies=independent", 3},
                 {"optimizer=adam", 0},
                 {"label=team:vision", 0},
                 {"label=note:a%5C,b:c%5C%5C", 1},
                 {"label=note:b,note:a%5C,b:c%5C%5C", 1},
                 {"label=note:a,b:c%5C%5C", 0},
                 {"name=x%5C,y", 1},
                 {"name=x,y", 0},
                 {"owner=", 3},
                 {"m=4,8&m=8,2", 1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char target[96];
        (void)snprintf(target, sizeof(target), "/api/v1/runs?%s", cases[i].query);
        struct reply reply = ask(fixture, "GET", target, NULL);
        assert_int_equal(reply.http_status, 200);
        cJSON *page = json_of(&reply);
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(page, "items")), cases[i].n);
        cJSON_Delete(page);
    }
    static const char *const bad[] = {"state=done",     "m=x",        "m=4,,8",
                                      "limit=501",      "limit=0",    "limit=-1",
                                      "cursor=abc",     "colour=red", "cutout_size=-1",
                                      "sort=best,m",    "label=team", "fields=id,colour",
                                      "limit=1&limit=2"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char target[64];
        (void)snprintf(target, sizeof(target), "/api/v1/runs?%s", bad[i]);
        struct reply reply = ask(fixture, "GET", target, NULL);
        if (reply.http_status != 400) {
            print_error("%s\n", bad[i]);
        }
        assert_int_equal(reply.http_status, 400);
        assert_contains(reply.body, "\"parameter\"");
        reply_clear(&reply);
    }
}

static void resource_follows_the_run(void **state) {
    struct fixture *fixture = *state;
    int64_t id = submit(fixture, "{}");
    claim(fixture, id);
    put_epoch_row(fixture, id, 1, 2.0, 150);
    put_epoch_row(fixture, id, 2, 1.0, 100);
    put_epoch_row(fixture, id, 3, 1.0, 120);
    const struct progress progress = {.run_id = id,
                                      .epoch = 4,
                                      .epochs = 50,
                                      .step = 7,
                                      .steps_per_epoch = 15,
                                      .loss = (double)NAN,
                                      .accuracy = 0.5,
                                      .images_per_second = 800,
                                      .eta_seconds = 12.5,
                                      .n_reports = 1};
    progress_board_set(fixture->context.options.progress, 0, &progress);
    struct reply reply = ask(fixture, "GET", "/api/v1/runs/1", NULL);
    char etag[64];
    strcpy(etag, reply.etag);
    assert_contains(reply.body, "\"best\":{\"epoch\":2,\"val_error\":0.5,\"val_wrong\":100,"
                                "\"val_total\":200}");
    assert_contains(reply.body, "\"last\":{\"epoch\":3,\"val_error\":0.6,\"val_wrong\":120,");
    assert_contains(reply.body,
                    "\"progress\":{\"epoch\":4,\"epochs\":50,\"step\":7,\"steps_per_epoch\":15,"
                    "\"train_loss\":null,\"train_accuracy\":0.5,\"images_per_second\":800,"
                    "\"eta_seconds\":12.5}");
    reply_clear(&reply);
    progress_board_clear(fixture->context.options.progress, 0);
    finish(fixture, id);
    reply = ask(fixture, "GET", "/api/v1/runs/1", NULL);
    assert_contains(reply.body, "\"state\":\"succeeded\"");
    assert_contains(reply.etag, "W/\"");
    assert_string_not_equal(reply.etag, etag); /* progress alone makes another answer */
    strcpy(etag, reply.etag);
    reply_clear(&reply);
    struct request request = {.method = "GET", .body = ""};
    struct error error;
    assert_int_equal(url_parse("/api/v1/runs/1", &request.url, &error), STATUS_OK);
    strcpy(request.if_none_match, etag);
    struct reply again = {0};
    router_dispatch(&fixture->context, &request, &again);
    assert_int_equal(again.http_status, 304);
    assert_int_equal(again.n_body, 0);
    strcpy(request.if_none_match, "W/\"1-9999\"");
    router_dispatch(&fixture->context, &request, &again);
    assert_int_equal(again.http_status, 200);
    reply_clear(&again);
}

static void history_is_exact_in_json_and_csv(void **state) {
    struct fixture *fixture = *state;
    int64_t id = submit(fixture, "{\"m\":4}");
    claim(fixture, id);
    put_epoch_row(fixture, id, 1, 1.0 / 3, 150);
    put_epoch_row(fixture, id, 2, (double)INFINITY, 180);
    struct reply reply = ask(fixture, "GET", "/api/v1/runs/1/epochs", NULL);
    assert_string_equal(
        reply.body,
        "{\"run\":\"1\",\"state\":\"running\",\"items\":[{\"epoch\":1,\"train_loss\":"
        "0.3333333333333333,\"train_accuracy\":0.25,\"val_loss\":1.5,\"val_accuracy\":0.25,"
        "\"val_error\":0.75,\"val_wrong\":150,\"val_total\":200,\"lr\":0.001,\"seconds\":2.5,"
        "\"images_per_second\":800,\"images\":2000,\"steps\":10,"
        "\"val_error_tta\":null,\"val_error_ema\":null},{\"epoch\":2,\"train_loss\":null,"
        "\"train_accuracy\":0.25,"
        "\"val_loss\":1.5,\"val_accuracy\":0.1,\"val_error\":0.9,\"val_wrong\":180,\"val_total\":"
        "200,\"lr\":0.001,\"seconds\":2.5,\"images_per_second\":800,\"images\":2000,"
        "\"steps\":10,\"val_error_tta\":null,\"val_error_ema\":null,\"diverged\":true}],"
        "\"next_cursor\":null}\n");
    reply_clear(&reply);
    reply = ask(fixture, "GET", "/api/v1/runs/1/epochs?format=csv", NULL);
    assert_string_equal(reply.content_type, CONTENT_CSV);
    assert_string_equal(
        reply.body,
        "epoch,train_loss,train_accuracy,val_loss,val_accuracy,val_error,val_wrong,"
        "val_total,lr,seconds,images_per_second,images,steps,val_error_tta,val_error_ema\n"
        "1,0.3333333333333333,0.25,1.5,0.25,0.75,150,200,0.001,2.5,800,2000,10,,\n"
        "2,,0.25,1.5,0.1,0.9,180,200,0.001,2.5,800,2000,10,,\n");
    reply_clear(&reply);
    reply = ask(fixture, "GET", "/api/v1/runs/1/validation-error", NULL);
    assert_string_equal(reply.body, "{\"run\":\"1\",\"name\":null,\"state\":\"running\",\"m\":4,"
                                    "\"cutout_size\":12,\"epochs\":[1,2],\"val_error\":[0.75,0.9],"
                                    "\"val_wrong\":[150,180],\"val_total\":200,"
                                    "\"next_cursor\":null}\n");
    reply_clear(&reply);
    reply = ask(fixture, "GET", "/api/v1/runs/1/validation-error?format=csv", NULL);
    assert_string_equal(reply.body,
                        "epoch,val_error,val_wrong,val_total\n1,0.75,150,200\n2,0.9,180,200\n");
    reply_clear(&reply);
    reply = ask(fixture, "GET", "/api/v1/runs/1/epochs?format=ndjson&since_epoch=1", NULL);
    assert_string_equal(reply.content_type, CONTENT_NDJSON);
    assert_string_equal(
        reply.body,
        "{\"epoch\":2,\"train_loss\":null,\"train_accuracy\":0.25,\"val_loss\":1.5,"
        "\"val_accuracy\":0.1,\"val_error\":0.9,\"val_wrong\":180,\"val_total\":200,"
        "\"lr\":0.001,\"seconds\":2.5,\"images_per_second\":800,\"images\":2000,"
        "\"steps\":10,\"val_error_tta\":null,\"val_error_ema\":null,\"diverged\":true}\n");
    reply_clear(&reply);
    reply = ask(fixture, "GET", "/api/v1/runs/1/validation-error?format=ndjson", NULL);
    assert_string_equal(reply.body,
                        "{\"epoch\":1,\"val_error\":0.75,\"val_wrong\":150,\"val_total\":200}\n"
                        "{\"epoch\":2,\"val_error\":0.9,\"val_wrong\":180,\"val_total\":200}\n");
    reply_clear(&reply);
    reply = ask(fixture, "GET", "/api/v1/runs/1/epochs?limit=1&format=csv", NULL);
    assert_contains(reply.body, "\n1,");
    assert_null(strstr(reply.body, "\n2,"));
    assert_string_equal(reply.link,
                        "</api/v1/runs/1/epochs?limit=1&format=csv&cursor=1>; rel=\"next\"");
    reply_clear(&reply);
    reply = ask(fixture, "GET", "/api/v1/runs/1/epochs?limit=1&format=csv&cursor=1", NULL);
    assert_contains(reply.body, "\n2,");
    assert_null(reply.link);
    reply_clear(&reply);
    reply = ask(fixture, "GET", "/api/v1/runs/1/epochs?points=2", NULL);
    assert_int_equal(reply.http_status, 400);
    reply_clear(&reply);
    reply = ask(fixture, "GET", "/api/v1/runs/1/epochs?format=xml", NULL);
    assert_int_equal(reply.http_status, 400);
    reply_clear(&reply);
}

static void summary_counts_the_notebooks_parameters(void **state) {
    (void)submit(*state, "{}");
    struct reply reply = ask(*state, "GET", "/api/v1/runs/1/summary", NULL);
    cJSON *summary = json_of(&reply);
    const cJSON *parameters = cJSON_GetObjectItem(summary, "parameters");
    assert_int_equal(number_at(parameters, "total"), 665994);
    assert_int_equal(number_at(parameters, "trainable"), 662826);
    assert_int_equal(number_at(parameters, "non_trainable"), 3168);
    assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(summary, "layers")) > 44);
    cJSON_Delete(summary);
    reply = ask(*state, "GET", "/api/v1/runs/1/summary?format=text", NULL);
    assert_string_equal(reply.content_type, CONTENT_TEXT);
    assert_contains(reply.body, "Total parameters: 665994");
    assert_contains(reply.body, "(32, 32, 16)");
    reply_clear(&reply);
}

static void unknown_things_are_not_found(void **state) {
    static const char *const targets[] = {"/api/v1/runs/1",
                                          "/api/v1/runs/0",
                                          "/api/v1/runs/-1",
                                          "/api/v1/runs/x",
                                          "/api/v1/runs/1/epochs",
                                          "/api/v1/runs/1/events",
                                          "/api/v1/runs/1/summary",
                                          "/api/v1/runs/1/nothing",
                                          "/api/v1/presets/none",
                                          "/api/v1/runs/",
                                          "/api/v1",
                                          "/api/v2/runs",
                                          "/api/v1/runs/1/",
                                          "/api/v1/runs/99999999999999999999"};
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        struct reply reply = ask(*state, "GET", targets[i], NULL);
        if (reply.http_status != 404) {
            print_error("%s\n", targets[i]);
        }
        assert_int_equal(reply.http_status, 404);
        assert_string_equal(reply.content_type, CONTENT_PROBLEM);
        reply_clear(&reply);
    }
}

static void other_methods_are_told_which_fit(void **state) {
    struct reply reply = ask(*state, "DELETE", "/api/v1/runs", NULL);
    assert_int_equal(reply.http_status, 405);
    assert_string_equal(reply.allow, "POST, GET, HEAD");
    reply_clear(&reply);
    reply = ask(*state, "POST", "/healthz", NULL);
    assert_int_equal(reply.http_status, 405);
    assert_string_equal(reply.allow, "GET, HEAD");
    reply_clear(&reply);
    reply = ask(*state, "HEAD", "/healthz", NULL);
    assert_int_equal(reply.http_status, 200);
    reply_clear(&reply);
}

static void meta_routes_answer(void **state) {
    struct fixture *fixture = *state;
    struct reply reply = ask(fixture, "GET", "/api/v1/presets", NULL);
    cJSON *presets = json_of(&reply);
    const cJSON *items = cJSON_GetObjectItem(presets, "items");
    assert_int_equal(cJSON_GetArraySize(items), 5);
    assert_string_equal(text_at(cJSON_GetArrayItem(items, 0), "name"), "notebook-q3");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetArrayItem(items, 0), "default")));
    cJSON_Delete(presets);
    reply = ask(fixture, "GET", "/api/v1/presets/paper", NULL);
    assert_contains(reply.body, "\"optimizer\":\"sgd\"");
    reply_clear(&reply);
    reply = ask(fixture, "GET", "/api/v1/datasets", NULL);
    assert_contains(reply.body,
                    "{\"name\":\"shapes\",\"default\":true,\"generated\":true,"
                    "\"available\":true,\"problem\":null,\"warning\":null,\"train_images\":1000,"
                    "\"test_images\":200,\"classes\":10}");
    reply_clear(&reply);
    (void)submit(fixture, "{}");
    fixture->now_s += 61.5;
    reply = ask(fixture, "GET", "/api/v1/system", NULL);
    assert_contains(reply.body, "\"kernel_variant\":\"ref\"");
    assert_contains(reply.body, "\"queued\":1,");
    reply_clear(&reply);
    reply = ask(fixture, "GET", "/", NULL);
    assert_contains(reply.body, "curl -d '{\"m\":8,\"cutout_size\":12}' http://127.0.0.1:1/");
    reply_clear(&reply);
    reply = ask(fixture, "GET", "/readyz", NULL); /* the last look is a minute old */
    assert_int_equal(reply.http_status, 503);
    assert_contains(reply.body, "The database does not answer.");
    reply_clear(&reply);
    health_look(fixture->context.options.health);
    reply = ask(fixture, "GET", "/readyz", NULL);
    assert_int_equal(reply.http_status, 200);
    reply_clear(&reply);
    atomic_store(&fixture->context.stopping, true);
    reply = ask(fixture, "GET", "/readyz", NULL);
    assert_int_equal(reply.http_status, 503);
    assert_true(reply.retry_after_s > 0);
    reply_clear(&reply);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(submitted_run_is_answered_whole),
        TEST(bad_fields_are_a_problem_with_pointers),
        TEST(run_that_needs_too_much_memory_is_refused_with_numbers),
        TEST(batch_larger_than_the_data_set_is_refused),
        TEST(failed_commit_is_no_accepted_run),
        TEST(webhooks_that_cannot_be_read_are_not_the_clients_fault),
        TEST(list_pages_from_the_newest),
        TEST(list_links_to_the_next_page_in_its_own_words),
        TEST(list_filters),
        TEST(resource_follows_the_run),
        TEST(history_is_exact_in_json_and_csv),
        TEST(summary_counts_the_notebooks_parameters),
        TEST(unknown_things_are_not_found),
        TEST(other_methods_are_told_which_fit),
        TEST(meta_routes_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
