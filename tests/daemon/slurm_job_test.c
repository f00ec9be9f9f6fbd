/* `cutoutd train --attempt DIR` as a process of its own, and the journal that it writes. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "daemon/config/text_file.h"
#include "daemon/slurm/attempt_dir.h"
#include "daemon/slurm/job.h"
#include "daemon/slurm/journal.h"
#include "daemon/slurm/record.h"
#include "daemon/spec/run_spec.h"
#include "daemon/work/executor_local.h"
#include "tests/core/slow.h"
#include "tests/daemon/store_fixture.h"

enum { PATIENCE_MS = 120000, LONG_RUN = 4000 };

static struct store_fixture fixture; /* its directory alone */

static int set_up(void **state) {
    (void)state;
    fixture_make_dir(&fixture);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    return nftw(fixture.dir, fixture_remove, 8, FTW_DEPTH | FTW_PHYS);
}

struct attempt_test {
    char dir[160];
    struct journal_reader reader;
    int watch; /* an inotify descriptor on the directory */
    int n_epochs;
    struct epoch_report epochs[8]; /* the first ones */
    int n_checkpoints;
    char fallback[RUN_REASON_SIZE]; /* the last one */
    struct record last;
};

/* A directory for an attempt of a small run that goes on from `before` (NULL: from the beginning).
 */
static struct attempt_test *make_attempt(int attempt, int epochs,
                                         const struct attempt_test *before) {
    struct attempt_test *t = calloc(1, sizeof(*t));
    char text[256];
    char path[ATTEMPT_PATH_SIZE];
    struct run_spec *spec = calloc(1, sizeof(*spec));
    struct field_errors errors;
    struct attempt_order order = {.shapes_train = 20,
                                  .shapes_test = 10,
                                  .n_threads = 1,
                                  .checkpoint_interval_s = 3600,
                                  .run = {.id = 7, .attempt = attempt, .epochs = epochs}};
    assert_non_null(t);
    assert_non_null(spec);
    (void)snprintf(text, sizeof(text),
                   "{\"depth\":8,\"epochs\":%d,\"batch_size\":6,\"m\":2,\"cutout_size\":12,"
                   "\"dataset\":\"shapes\",\"train_images\":12,\"test_images\":6}",
                   epochs);
    ASSERT_OK(run_spec_parse(text, strlen(text), &(struct run_spec_context){0}, spec, &errors));
    order.run.config_json = run_spec_to_json(spec);
    (void)snprintf(order.run.handle, sizeof(order.run.handle), "run-7.%d", attempt);
    (void)snprintf(order.run.dataset, sizeof(order.run.dataset), "shapes");
    (void)snprintf(order.isa, sizeof(order.isa), "%s", SLOW_BUILD ? "blas" : "auto");
    (void)snprintf(t->dir, sizeof(t->dir), "%s/run-7.%d", fixture.dir, attempt);
    assert_int_equal(mkdir(t->dir, 0700), 0);
    ASSERT_OK(attempt_path(t->dir, "checkpoints", path, &fixture_error));
    assert_int_equal(mkdir(path, 0700), 0);

    struct config config = {.shapes_train = 20, .shapes_test = 10};
    struct dataset_registry *datasets = NULL;
    const struct dataset *dataset = NULL;
    ASSERT_OK(dataset_registry_create(&config, &datasets, &fixture_error));
    ASSERT_OK(dataset_registry_acquire(datasets, "shapes", &dataset, order.run.dataset_sha256,
                                       &fixture_error));
    dataset_registry_release(datasets, dataset);
    dataset_registry_free(datasets);
    const struct kernels *kernels = NULL;
    ASSERT_OK(kernels_select(order.isa, &kernels, &fixture_error));
    trainer_arithmetic(&spec->config, kernels, order.run.arithmetic);

    struct checkpoint_row row = {.path = ""};
    if (before && before->last.kind == RECORD_CHECKPOINT) {
        char command[600];
        const struct record *from = &before->last;
        (void)snprintf(command, sizeof(command), "cp %.150s/checkpoints/%.64s %.150s/checkpoints/",
                       before->dir, from->file, t->dir);
        assert_int_equal(system(command), 0);
        (void)snprintf(row.path, sizeof(row.path), "%s", from->file);
        (void)snprintf(row.sha256, sizeof(row.sha256), "%s", from->sha256);
        row.epochs_done = from->checkpoint.epochs_done;
        row.step = from->checkpoint.step;
        order.checkpoints = (struct checkpoint_list){.rows = &row, .n = 1};
    }
    ASSERT_OK(attempt_order_write(t->dir, &order, &fixture_error));
    free(order.run.config_json);
    free(spec);
    t->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    assert_true(inotify_add_watch(t->watch, t->dir, IN_CREATE | IN_MODIFY) >= 0);
    return t;
}

