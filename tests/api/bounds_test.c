/* Answers that would have no end have a bound, and say so. */
#include "tests/api/feed_fixture.h"

#include <sqlite3.h>

#include "core/base/clock.h"

static void comparison_of_too_many_epochs_is_refused(void **state) {
    struct fixture *fixture = *state;
    static const char *const targets[] = {"/api/v1/compare?ids=1,2",
                                          "/api/v1/figures/validation-error.svg?ids=1,2"};
    (void)submit(fixture, "{}");
    (void)submit(fixture, "{\"m\":4}");
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        sql(fixture, "UPDATE run SET epochs_done = 250001");
        struct reply reply = ask(fixture, "GET", targets[i], NULL);
        assert_int_equal(reply.http_status, 422);
        assert_contains(reply.body, "These 2 runs have 500002 epochs; at most 500000");
        assert_contains(reply.body, "Give fewer runs");
        reply_clear(&reply);
        sql(fixture, "UPDATE run SET epochs_done = 0");
        reply = ask(fixture, "GET", targets[i], NULL);
        assert_int_equal(reply.http_status, 200);
        reply_clear(&reply);
    }
}

/* One long run beside many short ones: few epochs, but a table with a cell for each of the long
 * one's in each group. */
static void table_of_a_comparison_is_refused_when_it_would_be_mostly_empty(void **state) {
    struct fixture *fixture = *state;
    struct reply reply =
        ask(fixture, "POST", "/api/v1/sweeps",
            "{\"grid\":{\"m\":[1,2,3,4],\"cutout_size\":[1,2,3,4,5,6,7,8,9,10,11,12,13]}}");
    assert_int_equal(reply.http_status, 201);
    reply_clear(&reply);
    sql(fixture,
        "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
        " INSERT INTO epoch (run_id, epoch, train_loss, train_accuracy, val_loss, val_accuracy,"
        " val_wrong, val_total, lr, seconds, images_per_second, at_ms)"
        " SELECT 1, i, 1, 0.5, 1, 0.5, 100, 200, 0.1, 1, 1, 1 FROM n;"
        "UPDATE run SET epochs_done = 100000 WHERE id = 1");
    static const char each_alone[] = "/api/v1/compare?sweep=1&group_by=none&format=csv";
    static const char grouped[] = "/api/v1/compare?sweep=1&group_by=m&format=csv";
    static const char as_json[] = "/api/v1/compare?sweep=1&group_by=none&format=json";
    reply = ask(fixture, "GET", each_alone, NULL);
    assert_int_equal(reply.http_status, 422);
    assert_contains(reply.body, "100000 epochs in 52 groups has 5200000 cells; at most 5000000");
    assert_contains(reply.body, "group_by=");
    assert_contains(reply.body, "JSON");
    reply_clear(&reply);
    reply = ask(fixture, "GET", grouped, NULL);
    assert_int_equal(reply.http_status, 200);
    reply_clear(&reply);
    reply = ask(fixture, "GET", as_json, NULL);
    assert_int_equal(reply.http_status, 200);
    reply_clear(&reply);
}

static size_t count(const char *text, const char *part) {
    size_t n = 0;
    for (; (text = strstr(text, part)); text++) {
        n++;
    }
    return n;
}

static void long_history_comes_in_pages_as_json_and_whole_as_lines(void **state) {
    struct fixture *fixture = *state;
    (void)submit(fixture, "{\"epochs\":20000}");
    sql(fixture,
        "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 10001)"
        " INSERT INTO epoch (run_id, epoch, train_loss, train_accuracy, val_loss, val_accuracy,"
        " val_wrong, val_total, lr, seconds, images_per_second, at_ms)"
        " SELECT 1, i, 1, 0.5, 1, 0.5, 100, 200, 0.1, 1, 1, 1 FROM n;"
        "UPDATE run SET epochs_done = 10001");
    struct reply reply = ask(fixture, "GET", "/api/v1/runs/1/epochs", NULL);
    assert_contains(reply.body, "\"next_cursor\":\"10000\"");
    assert_int_equal(count(reply.body, "\"epoch\":"), 10000);
    reply_clear(&reply);
    reply = ask(fixture, "GET", "/api/v1/runs/1/epochs?cursor=10000", NULL);
    assert_contains(reply.body, "\"epoch\":10001,");
    assert_contains(reply.body, "\"next_cursor\":null");
    reply_clear(&reply);
    reply = ask(fixture, "GET", "/api/v1/runs/1/epochs?format=csv", NULL);
    assert_int_equal(count(reply.body, "\n"), 10002);
    reply_clear(&reply);
    reply = ask(fixture, "GET", "/api/v1/runs/1/epochs?points=20000", NULL);
    assert_int_equal(count(reply.body, "\"epoch\":"), 10001);
    reply_clear(&reply);
}

static void edit_gives_up_soon_while_another_process_writes(void **state) {
    struct fixture *fixture = *state;
    (void)submit(fixture, "{}");
    fixture->context.options.clock = &clock_system;
    char path[96];
    (void)snprintf(path, sizeof(path), "%s/test.db", fixture->dir);
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    double begun_s = clock_monotonic_s(&clock_system);
    struct reply reply = ask(fixture, "PATCH", "/api/v1/runs/1", "{\"priority\":3}");
    assert_int_equal(reply.http_status, 503);
    assert_true(reply.retry_after_s > 0);
    assert_true(clock_monotonic_s(&clock_system) < begun_s + 20); /* not five times SQLite's 5 s */
    reply_clear(&reply);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    reply = ask(fixture, "PATCH", "/api/v1/runs/1", "{\"priority\":3}");
    assert_int_equal(reply.http_status, 200);
    reply_clear(&reply);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(comparison_of_too_many_epochs_is_refused),
        TEST(table_of_a_comparison_is_refused_when_it_would_be_mostly_empty),
        TEST(long_history_comes_in_pages_as_json_and_whole_as_lines),
        TEST(edit_gives_up_soon_while_another_process_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
