/* What goes when a run has been final for long, and what stays. */
#include "daemon/store/table/setting_table.h"
#include "tests/daemon/store_fixture.h"

#include <dirent.h>
#include <sched.h>
#include <sys/stat.h>

#include "daemon/config/leaving_files.h"
#include "daemon/store/query/event_list.h"
#include "daemon/work/open_state.h"
#include "daemon/work/retention.h"

static const int64_t DAY_MS = 24LL * 60 * 60 * 1000;
static int64_t now_ms;

static int64_t unix_ms(void *user) {
    (void)user;
    return now_ms;
}

static double monotonic_s(void *user) {
    (void)user;
    return 1.0;
}

static const struct clock test_clock = {.unix_ms = unix_ms, .monotonic_s = monotonic_s};

static int begin(void **state) {
    static struct store_fixture fixture;
    fixture_begin(&fixture);
    now_ms = 20000 * DAY_MS;
    *state = &fixture;
    return 0;
}

static int end(void **state) {
    fixture_end(*state);
    return 0;
}

static struct retention_options options_of(const struct store_fixture *f, int keep_days) {
    return (struct retention_options){
        .store = f->store, .state_dir = f->dir, .clock = &test_clock, .keep_days = keep_days};
}

static void path_of(const struct store_fixture *f, int64_t id, const char *name, char path[256]) {
    (void)snprintf(path, 256, "%s/runs/%lld/%s", f->dir, (long long)id, name);
}

static bool has(const struct store_fixture *f, int64_t id, const char *name) {
    char path[256];
    path_of(f, id, name, path);
    return access(path, F_OK) == 0;
}