static void free_attempt(struct attempt_test *t) {
    journal_reader_clear(&t->reader);
    (void)close(t->watch);
    free(t);
}

static pid_t start_job(const struct attempt_test *t, int64_t most_file_bytes) {
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit most = {(rlim_t)most_file_bytes, RLIM_INFINITY};
        if (most_file_bytes > 0 && setrlimit(RLIMIT_FSIZE, &most) != 0) {
            _exit(99);
        }
        exit((int)job_train(t->dir, stderr));
    }
    assert_true(child > 0);
    return child;
}

static int wait_for_exit(pid_t child) {
    int code = 0;
    assert_int_equal(waitpid(child, &code, 0), child);
    return WIFEXITED(code) ? WEXITSTATUS(code) : -WTERMSIG(code);
}

static void read_records(struct attempt_test *t) {
    char path[ATTEMPT_PATH_SIZE];
    const char *text = NULL;
    size_t n_bytes = 0;
    ASSERT_OK(attempt_path(t->dir, "journal", path, &fixture_error));
    ASSERT_OK(journal_fetch(&t->reader, path, &fixture_error));
    while (journal_next(&t->reader, &text, &n_bytes, NULL) == STATUS_OK) {
        ASSERT_OK(record_read(text, n_bytes, &t->last, &fixture_error));
        journal_take(&t->reader);
        t->n_checkpoints += t->last.kind == RECORD_CHECKPOINT;
        if (t->last.kind == RECORD_FALLBACK) {
            memcpy(t->fallback, t->last.message, sizeof(t->fallback));
        }
        if (t->last.kind == RECORD_EPOCH && t->last.epoch.epoch <= 8) {
            t->epochs[t->last.epoch.epoch - 1] = t->last.epoch;
            t->n_epochs = t->last.epoch.epoch;
        }
    }
}

static void wait_for_checkpoints(struct attempt_test *t, int n) {
    struct pollfd fd = {.fd = t->watch, .events = POLLIN};
    char events[4096];
    read_records(t);
    while (t->n_checkpoints < n) {
        assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
        while (read(t->watch, events, sizeof(events)) > 0) {
        }
        read_records(t);
    }
}

static void assert_outcome(struct attempt_test *t, enum status status, enum record_stop stop) {
    read_records(t);
    assert_int_equal(t->last.kind, RECORD_OUTCOME);
    if (t->last.status != status) {
        fail_msg("it ended with %s (%s)", status_name(t->last.status), t->last.message);
    }
    assert_int_equal(t->last.stop, stop);
}

static void assert_same_epoch(const struct epoch_report *a, const struct epoch_report *b) {
    struct epoch_report copy = *b;
    copy.seconds = a->seconds;
    copy.images_per_second = a->images_per_second;
    assert_memory_equal(a, &copy, sizeof(copy));
}

