/* POSTs with an Idempotency-Key: what was done is never done again, wherever the daemon ends. A
 * crash behind the commit is played by a store that fails at the write after it. */
#include "tests/api/fixture.h"

#include <ftw.h>
#include <sys/stat.h>

#include "api/routes/routes.h"
#include "daemon/store/change/run_change.h"
#include "daemon/store/table/checkpoint_table.h"

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

/* Some leave files behind. */
static int close_all(void **state) {
    static const char *const folders[] = {"backups", "runs"};
    for (size_t i = 0; i < 2; i++) {
        char path[96];
        (void)snprintf(path, sizeof(path), "%s/%s", ((struct fixture *)*state)->dir, folders[i]);
        (void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    }
    return fixture_close(state);
}

/* By a proxy of that prefix. */
static struct reply post_by(struct fixture *fixture, const char *prefix, const char *key,
                            const char *target, const char *body) {
    struct request request = {.method = "POST", .body = body, .n_body = strlen(body)};
    struct reply reply = {0};
    struct error error;
    (void)snprintf(request.idempotency_key, sizeof(request.idempotency_key), "%s", key);
    (void)snprintf(request.prefix, sizeof(request.prefix), "%s", prefix);
    assert_int_equal(url_parse(target, &request.url, &error), STATUS_OK);
    router_dispatch(&fixture->context, &request, &reply);
    return reply;
}

static struct reply post(struct fixture *fixture, const char *key, const char *target,
                         const char *body) {
    return post_by(fixture, "", key, target, body);
}

static void fail_write(struct fixture *fixture, int nth) {
    store_inject_failure(fixture->context.options.store, nth);
}

static enum run_state state_of(struct fixture *fixture, int64_t id) {
    struct run_row row = {0};
    struct error error;
    assert_int_equal(run_table_get(fixture->context.options.store, id, &row, &error), STATUS_OK);
    enum run_state state = row.state;
    run_row_clear(&row);
    return state;
}

/* The first request acts and nothing more can be written; its repeat has the same answer. */
static void assert_answered_once(struct fixture *fixture, const char *target, const char *body,
                                 int http_status) {
    fail_write(fixture, 2);
    struct reply first = post(fixture, target, target, body);
    fail_write(fixture, 0);
    struct reply again = post(fixture, target, target, body);
    assert_int_equal(first.http_status, http_status);
    assert_false(first.replayed);
    assert_true(again.replayed);
    assert_int_equal(again.http_status, http_status);
    assert_string_equal(again.body, first.body);
    assert_string_equal(again.location, "");
    reply_clear(&first);
    reply_clear(&again);
}

static void action_and_its_answer_are_one_commit(void **state) {
    struct fixture *fixture = *state;
    int64_t id = submit(fixture, "{}");
    assert_answered_once(fixture, "/api/v1/runs/1/hold", "", 200);
    /* What happened since is not undone by a repeat. */
    struct reply reply = post(fixture, "k", "/api/v1/runs/1/release", "");
    assert_int_equal(reply.http_status, 200);
    reply_clear(&reply);
    reply = post(fixture, "/api/v1/runs/1/hold", "/api/v1/runs/1/hold", "");
    assert_true(reply.replayed);
    reply_clear(&reply);
    assert_int_equal(state_of(fixture, id), RUN_QUEUED);
    claim(fixture, id);
    assert_answered_once(fixture, "/api/v1/runs/1/pause", "", 202);
}

static void bulk_and_its_answer_are_one_commit(void **state) {
    struct fixture *fixture = *state;
    (void)submit(fixture, "{}");
    (void)submit(fixture, "{}");
    assert_answered_once(fixture, "/api/v1/runs/bulk",
                         "{\"action\":\"delete\",\"ids\":[\"1\",\"7\"]}", 200);
    assert_int_equal(state_of(fixture, 2), RUN_QUEUED);
}

static void action_on_a_sweep_and_its_answer_are_one_commit(void **state) {
    struct fixture *fixture = *state;
    struct reply reply =
        ask(fixture, "POST", "/api/v1/sweeps", "{\"base\":{},\"grid\":{\"seed\":[1,2]}}");
    assert_int_equal(reply.http_status, 201);
    reply_clear(&reply);
    assert_answered_once(fixture, "/api/v1/sweeps/1/pause", "", 200);
    assert_int_equal(state_of(fixture, 2), RUN_HELD);
}

static void drain_and_its_answer_are_one_commit(void **state) {
    struct fixture *fixture = *state;
    assert_answered_once(fixture, "/api/v1/scheduler/drain", "", 200);
    struct reply reply = ask(fixture, "POST", "/api/v1/scheduler/resume", "");
    assert_int_equal(reply.http_status, 200);
    reply_clear(&reply);
    reply = post(fixture, "/api/v1/scheduler/drain", "/api/v1/scheduler/drain", "");
    assert_true(reply.replayed);
    reply_clear(&reply);
    reply = ask(fixture, "GET", "/api/v1/scheduler", NULL);
    assert_contains(reply.body, "\"state\":\"running\"");
    reply_clear(&reply);
}

static void what_was_not_stored_is_tried_again_under_its_key(void **state) {
    struct fixture *fixture = *state;
    int64_t id = submit(fixture, "{}");
    fail_write(fixture, 1);
    struct reply reply = post(fixture, "k", "/api/v1/runs/1/cancel", "");
    assert_int_equal(reply.http_status, 507);
    reply_clear(&reply);
    assert_int_equal(state_of(fixture, id), RUN_QUEUED);
    reply = post(fixture, "k", "/api/v1/runs/1/cancel", "");
    assert_int_equal(reply.http_status, 200);
    assert_false(reply.replayed);
    reply_clear(&reply);
    /* A refusal is not kept either. */
    reply = post(fixture, "other", "/api/v1/runs/1/cancel", "");
    assert_int_equal(reply.http_status, 409);
    reply_clear(&reply);
    reply = post(fixture, "k2", "/api/v1/runs/1/requeue", "");
    assert_int_equal(reply.http_status, 200);
    reply_clear(&reply);
    reply = post(fixture, "other", "/api/v1/runs/1/cancel", "");
    assert_int_equal(reply.http_status, 200);
    reply_clear(&reply);
}

static struct reply asked_meanwhile;

/* Submits a run, and while that is being answered sends the same request again. */
static void submit_and_ask_again(struct api_context *context, const struct request *request,
                                 struct reply *reply) {
    struct request again = *request;
    again.idempotency = NULL;
    idempotency_dispatch(context, &again, route_run_create, &asked_meanwhile);
    route_run_create(context, request, reply);
}

static void a_repeat_during_the_answer_is_told_when_to_come_again(void **state) {
    struct fixture *fixture = *state;
    struct request request = {.method = "POST", .idempotency_key = "k", .body = "{}", .n_body = 2};
    struct reply first = {0};
    struct error error;
    assert_int_equal(url_parse("/api/v1/runs", &request.url, &error), STATUS_OK);
    idempotency_dispatch(&fixture->context, &request, submit_and_ask_again, &first);
    assert_int_equal(first.http_status, 201);
    assert_int_equal(asked_meanwhile.http_status, 409);
    assert_contains(asked_meanwhile.body, "being answered at the moment; send it again");
    assert_int_equal(asked_meanwhile.retry_after_s, 1);
    struct reply again = post(fixture, "k", "/api/v1/runs", "{}");
    assert_true(again.replayed);
    assert_string_equal(again.body, first.body);
    reply_clear(&asked_meanwhile);
    reply_clear(&first);
    reply_clear(&again);
    /* What is not in the state for it gains nothing by a repeat. */
    first = post(fixture, "other", "/api/v1/runs/1/resume", "");
    assert_int_equal(first.http_status, 409);
    assert_int_equal(first.retry_after_s, 0);
    reply_clear(&first);
}

static void created_run_is_found_again_by_its_key(void **state) {
    struct fixture *fixture = *state;
    fail_write(fixture, 2);
    struct reply first = post(fixture, "k", "/api/v1/runs", "{\"m\":2}");
    fail_write(fixture, 0);
    struct reply again = post(fixture, "k", "/api/v1/runs", "{\"m\":2}");
    assert_int_equal(first.http_status, 201);
    assert_true(again.replayed);
    assert_int_equal(again.http_status, 201);
    assert_string_equal(again.body, first.body);
    assert_string_equal(again.location, "/api/v1/runs/1");
    reply_clear(&first);
    reply_clear(&again);
}

static void assert_link(const struct reply *reply, const char *link) {
    char text[64];
    (void)snprintf(text, sizeof(text), "\"%s\"", link);
    assert_contains(reply->body, text);
    assert_null(strchr(reply->body, '\x01'));
    assert_int_equal(reply->n_body, strlen(reply->body));
}

/* Of what is stored in the transaction, of what is stored behind it, and of what is made again. */
static void links_are_of_the_proxy_that_asks_again(void **state) {
    struct fixture *fixture = *state;
    static const char *const targets[] = {"/api/v1/runs", "/api/v1/runs/1/hold", "/api/v1/runs"};
    static const char *const bodies[] = {"{}", "", "{\"m\":2}"};
    static const char *const selves[] = {"/api/v1/runs/1", "/api/v1/runs/1", "/api/v1/runs/2"};
    static const char *const prefixes[] = {"/lab", "", "/far/away"};
    for (size_t i = 0; i < 3; i++) {
        fail_write(fixture, i == 2 ? 2 : 0); /* the answer is not stored, only where the run is */
        for (size_t j = 0; j < 3; j++) {
            char key[8];
            char link[48];
            (void)snprintf(key, sizeof(key), "k%zu", i);
            (void)snprintf(link, sizeof(link), "%s%s", prefixes[j], selves[i]);
            struct reply reply = post_by(fixture, prefixes[j], key, targets[i], bodies[i]);
            fail_write(fixture, 0);
            assert_int_equal(reply.replayed, j > 0);
            assert_link(&reply, link);
            reply_clear(&reply);
        }
    }
}

static void a_refusal_has_the_path_of_who_asked(void **state) {
    struct fixture *fixture = *state;
    struct reply reply = post_by(fixture, "/lab", "k", "/api/v1/runs/9/hold", "");
    assert_int_equal(reply.http_status, 404);
    assert_link(&reply, "/lab/api/v1/runs/9/hold");
    reply_clear(&reply);
}

/* Files are in no transaction of the store: these two are done before their answer is kept. */

static void repeated_backup_leaves_the_one_that_is_there(void **state) {
    struct fixture *fixture = *state;
    char path[128];
    struct stat before;
    struct stat after;
    static const char body[] = "{\"name\":\"friday\"}";
    (void)snprintf(path, sizeof(path), "%s/backups/friday/cutoutd.db", fixture->dir);
    fail_write(fixture, 2); /* 1: the audit */
    struct reply reply = post(fixture, "k", "/api/v1/admin/backup", body);
    assert_int_equal(reply.http_status, 201);
    reply_clear(&reply);
    fail_write(fixture, 0);
    assert_int_equal(stat(path, &before), 0);
    reply = post(fixture, "k", "/api/v1/admin/backup", body);
    assert_int_equal(reply.http_status, 409);
    assert_contains(reply.body, "There is a backup friday already");
    reply_clear(&reply);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

static void put_checkpoint(struct fixture *fixture, int64_t id, int epochs_done) {
    struct checkpoint_row row = {.kind = CHECKPOINT_LAST, .n_bytes = 2, .epochs_done = epochs_done};
    struct error error;
    char path[160];
    (void)snprintf(row.path, sizeof(row.path), "%06d-000000.safetensors", epochs_done);
    memset(row.sha256, 'a', SHA256_HEX_SIZE - 1);
    (void)snprintf(path, sizeof(path), "%s/runs", fixture->dir);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof(path), "%s/runs/%d", fixture->dir, (int)id);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof(path), "%s/runs/%d/%.40s", fixture->dir, (int)id, row.path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs("x", file) < 0 || fclose(file) != 0, 0);
    assert_int_equal(checkpoint_table_put(fixture->context.options.store, id, &row, 1, &error),
                     STATUS_OK);
}