static void put_file(const struct store_fixture *f, int64_t id, const char *name) {
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/runs", f->dir);
    (void)mkdir(path, 0700);
    path_of(f, id, "", path);
    (void)mkdir(path, 0700);
    path_of(f, id, name, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs("0123456789", file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void put_checkpoint(const struct store_fixture *f, int64_t id, enum checkpoint_kind kind,
                           int epochs_done) {
    struct checkpoint_row row = {.kind = kind, .n_bytes = 10, .epochs_done = epochs_done};
    (void)snprintf(row.path, sizeof(row.path), "%06d-000000.safetensors", epochs_done);
    memset(row.sha256, 'a', SHA256_HEX_SIZE - 1);
    put_file(f, id, row.path);
    ASSERT_OK(checkpoint_table_put(f->store, id, &row, 1, &fixture_error));
}

static int64_t begin_run(const struct store_fixture *f, int64_t created_ms, int64_t started_ms) {
    struct run_config config = run_presets(&(size_t){0})[0].config;
    const struct run_draft draft = {
        .name = "", .labels_json = "{}", .config_json = "{}", .config = &config};
    struct run_row row = {0};
    int64_t id = 0;
    ASSERT_OK(run_table_insert(f->store, &draft, created_ms, &id, &fixture_error));
    ASSERT_OK(run_table_claim(f->store, &(struct run_claim){0}, started_ms, &row, &fixture_error));
    assert_int_equal(row.id, id);
    run_row_clear(&row);
    return id;
}

static void end_run(const struct store_fixture *f, int64_t id, enum run_state state,
                    int64_t finished_ms) {
    const struct run_move move = {
        .id = id, .from = RUN_RUNNING, .to = state, .reason = "", .now_ms = finished_ms};
    ASSERT_OK(run_table_move(f->store, &move, &fixture_error));
}

/* A run with checkpoints of epochs 2 (best), 3 and 4 that ended in this state. */
static int64_t add_run_of(const struct store_fixture *f, enum run_state state, int64_t created_ms,
                          int64_t finished_ms) {
    int64_t id = begin_run(f, created_ms, finished_ms);
    put_checkpoint(f, id, CHECKPOINT_BEST, 2);
    put_checkpoint(f, id, CHECKPOINT_LAST, 3);
    put_checkpoint(f, id, CHECKPOINT_LAST, 4);
    end_run(f, id, state, finished_ms);
    return id;
}

static int64_t add_run(const struct store_fixture *f, enum run_state state, int64_t finished_ms) {
    return add_run_of(f, state, finished_ms, finished_ms);
}

static size_t count_rows(const struct store_fixture *f, int64_t id) {
    struct checkpoint_list list = {0};
    ASSERT_OK(checkpoint_table_list(f->store, id, &list, &fixture_error));
    size_t n = list.n;
    checkpoint_list_clear(&list);
    return n;
}

static int count_files(const struct store_fixture *f, int64_t id) {
    char path[256];
    path_of(f, id, "", path);
    DIR *files = opendir(path);
    assert_non_null(files);
    int n = 0;
    for (const struct dirent *file = readdir(files); file; file = readdir(files)) {
        n += file->d_name[0] != '.' && strcmp(file->d_name, "instance") != 0;
    }
    assert_int_equal(closedir(files), 0);
    return n;
}

/* It went on from an earlier checkpoint, and was canceled before it was better than ever. */
static void the_last_of_a_run_that_has_no_best_stays(void **state) {
    struct store_fixture *f = *state;
    struct retention_options options = options_of(f, 7);
    struct purge_result done;
    const struct epoch_row epoch = {.report = {.epoch = 1, .val_wrong = 1, .val_total = 9}};
    int64_t begun_ms = now_ms - 9 * DAY_MS;
    int64_t ended_ms = now_ms - 8 * DAY_MS;
    int64_t validated = begin_run(f, begun_ms, begun_ms);
    ASSERT_OK(epoch_table_put(f->store, validated, &epoch, &fixture_error));
    put_checkpoint(f, validated, CHECKPOINT_LAST, 1);
    end_run(f, validated, RUN_CANCELED, ended_ms);
    int64_t short_lived = begin_run(f, begun_ms, begun_ms); /* it never had one */
    put_checkpoint(f, short_lived, CHECKPOINT_LAST, 0);
    end_run(f, short_lived, RUN_CANCELED, ended_ms);
    ASSERT_OK(retention_purge(&options, 7, false, &done, &fixture_error));
    assert_int_equal(done.n_runs, 1);
    assert_int_equal(count_rows(f, short_lived), 0);
    assert_int_equal(count_rows(f, validated), 1);
    assert_true(has(f, validated, "000001-000000.safetensors"));
}

static void the_best_of_an_old_final_run_stays_and_the_rest_goes(void **state) {
    struct store_fixture *f = *state;
    int64_t old = add_run(f, RUN_FAILED, now_ms - 8 * DAY_MS);
    int64_t young = add_run(f, RUN_SUCCEEDED, now_ms - 6 * DAY_MS);
    put_file(f, old, "000001-000007.safetensors"); /* left over by a crash */
    put_file(f, old, "notes.txt");
    struct retention_options options = options_of(f, 7);
    struct purge_result planned;
    struct purge_result done;
    ASSERT_OK(retention_purge(&options, 7, true, &planned, &fixture_error));
    assert_true(has(f, old, "000004-000000.safetensors"));
    assert_int_equal(count_rows(f, old), 3);
    ASSERT_OK(retention_purge(&options, 7, false, &done, &fixture_error));
    assert_int_equal(done.n_runs, 1);
    assert_int_equal(done.n_files, 3);
    assert_int_equal(done.n_bytes, 30);
    assert_memory_equal(&planned, &done, sizeof(done));
    assert_true(has(f, old, "000002-000000.safetensors"));
    assert_true(has(f, old, "notes.txt"));
    assert_false(has(f, old, "000003-000000.safetensors"));
    assert_false(has(f, old, "000004-000000.safetensors"));
    assert_int_equal(count_rows(f, old), 1);
    assert_true(has(f, young, "000004-000000.safetensors"));
    assert_int_equal(count_rows(f, young), 3);
}

/* What happens once the commit of a purge was, or has failed: the linker gives its calls of
 * leaving_files_settle to this. */
static void (*before_settling)(void);
static bool crashes;

void __real_leaving_files_settle(const char *run_dir, const struct listed_files *listed,
                                 struct leaving_result *result);
void __wrap_leaving_files_settle(const char *run_dir, const struct listed_files *listed,
                                 struct leaving_result *result);
void __wrap_leaving_files_settle(const char *run_dir, const struct listed_files *listed,
                                 struct leaving_result *result) {
    if (before_settling) {
        before_settling();
    }
    if (!crashes) {
        __real_leaving_files_settle(run_dir, listed, result);
    }
}

static void start_again(struct store_fixture *f) {
    int lock = -1;
    store_close(f->store);
    ASSERT_OK(open_state(f->dir, &test_clock, &lock, &f->store, &fixture_error));
    assert_int_equal(close(lock), 0);
}

static void after_a_crash_the_next_start_removes_what_was_forgotten(void **state) {
    struct store_fixture *f = *state;
    int64_t id = add_run(f, RUN_FAILED, now_ms - 8 * DAY_MS);
    struct retention_options options = options_of(f, 7);
    struct purge_result result;
    crashes = true;
    ASSERT_OK(retention_purge(&options, 7, false, &result, &fixture_error));
    crashes = false;
    assert_int_equal(count_rows(f, id), 1);
    start_again(f);
    assert_int_equal(count_files(f, id), 1);
    assert_true(has(f, id, "000002-000000.safetensors"));
}

static void after_a_crash_before_the_commit_everything_is_there(void **state) {
    struct store_fixture *f = *state;
    int64_t id = add_run(f, RUN_FAILED, now_ms - 8 * DAY_MS);
    struct retention_options options = options_of(f, 7);
    struct purge_result result;
    crashes = true;
    store_inject_failure(f->store, 1);
    assert_int_not_equal(retention_purge(&options, 7, false, &result, &fixture_error), STATUS_OK);
    store_inject_failure(f->store, 0);
    crashes = false;
    assert_int_equal(count_rows(f, id), 3);
    assert_true(has(f, id, "000004-000000.safetensors.purged.tmp"));
    start_again(f);
    assert_true(has(f, id, "000003-000000.safetensors"));
    assert_true(has(f, id, "000004-000000.safetensors"));
    assert_int_equal(count_files(f, id), 3);
}

static void a_commit_that_fails_removes_nothing(void **state) {
    struct store_fixture *f = *state;
    int64_t id = add_run(f, RUN_FAILED, now_ms - 8 * DAY_MS);
    struct retention_options options = options_of(f, 7);
    struct purge_result result;
    store_inject_failure(f->store, 1);
    assert_int_not_equal(retention_purge(&options, 7, false, &result, &fixture_error), STATUS_OK);
    store_inject_failure(f->store, 0);
    assert_int_equal(result.n_files, 0);
    assert_int_equal(count_rows(f, id), 3);
    assert_true(has(f, id, "000003-000000.safetensors"));
    assert_true(has(f, id, "000004-000000.safetensors"));
    assert_int_equal(count_files(f, id), 3);
}

/* Requeued, it trains the same epochs again. */
static struct store_fixture *requeued_in;
static int64_t requeued_id;

static void save_again(void) {
    put_checkpoint(requeued_in, requeued_id, CHECKPOINT_LAST, 3);
    put_checkpoint(requeued_in, requeued_id, CHECKPOINT_LAST, 5);
}

static void what_a_requeued_run_saves_during_a_purge_stays(void **state) {
    struct store_fixture *f = *state;
    int64_t id = add_run(f, RUN_FAILED, now_ms - 8 * DAY_MS);
    struct retention_options options = options_of(f, 7);
    struct purge_result result;
    requeued_in = f;
    requeued_id = id;
    before_settling = save_again;
    ASSERT_OK(retention_purge(&options, 7, false, &result, &fixture_error));
    before_settling = NULL;
    assert_int_equal(result.n_files, 2);
    assert_true(has(f, id, "000003-000000.safetensors"));
    assert_true(has(f, id, "000005-000000.safetensors"));
    assert_false(has(f, id, "000004-000000.safetensors"));
    assert_int_equal(count_files(f, id), 3);
}

/* A directory is in the way. */
static void a_run_whose_files_cannot_go_keeps_its_rows_and_is_passed_over(void **state) {
    struct store_fixture *f = *state;
    int64_t stuck = add_run(f, RUN_FAILED, now_ms - 9 * DAY_MS);
    int64_t other = add_run(f, RUN_FAILED, now_ms - 8 * DAY_MS);
    struct retention_options options = options_of(f, 7);
    struct purge_result result;
    char path[256];
    path_of(f, stuck, "000004-000000.safetensors.purged.tmp", path);
    assert_int_equal(mkdir(path, 0700), 0);
    ASSERT_OK(retention_purge(&options, 7, false, &result, &fixture_error));
    assert_int_equal(result.n_runs, 1);
    assert_int_equal(count_rows(f, stuck), 3);
    assert_true(has(f, stuck, "000003-000000.safetensors"));
    assert_true(has(f, stuck, "000004-000000.safetensors"));
    assert_int_equal(count_rows(f, other), 1);
    assert_int_equal(count_files(f, other), 1);
}

static void a_run_that_waits_again_keeps_its_checkpoints(void **state) {
    struct store_fixture *f = *state;
    int64_t id = add_run(f, RUN_QUEUED, now_ms - 100 * DAY_MS);
    struct retention_options options = options_of(f, 1);
    struct purge_result result;
    ASSERT_OK(retention_purge(&options, 0, false, &result, &fixture_error));
    assert_int_equal(result.n_runs, 0);
    assert_true(has(f, id, "000004-000000.safetensors"));
}

static void a_stop_ends_a_purge_between_two_runs(void **state) {
    struct store_fixture *f = *state;
    int64_t id = add_run(f, RUN_FAILED, now_ms - 8 * DAY_MS);
    struct retention_options options = options_of(f, 7);
    struct purge_result result;
    atomic_bool stop = true;
    options.stop = &stop;
    assert_int_equal(retention_purge(&options, 7, false, &result, &fixture_error), STATUS_BUSY);
    assert_int_equal(result.n_runs, 0);
    assert_true(has(f, id, "000004-000000.safetensors"));
}

static void a_best_that_is_also_the_last_stays(void **state) {
    struct store_fixture *f = *state;
    int64_t id = add_run(f, RUN_SUCCEEDED, now_ms - 8 * DAY_MS);
    put_checkpoint(f, id, CHECKPOINT_BEST, 4);
    struct retention_options options = options_of(f, 7);
    struct purge_result result;
    ASSERT_OK(retention_purge(&options, 7, false, &result, &fixture_error));
    assert_true(has(f, id, "000004-000000.safetensors"));
    assert_false(has(f, id, "000003-000000.safetensors"));
}

static void the_first_purge_comes_at_the_start(void **state) {
    struct store_fixture *f = *state;
    int64_t id = add_run(f, RUN_CANCELED, now_ms - 8 * DAY_MS);
    struct retention_options options = options_of(f, 7);
    struct retention *retention = NULL;
    ASSERT_OK(retention_start(&options, &retention, &fixture_error));
    assert_non_null(retention);
    /* The thread may be asked to stop before it began: then it leaves everything alone. */
    while (count_rows(f, id) > 1) {
        (void)sched_yield();
    }
    retention_stop(retention);
}

static void old_events_go_by_themselves(void **state) {
    struct store_fixture *f = *state;
    int64_t id = add_run(f, RUN_CANCELED, now_ms - 8 * DAY_MS);
    struct retention_options options = options_of(f, 0);
    options.keep_events_days = 7;
    struct retention *retention = NULL;
    ASSERT_OK(retention_start(&options, &retention, &fixture_error));
    struct event_list list = {.n = 0};
    do {
        event_list_clear(&list);
        (void)sched_yield();
        ASSERT_OK(event_table_list(f->store, id, 0, 100, &list, &fixture_error));
    } while (list.n > 0);
    retention_stop(retention);
    assert_true(list.expired);
    assert_int_equal(count_rows(f, id), 3); /* checkpoints are kept with keep_days 0 */
    event_list_clear(&list);
}

/* Starts it under the clock of the test, `last_ms` after its last look, and waits until it has
 * looked. */
static void look(struct store_fixture *f, int64_t last_ms) {
    struct retention_options options = options_of(f, 7);
    struct retention *retention = NULL;
    char last[32];
    char now[32];
    char text[32];
    (void)snprintf(last, sizeof(last), "%lld", (long long)last_ms);
    (void)snprintf(now, sizeof(now), "%lld", (long long)now_ms);
    ASSERT_OK(setting_table_put(f->store, "retention_looked_ms", last, &fixture_error));
    ASSERT_OK(retention_start(&options, &retention, &fixture_error));
    do {
        (void)sched_yield();
        ASSERT_OK(
            setting_table_get(f->store, "retention_looked_ms", text, sizeof(text), &fixture_error));
    } while (strcmp(text, now) != 0);
    retention_stop(retention);
}

static void a_clock_that_has_jumped_removes_nothing(void **state) {
    struct store_fixture *f = *state;
    int64_t id = add_run(f, RUN_SUCCEEDED, now_ms - 8 * DAY_MS);
    look(f, now_ms - 4000 * DAY_MS);
    assert_int_equal(count_rows(f, id), 3);
    look(f, now_ms + DAY_MS);
    assert_int_equal(count_rows(f, id), 3);
    assert_true(has(f, id, "000004-000000.safetensors"));
}

static void a_run_that_ended_before_it_was_made_is_as_old_as_it_was_made(void **state) {
    struct store_fixture *f = *state;
    struct retention_options options = options_of(f, 7);
    struct purge_result result;
    (void)add_run_of(f, RUN_SUCCEEDED, now_ms - DAY_MS, DAY_MS); /* the clock fell back to 1970 */
    ASSERT_OK(retention_purge(&options, 7, false, &result, &fixture_error));
    assert_int_equal(result.n_runs, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_last_of_a_run_that_has_no_best_stays, begin, end),
        cmocka_unit_test_setup_teardown(the_best_of_an_old_final_run_stays_and_the_rest_goes, begin,
                                        end),
        cmocka_unit_test_setup_teardown(after_a_crash_the_next_start_removes_what_was_forgotten,
                                        begin, end),
        cmocka_unit_test_setup_teardown(after_a_crash_before_the_commit_everything_is_there, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_commit_that_fails_removes_nothing, begin, end),
        cmocka_unit_test_setup_teardown(what_a_requeued_run_saves_during_a_purge_stays, begin, end),
        cmocka_unit_test_setup_teardown(
            a_run_whose_files_cannot_go_keeps_its_rows_and_is_passed_over, begin, end),
        cmocka_unit_test_setup_teardown(a_run_that_waits_again_keeps_its_checkpoints, begin, end),
        cmocka_unit_test_setup_teardown(a_stop_ends_a_purge_between_two_runs, begin, end),
        cmocka_unit_test_setup_teardown(a_best_that_is_also_the_last_stays, begin, end),
        cmocka_unit_test_setup_teardown(the_first_purge_comes_at_the_start, begin, end),
        cmocka_unit_test_setup_teardown(old_events_go_by_themselves, begin, end),
        cmocka_unit_test_setup_teardown(a_clock_that_has_jumped_removes_nothing, begin, end),
        cmocka_unit_test_setup_teardown(
            a_run_that_ended_before_it_was_made_is_as_old_as_it_was_made, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