static void an_attempt_after_kill_9_goes_on_to_the_same_bits(void **state) {
    (void)state;
    struct attempt_test *whole = make_attempt(1, 3, NULL);
    assert_int_equal(wait_for_exit(start_job(whole, 0)), JOB_EXIT_TOLD);
    assert_outcome(whole, STATUS_OK, RECORD_STOP_NONE);
    assert_int_equal(whole->n_epochs, 3);

    struct attempt_test *killed = make_attempt(2, 3, NULL);
    pid_t job = start_job(killed, 0);
    wait_for_checkpoints(killed, 1);
    assert_int_equal(kill(job, SIGKILL), 0);
    (void)wait_for_exit(job);
    read_records(killed);

    struct attempt_test *second = make_attempt(3, 3, killed);
    assert_int_equal(wait_for_exit(start_job(second, 0)), JOB_EXIT_TOLD);
    assert_outcome(second, STATUS_OK, RECORD_STOP_NONE);
    for (int i = 0; i < 3; i++) {
        const struct attempt_test *from = second->epochs[i].epoch > 0 ? second : killed;
        assert_same_epoch(&whole->epochs[i], &from->epochs[i]);
    }
    free_attempt(whole);
    free_attempt(killed);
    free_attempt(second);
}

/* The order names a newer checkpoint, which the daemon has left out. A fork of that epoch does not
 * go back behind it. */
static void what_the_daemon_left_out_is_gone_back_behind_unless_a_fork_began_there(void **state) {
    (void)state;
    for (int forks = 0; forks < 2; forks++) {
        struct attempt_test *t = make_attempt(1 + forks, 2, NULL);
        struct checkpoint_row row = {.epochs_done = 1, .path = "000001-000000.safetensors"};
        struct attempt_order order;
        ASSERT_OK(attempt_order_read(t->dir, &order, &fixture_error));
        memset(row.sha256, 'a', SHA256_HEX_SIZE - 1);
        order.checkpoints = (struct checkpoint_list){.rows = &row, .n = 1};
        order.run.forked_from = forks ? 3 : 0;
        order.run.forked_epoch = forks ? 1 : 0;
        ASSERT_OK(attempt_order_write(t->dir, &order, &fixture_error));
        order.checkpoints = (struct checkpoint_list){0};
        attempt_order_clear(&order);
        assert_int_equal(wait_for_exit(start_job(t, 0)), JOB_EXIT_TOLD);
        assert_outcome(t, forks ? STATUS_CORRUPT : STATUS_OK, RECORD_STOP_NONE);
        assert_true(forks ? strstr(t->last.message, "fork it again") != NULL
                          : !strcmp(t->fallback, "no checkpoint is intact; started anew"));
        free_attempt(t);
    }
}

static void a_second_process_with_the_same_attempt_ends_and_writes_nothing(void **state) {
    (void)state;
    struct attempt_test *t = make_attempt(1, 1, NULL);
    assert_int_equal(wait_for_exit(start_job(t, 0)), JOB_EXIT_TOLD);
    read_records(t);
    int64_t n = t->last.report.number;
    assert_int_equal(wait_for_exit(start_job(t, 0)), JOB_EXIT_NOT_MINE);
    read_records(t);
    assert_int_equal(t->last.report.number, n);
    free_attempt(t);
}

static void signals_ask_for_a_checkpoint_or_an_end(void **state) {
    (void)state;
    static const struct {
        int number;
        enum record_stop stop;
    } ends[] = {{SIGUSR2, RECORD_STOP_TIME_LIMIT}, {SIGTERM, RECORD_STOP_SIGNAL}};
    for (int i = 0; i < 2; i++) {
        struct attempt_test *t = make_attempt(1 + i, LONG_RUN, NULL);
        pid_t job = start_job(t, 0);
        wait_for_checkpoints(t, 1);
        assert_int_equal(kill(job, SIGUSR1), 0);
        wait_for_checkpoints(t, t->n_checkpoints + 1);
        assert_int_equal(kill(job, ends[i].number), 0);
        assert_int_equal(wait_for_exit(job), JOB_EXIT_TOLD);
        assert_outcome(t, STATUS_STOPPED, ends[i].stop);
        free_attempt(t);
    }
}

