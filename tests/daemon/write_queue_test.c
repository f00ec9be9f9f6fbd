/* Grouped commits: who waits at the same moment shares one, and each fails or succeeds on its own.
 */
#include "tests/daemon/store_fixture.h"

#include <pthread.h>
#include <sched.h>

#include "daemon/store/write_queue.h"

enum { N_FOLLOWERS = 5, FAILING = 2 };

static struct {
    struct store_fixture files; /* its store stays closed: only the directory is used */
    struct write_queue queue;
    int n_commits;
    bool refuse_commit;
    atomic_bool first_runs;
} f;

static int on_commit(void *user) {
    (void)user;
    f.n_commits++;
    return f.refuse_commit ? 1 : 0;
}

static int set_up(void **state) {
    (void)state;
    memset(&f, 0, sizeof(f));
    fixture_begin(&f.files);
    store_close(f.files.store);
    f.files.store = NULL;
    write_queue_init(&f.queue);
    ASSERT_OK(db_open(&f.queue.db, f.files.path, true, &fixture_error));
    assert_int_equal(
        sqlite3_exec(f.queue.db.handle, "CREATE TABLE written (value INTEGER)", 0, 0, 0),
        SQLITE_OK);
    (void)sqlite3_commit_hook(f.queue.db.handle, on_commit, NULL);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    write_queue_destroy(&f.queue);
    fixture_end(&f.files);
    return 0;
}

/* What a writer wants, and what became of it. */
struct writer {
    pthread_t thread;
    int value;
    bool waits_for_others; /* in its body, so that the others form a group */
    enum status fails_with;
    bool loses_transaction;
    enum status status;
    size_t n_touched;
    struct error error;
};

static int n_waiting(void) {
    (void)pthread_mutex_lock(&f.queue.mutex);
    int n = f.queue.n_waiting;
    (void)pthread_mutex_unlock(&f.queue.mutex);
    return n;
}

static enum status body(struct db *db, void *arguments, struct error *error) {
    struct writer *writer = arguments;
    atomic_store(&f.first_runs, true);
    while (writer->waits_for_others && n_waiting() < N_FOLLOWERS) {
        (void)sched_yield();
    }
    char sql[64];
    (void)snprintf(sql, sizeof(sql), "INSERT INTO written VALUES (%d)", writer->value);
    assert_int_equal(sqlite3_exec(db->handle, sql, NULL, NULL, NULL), SQLITE_OK);
    db_touch(db, writer->value);
    db_touch(db, writer->value + 100);
    if (writer->loses_transaction) {
        assert_int_equal(sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    }
    return writer->fails_with ? error_set(error, writer->fails_with, "as told") : STATUS_OK;
}

static void *write_one(void *user) {
    struct writer *writer = user;
    struct run_ids touched = {0};
    writer->status = write_queue_run(&f.queue, body, writer, &touched, &writer->error);
    writer->n_touched = touched.n;
    if (touched.n == 2) {
        assert_int_equal(touched.ids[0], writer->value);
        assert_int_equal(touched.ids[1], writer->value + 100);
    }
    run_ids_clear(&touched);
    return NULL;
}

/* Writer 0 alone, then the others as one group. */
static void write_as_a_group(struct writer writers[1 + N_FOLLOWERS]) {
    for (int i = 0; i <= N_FOLLOWERS; i++) {
        writers[i].value = i;
        writers[i].waits_for_others = i == 0;
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_one, &writers[i]), 0);
        while (!atomic_load(&f.first_runs)) {
            (void)sched_yield();
        }
    }
    for (int i = 0; i <= N_FOLLOWERS; i++) {
        assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
    }
}

static int count(const char *where) {
    char sql[96];
    sqlite3_stmt *statement = NULL;
    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM written WHERE %s", where);
    assert_int_equal(sqlite3_prepare_v2(f.queue.db.handle, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int n = sqlite3_column_int(statement, 0);
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    return n;
}

static void writers_that_wait_together_share_a_commit(void **state) {
    (void)state;
    struct writer writers[1 + N_FOLLOWERS] = {{.value = 0}};
    write_as_a_group(writers);
    for (int i = 0; i <= N_FOLLOWERS; i++) {
        assert_int_equal(writers[i].status, STATUS_OK);
        assert_int_equal(writers[i].n_touched, 2);
    }
    assert_int_equal(count("1"), 1 + N_FOLLOWERS);
    assert_int_equal(f.n_commits, 2);
}

static void a_body_that_fails_takes_back_only_itself(void **state) {
    (void)state;
    struct writer writers[1 + N_FOLLOWERS] = {[FAILING] = {.fails_with = STATUS_CONFLICT}};
    write_as_a_group(writers);
    for (int i = 0; i <= N_FOLLOWERS; i++) {
        assert_int_equal(writers[i].status, i == FAILING ? STATUS_CONFLICT : STATUS_OK);
        assert_int_equal(writers[i].n_touched, i == FAILING ? 0 : 2);
    }
    assert_string_equal(writers[FAILING].error.message, "as told");
    assert_int_equal(count("1"), N_FOLLOWERS);
    assert_int_equal(count("value = 2"), 0);
}

static void a_commit_that_fails_fails_everyone_in_it(void **state) {
    (void)state;
    struct writer writers[1 + N_FOLLOWERS] = {{.value = 0}};
    f.refuse_commit = true;
    write_as_a_group(writers);
    for (int i = 0; i <= N_FOLLOWERS; i++) {
        assert_int_not_equal(writers[i].status, STATUS_OK);
        assert_int_equal(writers[i].n_touched, 0);
    }
    assert_int_equal(count("1"), 0);
    f.refuse_commit = false;
    struct writer again = {.value = 7};
    (void)write_one(&again);
    assert_int_equal(again.status, STATUS_OK);
    assert_int_equal(count("1"), 1);
}

/* As SQLite does when the disk is full. */
static void a_lost_transaction_is_reported_to_all_whose_work_was_in_it(void **state) {
    (void)state;
    struct writer writers[1 + N_FOLLOWERS] = {
        [FAILING] = {.fails_with = STATUS_NO_SPACE, .loses_transaction = true}};
    write_as_a_group(writers);
    assert_int_equal(writers[0].status, STATUS_OK);
    for (int i = 1; i <= N_FOLLOWERS; i++) {
        assert_int_equal(writers[i].status, STATUS_NO_SPACE);
        assert_int_equal(writers[i].n_touched, 0);
    }
    assert_int_equal(count("1"), 1);
}

static void a_refusal_with_which_the_transaction_was_lost_is_nobody_elses(void **state) {
    (void)state;
    struct writer writers[1 + N_FOLLOWERS] = {
        [FAILING] = {.fails_with = STATUS_CONFLICT, .loses_transaction = true}};
    write_as_a_group(writers);
    for (int i = 1; i <= N_FOLLOWERS; i++) {
        assert_int_equal(writers[i].status, i == FAILING ? STATUS_CONFLICT : STATUS_IO);
        assert_string_not_equal(writers[i].error.message, i == FAILING ? "" : "as told");
        assert_int_equal(writers[i].n_touched, 0);
    }
    assert_int_equal(count("1"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(writers_that_wait_together_share_a_commit),
        TEST(a_body_that_fails_takes_back_only_itself),
        TEST(a_commit_that_fails_fails_everyone_in_it),
        TEST(a_lost_transaction_is_reported_to_all_whose_work_was_in_it),
        TEST(a_refusal_with_which_the_transaction_was_lost_is_nobody_elses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