static void repeated_purge_finds_nothing_left_to_do(void **state) {
    struct fixture *fixture = *state;
    int64_t id = submit(fixture, "{}");
    claim(fixture, id);
    put_checkpoint(fixture, id, 1);
    put_checkpoint(fixture, id, 2);
    const struct run_move long_ago = {
        .id = id, .from = RUN_RUNNING, .to = RUN_SUCCEEDED, .reason = "", .now_ms = 1};
    struct error error;
    assert_int_equal(run_table_move(fixture->context.options.store, &long_ago, &error), STATUS_OK);
    fail_write(fixture, 3);
    for (int i = 0; i < 2; i++) {
        struct reply reply = post(fixture, "k", "/api/v1/admin/purge", "{\"older_than_days\":0}");
        assert_int_equal(reply.http_status, 200);
        assert_contains(reply.body, i == 0 ? "\"files\":2" : "\"files\":0");
        assert_false(reply.replayed);
        reply_clear(&reply);
        fail_write(fixture, 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, close_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(action_and_its_answer_are_one_commit),
        TEST(bulk_and_its_answer_are_one_commit),
        TEST(action_on_a_sweep_and_its_answer_are_one_commit),
        TEST(drain_and_its_answer_are_one_commit),
        TEST(what_was_not_stored_is_tried_again_under_its_key),
        TEST(a_repeat_during_the_answer_is_told_when_to_come_again),
        TEST(created_run_is_found_again_by_its_key),
        TEST(links_are_of_the_proxy_that_asks_again),
        TEST(a_refusal_has_the_path_of_who_asked),
        TEST(repeated_backup_leaves_the_one_that_is_there),
        TEST(repeated_purge_finds_nothing_left_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
