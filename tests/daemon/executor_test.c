/* The seam between the pool and what trains elsewhere, through an executor whose runs are processes
 * of their own. */
#include "tests/daemon/work_fixture.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

#include "daemon/store/query/event_list.h"
#include "daemon/store/table/checkpoint_table.h"
#include "daemon/store/table/confusion_table.h"
#include "daemon/store/table/event_table.h"
#include "daemon/work/recovery.h"
#include "tests/core/slow.h"
#include "tests/daemon/executor_fake.h"

struct seam_fixture {
    struct work_fixture w;
    struct executor_fake fake;
    struct executor executors[2]; /* local, fake */
    char jobs[96];
};

static struct seam_fixture fixture;

static void on_refused(void *user) {
    work_note_change(user, 0);
}

/* In the state directory that w->f names. */
static void open_all(struct seam_fixture *s) {
    work_open(&s->w, 20, 10);
    s->fake.dir = s->jobs;
    s->fake.most = 200;
    s->fake.on_refused = on_refused;
    s->fake.user = &s->w;
    s->executors[0] = s->w.executor;
    s->executors[1] = executor_fake_make(&s->fake);
    s->w.options.executors = s->executors;
    s->w.options.n_executors = 2;
}

static void start_all(struct seam_fixture *s, struct recovery_result *ret_recovered) {
    ASSERT_OK(pool_create(&s->w.options, &s->w.pool, &fixture_error));
    ASSERT_OK(recovery_run(s->w.f.store, s->w.pool, &clock_system, ret_recovered, &fixture_error));
    ASSERT_OK(pool_begin(s->w.pool, &fixture_error));
}

static int set_up(void **state) {
    struct seam_fixture *s = &fixture;
    memset(s, 0, sizeof(*s));
    (void)alarm(SLOW_BUILD ? 240 : 100); /* also for a child of the test that waits in vain */
    fixture_make_dir(&s->w.f);
    (void)snprintf(s->jobs, sizeof(s->jobs), "%.60s/jobs", s->w.f.dir);
    assert_int_equal(mkdir(s->jobs, 0700), 0);
    *state = s;
    return 0;
}

static void kill_jobs(struct seam_fixture *s) {
    DIR *jobs = opendir(s->jobs);
    for (const struct dirent *job = readdir(jobs); job; job = readdir(jobs)) {
        if (job->d_name[0] != '.') {
            executor_fake_kill(&s->fake, job->d_name);
        }
    }
    (void)closedir(jobs);
}

static int tear_down(void **state) {
    struct seam_fixture *s = *state;
    kill_jobs(s);
    work_end(&s->w);
    (void)alarm(0);
    return 0;
}

static int64_t submit(struct seam_fixture *s, const char *executor, int epochs) {
    struct run_config config = fixture_config();
    config.epochs = epochs;
    const struct run_draft draft = {.name = "",
                                    .labels_json = "{}",
                                    .config_json = "{}",
                                    .config = &config,
                                    .executor = executor};
    int64_t id = 0;
    ASSERT_OK(queue_submit(s->w.queue, &draft, &id, &fixture_error));
    return id;
}

static void act(struct seam_fixture *s, enum run_action action, int64_t id) {
    const struct queue_action asked = {.action = action, .ids = &id, .n_ids = 1};
    struct run_outcomes outcomes;
    ASSERT_OK(pool_act(s->w.pool, &asked, &outcomes, &fixture_error));
    assert_int_equal(outcomes.items[0].error.code, STATUS_OK);
    run_outcomes_clear(&outcomes);
}

static void assert_state(struct seam_fixture *s, int64_t id, enum run_state state, int attempt,
                         const char *reason) {
    struct run_row row = fixture_get_run(s->w.f.store, id);
    assert_string_equal(run_state_name(row.state), run_state_name(state));
    assert_int_equal(row.attempt, attempt);
    assert_string_equal(row.reason, reason);
    assert_string_equal(row.handle, "");
    run_row_clear(&row);
}

static int count_events(struct seam_fixture *s, int64_t id, enum event_type type) {
    struct event_list events = {0};
    int n = 0;
    ASSERT_OK(event_table_list(s->w.f.store, id, 0, 1000, &events, &fixture_error));
    for (size_t i = 0; i < events.n; i++) {
        n += events.rows[i].type == type;
    }
    event_list_clear(&events);
    return n;
}

