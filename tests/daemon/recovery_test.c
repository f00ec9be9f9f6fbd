/* What the next start does with runs that were running, and what kill -9 leaves of a write. */
#include "tests/daemon/store_fixture.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include "daemon/store/query/event_list.h"
#include "daemon/store/table/epoch_table.h"
#include "daemon/work/recovery.h"

static int set_up(void **state) {
    static struct store_fixture fixture;
    fixture_begin(&fixture);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state) {
    fixture_end(*state);
    return 0;
}

/* Claims a run, whose attempt comes no farther. */
static void claim_only(struct store *store) {
    struct run_row row = {0};
    ASSERT_OK(run_table_claim(store, &(struct run_claim){0}, 2000, &row, &fixture_error));
    run_row_clear(&row);
}

/* Claims a run, whose attempt comes as far as training. */
static void claim(struct store *store) {
    struct run_row row = {0};
    ASSERT_OK(run_table_claim(store, &(struct run_claim){0}, 2000, &row, &fixture_error));
    ASSERT_OK(run_table_note_begin(store, row.id, row.attempt, &fixture_error));
    run_row_clear(&row);
}

static void running_runs_are_queued_again(void **state) {
    struct store_fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        (void)fixture_add_run(f->store, 0);
    }
    claim(f->store);
    claim(f->store);
    struct recovery_result result = {0};
    ASSERT_OK(recovery_run(f->store, NULL, &clock_system, &result, &fixture_error));
    assert_int_equal(result.n_requeued, 2);
    assert_int_equal(result.n_asked, 0);
    for (int64_t id = 1; id <= 3; id++) {
        struct run_row row = fixture_get_run(f->store, id);
        assert_int_equal(row.state, RUN_QUEUED);
        assert_int_equal(row.attempt, id <= 2 ? 2 : 1);
        assert_string_equal(row.reason, id <= 2 ? "interrupted" : "");
        run_row_clear(&row);
    }
    ASSERT_OK(recovery_run(f->store, NULL, &clock_system, &result, &fixture_error));
    assert_int_equal(result.n_requeued, 0);
}

/* A recovery that was cut short is done again: one end of the daemon is one interruption. */
static void an_end_is_counted_once_whatever_ends_its_recovery(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 0);
    for (int nth = 1; nth <= 3; nth++) {
        struct recovery_result result = {0};
        claim(f->store);
        store_inject_failure(f->store, nth);
        while (recovery_run(f->store, NULL, &clock_system, &result, &fixture_error) != STATUS_OK) {
        }
        store_inject_failure(f->store, 0);
        struct run_row row = fixture_get_run(f->store, id);
        assert_int_equal(row.interruptions, nth);
        assert_int_equal(row.attempt, nth + 1);
        run_row_clear(&row);
    }
}

static void an_accepted_cancel_is_not_forgotten(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 0);
    assert_int_equal(fixture_request(f->store, id, RUN_REQUEST_CANCEL), STATUS_CONFLICT);
    claim(f->store);
    assert_int_equal(fixture_request(f->store, id, RUN_REQUEST_CANCEL), STATUS_OK);
    struct recovery_result result = {0};
    ASSERT_OK(recovery_run(f->store, NULL, &clock_system, &result, &fixture_error));
    assert_int_equal(result.n_asked, 1);
    struct run_row row = fixture_get_run(f->store, id);
    assert_int_equal(row.state, RUN_CANCELED);
    assert_int_equal(row.attempt, 1);
    assert_int_equal(row.request, RUN_REQUEST_NONE);
    run_row_clear(&row);
}

static void a_run_that_ends_the_daemon_every_time_fails_at_last(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 0);
    struct recovery_result result = {0};
    for (int i = 0; i < 5; i++) {
        claim(f->store);
        ASSERT_OK(recovery_run(f->store, NULL, &clock_system, &result, &fixture_error));
        assert_int_equal(result.n_requeued, 1);
        assert_int_equal(fixture_state(f->store, id), RUN_QUEUED);
    }
    claim(f->store);
    ASSERT_OK(recovery_run(f->store, NULL, &clock_system, &result, &fixture_error));
    assert_int_equal(result.n_requeued, 0);
    assert_int_equal(result.n_failed, 1);
    struct run_row row = fixture_get_run(f->store, id);
    assert_int_equal(row.state, RUN_FAILED);
    assert_non_null(strstr(row.reason, "6 times in a row"));
    run_row_clear(&row);
}

static void an_end_before_training_is_not_counted(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 0);
    struct recovery_result result = {0};
    for (int i = 0; i < 10; i++) {
        claim_only(f->store);
        ASSERT_OK(recovery_run(f->store, NULL, &clock_system, &result, &fixture_error));
        assert_int_equal(result.n_requeued, 1);
        assert_int_equal(fixture_state(f->store, id), RUN_QUEUED);
    }
}

