/* What is known of the store without asking it. */
#include "tests/daemon/store_fixture.h"

#include <sqlite3.h>

#include "core/base/clock.h"
#include "daemon/store/change/setting_change.h"
#include "daemon/work/health.h"

struct test {
    struct store_fixture f;
    struct health *health;
};

static int open_test(void **state) {
    struct test *test = calloc(1, sizeof(*test));
    assert_non_null(test);
    fixture_begin(&test->f);
    ASSERT_OK(
        health_create(test->f.store, test->f.dir, &clock_system, &test->health, &fixture_error));
    *state = test;
    return 0;
}

static int close_test(void **state) {
    struct test *test = *state;
    health_free(test->health);
    fixture_end(&test->f);
    free(test);
    return 0;
}

static void store_that_accepts_is_ready(void **state) {
    struct test *test = *state;
    struct health_report report;
    health_read(test->health, &report);
    assert_true(report.is_ready);
    assert_string_equal(report.reason, "");
    assert_int_equal(report.runs[RUN_QUEUED], 0);
    assert_true(report.disk.free_bytes > 0);
    health_free(NULL);
}

static void looking_stores_nothing_and_is_no_commit(void **state) {
    struct test *test = *state;
    struct histogram_reading before;
    struct histogram_reading after;
    histogram_read(store_commits(test->f.store), &before);
    for (int i = 0; i < 3; i++) {
        health_look(test->health);
    }
    histogram_read(store_commits(test->f.store), &after);
    assert_int_equal(after.n, before.n);
}

static void lock_of_another_process_is_told_and_its_end_too(void **state) {
    struct test *test = *state;
    struct health_report report;
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(test->f.path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    health_look(test->health); /* waits as long as a writer would */
    health_read(test->health, &report);
    assert_false(report.is_ready);
    assert_int_equal(report.status, STATUS_BUSY);
    assert_string_equal(report.reason, "Another process holds the write lock of the database.");
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    health_look(test->health);
    health_read(test->health, &report);
    assert_true(report.is_ready);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
}

static void full_disk_is_told_until_a_write_reaches_it_again(void **state) {
    struct test *test = *state;
    struct health_report report;
    struct error error;
    store_inject_failure(test->f.store, 1);
    assert_int_equal(setting_table_put(test->f.store, "a", "b", NULL, &error), STATUS_NO_SPACE);
    store_inject_failure(test->f.store, 1); /* the disk is still full */
    health_look(test->health);
    health_read(test->health, &report);
    assert_false(report.is_ready);
    assert_string_equal(report.reason, "The disk of the state directory is full.");
    health_look(test->health);
    health_read(test->health, &report);
    assert_true(report.is_ready);
    char value[8];
    assert_int_equal(setting_table_get(test->f.store, "check", value, sizeof(value), &error),
                     STATUS_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_test, close_test)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(store_that_accepts_is_ready),
        TEST(looking_stores_nothing_and_is_no_commit),
        TEST(lock_of_another_process_is_told_and_its_end_too),
        TEST(full_disk_is_told_until_a_write_reaches_it_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