static bool has_one_epoch(const struct run_row *row) {
    return row->epochs_done >= 1;
}

static bool has_two_epochs(const struct run_row *row) {
    return row->epochs_done >= 2;
}

static bool is_running(const struct run_row *row) {
    return row->state == RUN_RUNNING;
}

/* Waits until the process of a handle has reported that it is there. */
static void wait_for_progress(struct seam_fixture *s, int64_t id) {
    struct progress progress = {.n_reports = 0};
    notifier_set(s->w.notifier, work_note_change, &s->w);
    for (;;) {
        int seen = work_changes(&s->w);
        if (progress_board_find(s->w.progress, id, &progress) && progress.n_reports > 0) {
            break;
        }
        assert_true(work_wait_for_change(&s->w, seen));
    }
    notifier_set(s->w.notifier, NULL, NULL);
}

static void say(struct seam_fixture *s, const char *handle, const char *word) {
    assert_true(executor_fake_say(&s->fake, handle, word));
}

static void a_run_is_trained_by_the_executor_that_it_asks_for(void **state) {
    struct seam_fixture *s = *state;
    struct recovery_result recovered;
    open_all(s);
    start_all(s, &recovered);
    int64_t id = submit(s, "fake", 3);
    work_wait_until(&s->w, id, work_is_final, "final");
    assert_state(s, id, RUN_SUCCEEDED, 1, "");
    struct run_row row = fixture_get_run(s->w.f.store, id);
    assert_int_equal(row.epochs_done, 3);
    assert_string_equal(row.executor, "fake");
    assert_string_equal(row.variant, "elsewhere");
    assert_int_equal(row.images_per_epoch, 1000);
    run_row_clear(&row);
    struct confusion_row confusion;
    ASSERT_OK(confusion_table_get(s->w.f.store, id, &confusion, &fixture_error));
    assert_int_equal(confusion.epoch, 3);
    assert_int_equal(confusion.confusion.counts[0][1], 97);
    assert_int_equal(count_events(s, id, EVENT_EPOCH), 3);
    assert_int_equal(executor_fake_count(&s->fake, "run-1.1"), 1);
}

static void a_run_whose_executor_is_not_there_waits_and_others_go_before_it(void **state) {
    struct seam_fixture *s = *state;
    struct recovery_result recovered;
    open_all(s);
    start_all(s, &recovered);
    int64_t waiting = submit(s, "gone", 1);
    int64_t other = submit(s, "fake", 1);
    work_wait_until(&s->w, other, work_is_final, "final");
    assert_int_equal(fixture_state(s->w.f.store, waiting), RUN_QUEUED);
}

static void what_is_asked_reaches_a_run_elsewhere(void **state) {
    struct seam_fixture *s = *state;
    struct recovery_result recovered;
    open_all(s);
    s->fake.waits = true;
    start_all(s, &recovered);
    int64_t id = submit(s, "fake", 3);
    wait_for_progress(s, id);
    assert_true(pool_checkpoint(s->w.pool, id));
    say(s, "run-1.1", "go");
    work_wait_until(&s->w, id, has_one_epoch, "in its second epoch");
    act(s, RUN_ACTION_PAUSE, id);
    work_wait_until(&s->w, id, work_has_left, "paused");
    assert_state(s, id, RUN_PAUSED, 1, "paused by the user");
    /* On demand, after the epoch (the last and the best), and before it stopped. */
    assert_int_equal(count_events(s, id, EVENT_CHECKPOINT), 4);

    act(s, RUN_ACTION_RESUME, id);
    wait_for_progress(s, id);
    act(s, RUN_ACTION_CANCEL, id);
    work_wait_until(&s->w, id, work_is_final, "final");
    assert_state(s, id, RUN_CANCELED, 2, "canceled by the user");
    assert_false(pool_checkpoint(s->w.pool, id));

    int64_t killed = submit(s, "fake", 3);
    wait_for_progress(s, killed);
    act(s, RUN_ACTION_KILL, killed);
    work_wait_until(&s->w, killed, work_is_final, "final");
    assert_state(s, killed, RUN_CANCELED, 1, "killed by the user");
    assert_int_equal(count_events(s, killed, EVENT_CHECKPOINT), 0);
}