static void an_epoch_in_between_counts_as_progress(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 0);
    struct recovery_result result = {0};
    for (int i = 0; i < 8; i++) {
        claim(f->store);
        const struct epoch_row row = {
            .report.epoch = i + 1, .report.val_total = 10, .report.lr = 1, .at_ms = 1};
        ASSERT_OK(epoch_table_put(f->store, id, &row, &fixture_error));
        ASSERT_OK(recovery_run(f->store, NULL, &clock_system, &result, &fixture_error));
        assert_int_equal(result.n_failed, 0);
        assert_int_equal(fixture_state(f->store, id), RUN_QUEUED);
    }
}

static void an_accepted_pause_is_not_forgotten(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 0);
    claim(f->store);
    assert_int_equal(fixture_request(f->store, id, RUN_REQUEST_PAUSE), STATUS_OK);
    struct recovery_result result = {0};
    ASSERT_OK(recovery_run(f->store, NULL, &clock_system, &result, &fixture_error));
    assert_int_equal(result.n_asked, 1);
    assert_int_equal(fixture_state(f->store, id), RUN_PAUSED);
}

static void more_runs_than_one_round_are_all_found(void **state) {
    struct store_fixture *f = *state;
    for (int i = 0; i < 150; i++) {
        (void)fixture_add_run(f->store, 0);
        claim(f->store);
    }
    struct recovery_result result = {0};
    ASSERT_OK(recovery_run(f->store, NULL, &clock_system, &result, &fixture_error));
    assert_int_equal(result.n_requeued, 150);
}

/* The child writes runs and epochs without end and tells each one after its commit. */
static void write_until_killed(const char *path, int fd) {
    struct store *store = NULL;
    if (store_open(path, &store, NULL) != STATUS_OK) {
        _exit(1);
    }
    const struct run_config config = fixture_config();
    const struct run_draft draft = {
        .name = "x", .labels_json = "{}", .config_json = "{}", .config = &config};
    for (;;) {
        int64_t id = 0;
        const struct epoch_row epoch = {
            .report.epoch = 1, .report.val_wrong = 3, .report.val_total = 9, .at_ms = 1};
        if (run_table_insert(store, &draft, 1, &id, NULL) != STATUS_OK ||
            epoch_table_put(store, id, &epoch, NULL) != STATUS_OK ||
            write(fd, &id, sizeof(id)) != (ssize_t)sizeof(id)) {
            _exit(2);
        }
    }
}

/* Reads `n` tellings, kills the child, reads what it still told; returns the last. */
static int64_t kill_after(pid_t child, int fd, int n) {
    int64_t last = 0;
    int64_t id = 0;
    for (int i = 0; i < n; i++) {
        assert_int_equal(read(fd, &id, sizeof(id)), (ssize_t)sizeof(id));
        last = id;
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how));
    while (read(fd, &id, sizeof(id)) == (ssize_t)sizeof(id)) {
        last = id;
    }
    return last;
}

static int64_t number_of(const char *path, const char *sql) {
    sqlite3 *handle = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
    return number;
}

static void what_was_told_survives_kill_9(void **state) {
    struct store_fixture *f = *state;
    store_close(f->store);
    f->store = NULL;
    for (int round = 1; round <= 5; round++) {
        int pipe_fds[2];
        assert_int_equal(pipe(pipe_fds), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)close(pipe_fds[0]);
            write_until_killed(f->path, pipe_fds[1]);
        }
        (void)close(pipe_fds[1]);
        int64_t last = kill_after(child, pipe_fds[0], 7 * round);
        (void)close(pipe_fds[0]);

        fixture_open_store(f);
        struct run_row row = fixture_get_run(f->store, last);
        assert_int_equal(row.epochs_done, 1);
        run_row_clear(&row);
        store_close(f->store);
        f->store = NULL;
        assert_int_equal(number_of(f->path, "SELECT count(*) FROM epoch WHERE val_wrong = 3"),
                         number_of(f->path, "SELECT count(*) FROM event WHERE type = 'epoch'"));
        assert_int_equal(number_of(f->path, "SELECT count(*) FROM run"),
                         number_of(f->path, "SELECT count(*) FROM event WHERE type = 'state'"));
        assert_int_equal(number_of(f->path, "SELECT count(*) FROM run WHERE epochs_done <>"
                                            " (SELECT count(*) FROM epoch WHERE run_id = id)"),
                         0);
        assert_int_equal(number_of(f->path, "SELECT count(*) FROM pragma_integrity_check"
                                            " WHERE integrity_check <> 'ok'"),
                         0);
    }
    fixture_open_store(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(running_runs_are_queued_again),
        TEST(an_end_is_counted_once_whatever_ends_its_recovery),
        TEST(an_accepted_cancel_is_not_forgotten),
        TEST(a_run_that_ends_the_daemon_every_time_fails_at_last),
        TEST(an_end_before_training_is_not_counted),
        TEST(an_epoch_in_between_counts_as_progress),
        TEST(an_accepted_pause_is_not_forgotten),
        TEST(more_runs_than_one_round_are_all_found),
        TEST(what_was_told_survives_kill_9),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
