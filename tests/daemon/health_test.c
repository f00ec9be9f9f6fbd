/* What is known of the store without asking it. */
#include "daemon/store/table/setting_table.h"
#include "tests/daemon/store_fixture.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "core/base/clock.h"
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
    assert_int_equal(setting_table_put(test->f.store, "a", "b", &error), STATUS_NO_SPACE);
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

static double test_now_s;

static double tell_test_time(void *user) {
    (void)user;
    return test_now_s;
}

static int64_t tell_unix_ms(void *user) {
    (void)user;
    return clock_unix_ms(&clock_system);
}

/* Of the database file alone, as if its log were lost. */
static bool file_alone_has_setting(const struct test *test) {
    char path[512];
    char command[1200];
    sqlite3 *alone = NULL;
    sqlite3_stmt *statement = NULL;
    (void)snprintf(path, sizeof(path), "%s/alone.db", test->f.dir);
    (void)snprintf(command, sizeof(command), "cp %s %s", test->f.path, path);
    assert_int_equal(system(command), 0);
    assert_int_equal(sqlite3_open(path, &alone), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(alone, "SELECT 1 FROM setting WHERE name = 'a'", -1, &statement, NULL),
        SQLITE_OK);
    bool found = sqlite3_step(statement) == SQLITE_ROW;
    (void)sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(alone), SQLITE_OK);
    return found;
}

static void a_quiet_log_goes_into_the_database_file(void **state) {
    struct test *test = *state;
    const struct clock clock = {.monotonic_s = tell_test_time, .unix_ms = tell_unix_ms};
    struct health *health = NULL;
    ASSERT_OK(health_create(test->f.store, test->f.dir, &clock, &health, &fixture_error));
    ASSERT_OK(setting_table_put(test->f.store, "a", "b", &fixture_error));
    health_look(health);
    test_now_s += 4.9;
    health_look(health);
    assert_false(file_alone_has_setting(test));
    test_now_s += 0.2;
    health_look(health);
    assert_true(file_alone_has_setting(test));
    health_free(health);
}

/* The files of the test's store, as if its process had been killed. */
static void copy_killed(const struct test *test, struct test *killed) {
    char command[2400];
    *killed = (struct test){.f.store = NULL};
    fixture_make_dir(&killed->f);
    (void)snprintf(command, sizeof(command), "cp %s %s && cp %s-wal %s-wal", test->f.path,
                   killed->f.path, test->f.path, killed->f.path);
    assert_int_equal(system(command), 0);
}

static void an_opening_puts_the_log_of_a_killed_process_into_the_database_file(void **state) {
    struct test *test = *state;
    struct test killed;
    ASSERT_OK(setting_table_put(test->f.store, "a", "b", &fixture_error));
    copy_killed(test, &killed);
    assert_false(file_alone_has_setting(&killed));
    fixture_open_store(&killed.f);
    assert_true(file_alone_has_setting(&killed));
    fixture_end(&killed.f);
}

/* Whose sync failed the system does not write by itself again (log_renew.h). */
static void an_opening_writes_the_log_of_a_killed_process_once_more(void **state) {
    struct test *test = *state;
    struct test killed;
    struct stat log;
    char path[1200];
    static const struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    ASSERT_OK(setting_table_put(test->f.store, "a", "b", &fixture_error));
    copy_killed(test, &killed);
    (void)snprintf(path, sizeof(path), "%s-wal", killed.f.path);
    assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    fixture_open_store(&killed.f);
    assert_int_equal(stat(path, &log), 0);
    assert_true(log.st_mtim.tv_sec > 1000);
    assert_true(file_alone_has_setting(&killed));
    fixture_end(&killed.f);
}

/* SQLite has it beside what the link leads to. */
static void the_log_of_a_linked_database_is_written_once_more(void **state) {
    struct test *test = *state;
    struct test killed;
    struct stat log;
    char elsewhere[1200];
    char path[1300];
    char command[5200];
    static const struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    ASSERT_OK(setting_table_put(test->f.store, "a", "b", &fixture_error));
    copy_killed(test, &killed);
    (void)snprintf(elsewhere, sizeof(elsewhere), "%s.elsewhere", killed.f.path);
    (void)snprintf(command, sizeof(command), "mv %s %s && mv %s-wal %s-wal && ln -s %s %s",
                   killed.f.path, elsewhere, killed.f.path, elsewhere, elsewhere, killed.f.path);
    assert_int_equal(system(command), 0);
    (void)snprintf(path, sizeof(path), "%s-wal", elsewhere);
    assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    fixture_open_store(&killed.f);
    assert_int_equal(stat(path, &log), 0);
    assert_true(log.st_mtim.tv_sec > 1000);
    fixture_end(&killed.f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_test, close_test)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(store_that_accepts_is_ready),
        TEST(looking_stores_nothing_and_is_no_commit),
        TEST(lock_of_another_process_is_told_and_its_end_too),
        TEST(full_disk_is_told_until_a_write_reaches_it_again),
        TEST(a_quiet_log_goes_into_the_database_file),
        TEST(an_opening_puts_the_log_of_a_killed_process_into_the_database_file),
        TEST(an_opening_writes_the_log_of_a_killed_process_once_more),
        TEST(the_log_of_a_linked_database_is_written_once_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