static void the_daemon_asks_by_a_file(void **state) {
    (void)state;
    for (int kills = 0; kills < 2; kills++) {
        struct attempt_test *t = make_attempt(1 + kills, LONG_RUN, NULL);
        pid_t job = start_job(t, 0);
        wait_for_checkpoints(t, 1);
        const struct attempt_requests requests = {
            .n_checkpoints = 1, .stop = !kills, .kill = kills};
        ASSERT_OK(attempt_requests_write(t->dir, &requests, &fixture_error));
        assert_int_equal(wait_for_exit(job), JOB_EXIT_TOLD);
        assert_outcome(t, STATUS_STOPPED, RECORD_STOP_REQUEST);
        free_attempt(t);
    }
}

static void a_full_disk_is_told_or_shows_in_the_exit_status(void **state) {
    (void)state;
    struct attempt_test *t = make_attempt(1, 2, NULL);
    assert_int_equal(wait_for_exit(start_job(t, 20000)), JOB_EXIT_TOLD);
    assert_outcome(t, STATUS_NO_SPACE, RECORD_STOP_NONE);
    assert_true(t->last.again);
    assert_true(t->last.needed_bytes > 20000);
    free_attempt(t);
    t = make_attempt(2, 2, NULL);
    assert_int_equal(wait_for_exit(start_job(t, 100)), JOB_EXIT_NO_SPACE);
    read_records(t);
    assert_int_equal(t->last.report.number, 0);
    free_attempt(t);
}

static void images_that_differ_from_the_daemons_are_not_trained_on(void **state) {
    (void)state;
    struct attempt_test *t = make_attempt(1, 2, NULL);
    struct attempt_order order;
    ASSERT_OK(attempt_order_read(t->dir, &order, &fixture_error));
    order.shapes_train = 21;
    ASSERT_OK(attempt_order_write(t->dir, &order, &fixture_error));
    attempt_order_clear(&order);
    assert_int_equal(wait_for_exit(start_job(t, 0)), JOB_EXIT_TOLD);
    assert_outcome(t, STATUS_CONFLICT, RECORD_STOP_NONE);
    assert_non_null(strstr(t->last.message, "sha256"));
    free_attempt(t);
}

static void an_arithmetic_that_is_not_there_is_refused(void **state) {
    (void)state;
    struct attempt_test *t = make_attempt(1, 2, NULL);
    struct attempt_order order;
    ASSERT_OK(attempt_order_read(t->dir, &order, &fixture_error));
    (void)snprintf(order.run.arithmetic, sizeof(order.run.arithmetic), "abacus-1");
    ASSERT_OK(attempt_order_write(t->dir, &order, &fixture_error));
    attempt_order_clear(&order);
    assert_int_equal(wait_for_exit(start_job(t, 0)), JOB_EXIT_TOLD);
    assert_outcome(t, STATUS_UNSUPPORTED, RECORD_STOP_NONE);
    free_attempt(t);
}

static void without_an_order_nothing_is_begun(void **state) {
    (void)state;
    struct attempt_test *t = make_attempt(1, 2, NULL);
    char path[ATTEMPT_PATH_SIZE];
    ASSERT_OK(attempt_path(t->dir, "attempt.json", path, &fixture_error));
    ASSERT_OK(text_file_write(path, "{\"form\":2}", &fixture_error));
    assert_int_equal(wait_for_exit(start_job(t, 0)), JOB_EXIT_FAILED);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(wait_for_exit(start_job(t, 0)), JOB_EXIT_FAILED);
    ASSERT_OK(attempt_path(t->dir, "journal", path, &fixture_error));
    assert_int_equal(access(path, F_OK), -1);
    free_attempt(t);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_attempt_after_kill_9_goes_on_to_the_same_bits),
        TEST(what_the_daemon_left_out_is_gone_back_behind_unless_a_fork_began_there),
        TEST(a_second_process_with_the_same_attempt_ends_and_writes_nothing),
        TEST(signals_ask_for_a_checkpoint_or_an_end),
        TEST(the_daemon_asks_by_a_file),
        TEST(a_full_disk_is_told_or_shows_in_the_exit_status),
        TEST(images_that_differ_from_the_daemons_are_not_trained_on),
        TEST(an_arithmetic_that_is_not_there_is_refused),
        TEST(without_an_order_nothing_is_begun),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