static void a_run_whose_process_is_killed_gets_another_attempt(void **state) {
    struct seam_fixture *s = *state;
    struct recovery_result recovered;
    open_all(s);
    s->fake.waits = true;
    start_all(s, &recovered);
    int64_t id = submit(s, "fake", 1);
    wait_for_progress(s, id);
    s->fake.waits = false;
    executor_fake_kill(&s->fake, "run-1.1");
    work_wait_until(&s->w, id, work_is_final, "final");
    assert_state(s, id, RUN_SUCCEEDED, 2, "");
}

static void a_stop_of_the_daemon_leaves_runs_elsewhere_alone(void **state) {
    struct seam_fixture *s = *state;
    struct recovery_result recovered;
    open_all(s);
    s->fake.waits = true;
    start_all(s, &recovered);
    int64_t id = submit(s, "fake", 2);
    wait_for_progress(s, id);
    work_stop(&s->w);
    assert_int_equal(fixture_state(s->w.f.store, id), RUN_RUNNING);
    say(s, "run-1.1", "go");
    say(s, "run-1.1", "go");
    start_all(s, &recovered);
    assert_int_equal(recovered.n_attached, 1);
    work_wait_until(&s->w, id, work_is_final, "final");
    assert_state(s, id, RUN_SUCCEEDED, 1, "");
    assert_int_equal(executor_fake_count(&s->fake, "run-1.1"), 1);
}

/* Runs a daemon until it is killed; tells `fd` when the first epoch of run 1 is stored. */
static void serve_until_killed(struct seam_fixture *s, int fd) {
    struct recovery_result recovered;
    open_all(s);
    s->fake.waits = true;
    start_all(s, &recovered);
    int64_t id = submit(s, "fake", 3);
    wait_for_progress(s, id);
    say(s, "run-1.1", "go");
    work_wait_until(&s->w, id, has_one_epoch, "in its second epoch");
    (void)!write(fd, "x", 1);
    (void)pause();
    _exit(1);
}

/* The reports file is read from its beginning again: what was stored is not stored twice. */
static void after_kill_9_of_the_daemon_the_run_goes_on_and_is_not_started_again(void **state) {
    struct seam_fixture *s = *state;
    struct recovery_result recovered;
    int fds[2];
    char told = '\0';
    assert_int_equal(pipe(fds), 0);
    pid_t daemon = fork();
    assert_true(daemon >= 0);
    if (daemon == 0) {
        serve_until_killed(s, fds[1]);
    }
    (void)close(fds[1]);
    assert_int_equal(read(fds[0], &told, 1), 1);
    (void)close(fds[0]);
    assert_int_equal(kill(daemon, SIGKILL), 0);
    assert_int_equal(waitpid(daemon, NULL, 0), daemon);

    open_all(s);
    struct run_row row = fixture_get_run(s->w.f.store, 1);
    assert_string_equal(row.handle, "run-1.1");
    assert_int_equal(row.state, RUN_RUNNING);
    run_row_clear(&row);
    start_all(s, &recovered);
    assert_int_equal(recovered.n_attached, 1);
    assert_int_equal(recovered.n_requeued, 0);
    say(s, "run-1.1", "go");
    work_wait_until(&s->w, 1, has_two_epochs, "in its third epoch");
    say(s, "run-1.1", "go");
    work_wait_until(&s->w, 1, work_is_final, "final");
    assert_state(s, 1, RUN_SUCCEEDED, 1, "");
    assert_int_equal(count_events(s, 1, EVENT_EPOCH), 3);
    assert_int_equal(count_events(s, 1, EVENT_CHECKPOINT), 6); /* each the best as well */
    assert_int_equal(executor_fake_count(&s->fake, "run-1.1"), 1);
    assert_int_equal(atomic_load(&s->fake.n_starts), 0);
}

/* Claimed, and the daemon died before start was called. */
static void a_claim_without_a_start_is_another_attempt(void **state) {
    struct seam_fixture *s = *state;
    struct recovery_result recovered;
    struct run_row row = {0};
    open_all(s);
    int64_t id = submit(s, "fake", 1);
    ASSERT_OK(queue_claim(s->w.queue, &(struct run_claim){0}, &row, &fixture_error));
    assert_string_equal(row.handle, "run-1.1");
    run_row_clear(&row);
    start_all(s, &recovered);
    assert_int_equal(recovered.n_requeued, 1);
    work_wait_until(&s->w, id, work_is_final, "final");
    assert_state(s, id, RUN_SUCCEEDED, 2, "");
    assert_int_equal(executor_fake_count(&s->fake, "run-1.1"), 0);
    assert_int_equal(executor_fake_count(&s->fake, "run-1.2"), 1);
}

static void a_request_that_came_before_the_crash_is_passed_on(void **state) {
    struct seam_fixture *s = *state;
    struct recovery_result recovered;
    open_all(s);
    s->fake.waits = true;
    start_all(s, &recovered);
    int64_t id = submit(s, "fake", 2);
    wait_for_progress(s, id);
    work_stop(&s->w);
    assert_int_equal(fixture_request(s->w.f.store, id, RUN_REQUEST_CANCEL), STATUS_OK);
    start_all(s, &recovered);
    work_wait_until(&s->w, id, work_is_final, "final");
    assert_state(s, id, RUN_CANCELED, 1, "canceled by the user");
}

/* The first attempt was given up, and trains on all the same. */
static void a_late_report_of_an_older_attempt_is_refused(void **state) {
    struct seam_fixture *s = *state;
    struct recovery_result recovered;
    open_all(s);
    s->fake.waits = true;
    start_all(s, &recovered);
    int64_t id = submit(s, "fake", 2);
    wait_for_progress(s, id);
    work_stop(&s->w);
    s->fake.blind = true;
    start_all(s, &recovered);
    assert_int_equal(recovered.n_requeued, 1);
    /* What it had reported comes again, and is refused at once. */
    for (int seen = work_changes(&s->w); atomic_load(&s->fake.n_refused) == 0;
         seen = work_changes(&s->w)) {
        assert_true(work_wait_for_change(&s->w, seen));
    }
    work_wait_until(&s->w, id, is_running, "running");
    wait_for_progress(s, id);
    say(s, "run-1.2", "go");
    say(s, "run-1.2", "go");
    work_wait_until(&s->w, id, work_is_final, "final");
    assert_state(s, id, RUN_SUCCEEDED, 2, "");
    assert_int_equal(count_events(s, id, EVENT_EPOCH), 2);
    assert_int_equal(atomic_load(&s->fake.n_refused), 1);
}

static int count_threads(void) {
    int n = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    for (const struct dirent *task = readdir(tasks); task; task = readdir(tasks)) {
        n += task->d_name[0] != '.';
    }
    (void)closedir(tasks);
    return n;
}

static void a_hundred_runs_elsewhere_hold_no_threads(void **state) {
    enum { N_RUNS = 100 };
    struct seam_fixture *s = *state;
    struct recovery_result recovered;
    int64_t ids[N_RUNS];
    open_all(s);
    s->fake.waits = true;
    start_all(s, &recovered);
    int n_threads = count_threads();
    for (int i = 0; i < N_RUNS; i++) {
        ids[i] = submit(s, "fake", 1);
    }
    for (int i = 0; i < N_RUNS; i++) {
        wait_for_progress(s, ids[i]);
    }
    struct pool_status status;
    pool_get_status(s->w.pool, &status);
    assert_int_equal(status.n_running, N_RUNS);
    assert_int_equal(count_threads(), n_threads);
    for (int i = 0; i < N_RUNS; i++) {
        char handle[RUN_HANDLE_SIZE];
        (void)snprintf(handle, sizeof(handle), "run-%lld.1", (long long)ids[i]);
        say(s, handle, "go");
    }
    for (int i = 0; i < N_RUNS; i++) {
        work_wait_until(&s->w, ids[i], work_is_final, "final");
        assert_state(s, ids[i], RUN_SUCCEEDED, 1, "");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        /* The first one forks: before there are threads. */
        TEST(after_kill_9_of_the_daemon_the_run_goes_on_and_is_not_started_again),
        TEST(a_run_is_trained_by_the_executor_that_it_asks_for),
        TEST(a_run_whose_executor_is_not_there_waits_and_others_go_before_it),
        TEST(what_is_asked_reaches_a_run_elsewhere),
        TEST(a_run_whose_process_is_killed_gets_another_attempt),
        TEST(a_stop_of_the_daemon_leaves_runs_elsewhere_alone),
        TEST(a_claim_without_a_start_is_another_attempt),
        TEST(a_request_that_came_before_the_crash_is_passed_on),
        TEST(a_late_report_of_an_older_attempt_is_refused),
        TEST(a_hundred_runs_elsewhere_hold_no_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
