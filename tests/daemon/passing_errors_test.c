/* What fails for a moment while a run begins, files that cannot be read above all, costs an
 * attempt, not its checkpoints and not the run. Links with --wrap of what it fails
 * (tests/CMakeLists.txt). */
#include "tests/daemon/local_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>

#include "core/base/regular_file.h"
#include "daemon/config/state_dir.h"
#include "daemon/config/text_file.h"
#include "daemon/slurm/slurm_internal.h"
#include "daemon/store/change/run_fork.h"
#include "daemon/store/table/checkpoint_table.h"
#include "daemon/work/recovery.h"

enum { ROW = 1 + IMAGE_BYTES };

/* ---- what fails: the linker leads the program's calls here ---- */

static char unopened[64];     /* files whose names end so; "": none */
static atomic_int n_unopened; /* so many times yet */
static atomic_int open_errno; /* with this */
static atomic_int n_unread;   /* so many times yet reading images fails */

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text);
    return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    if (unopened[0] && (flags & O_ACCMODE) == O_RDONLY && ends_with(path, unopened) &&
        atomic_fetch_sub(&n_unopened, 1) > 0) {
        errno = atomic_load(&open_errno);
        return -1;
    }
    return __real_open(path, flags, mode);
}

static void let_opening_fail(const char *end, int code, int n) {
    (void)snprintf(unopened, sizeof(unopened), "%s", end);
    atomic_store(&open_errno, code);
    atomic_store(&n_unopened, n);
}

/* The stream is as long as the file and cannot be read. */
enum status __real_regular_file_stream(const char *path, FILE **ret_file, struct error *error);
enum status __wrap_regular_file_stream(const char *path, FILE **ret_file, struct error *error);
enum status __wrap_regular_file_stream(const char *path, FILE **ret_file, struct error *error) {
    TRY(__real_regular_file_stream(path, ret_file, error));
    if (ends_with(path, "data_batch_1.bin") && atomic_fetch_sub(&n_unread, 1) > 0) {
        int fd = __real_open(path, O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_true(dup2(fd, fileno(*ret_file)) >= 0);
        assert_int_equal(close(fd), 0);
    }
    return STATUS_OK;
}

static int begin_whole(void **state) {
    let_opening_fail("", 0, 0);
    atomic_store(&n_unread, 0);
    return set_up(state);
}

/* ---- checkpoints ---- */

static const char last[] = "000001-000001.safetensors";

/* One that nothing has disturbed. */
static int64_t train_whole(struct local_fixture *l, const char *text) {
    int64_t id = submit(l, text);
    work_wait_until(&l->w, id, work_is_final, "final");
    return id;
}

static void assert_succeeded(struct local_fixture *l, int64_t id, int attempt) {
    struct run_row row = fixture_get_run(l->w.f.store, id);
    if (row.state != RUN_SUCCEEDED || row.attempt != attempt) {
        fail_msg("run %lld is %s at attempt %d: %s", (long long)id, run_state_name(row.state),
                 row.attempt, row.reason);
    }
    run_row_clear(&row);
}

static void requeue(struct local_fixture *l, int64_t id) {
    const struct queue_action asked = {.action = RUN_ACTION_REQUEUE, .ids = &id, .n_ids = 1};
    struct run_outcomes outcomes;
    ASSERT_OK(pool_act(l->w.pool, &asked, &outcomes, &fixture_error));
    assert_int_equal(outcomes.items[0].error.code, STATUS_OK);
    run_outcomes_clear(&outcomes);
    work_note_change(&l->w, id);
}

static void checkpoints_that_cannot_be_opened_for_a_moment_are_gone_on_from(void **state) {
    struct local_fixture *l = *state;
    static const int codes[] = {EMFILE, EIO};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        l->held = false;
        int64_t id = stop_in_second_epoch(l, run_text);
        int n_anew = l->n_anew;
        let_opening_fail(".safetensors", codes[i], 3);
        work_start(&l->w);
        work_wait_until(&l->w, id, work_is_final, "final");
        assert_succeeded(l, id, 4);
        assert_true(has_reason(l, id, "will be tried again: cannot open"));
        assert_false(has_reason(l, id, "went on from"));
        assert_int_equal(l->n_anew, n_anew);
        assert_same_history(l->w.f.store, id, train_whole(l, run_text));
        work_stop(&l->w);
    }
    work_start(&l->w);
}

static void a_last_checkpoint_that_stays_unreadable_falls_back_after_the_bound(void **state) {
    struct local_fixture *l = *state;
    int64_t id = stop_in_second_epoch(l, run_text);
    int n_anew = l->n_anew;
    let_opening_fail(last, EIO, 1000);
    work_start(&l->w);
    work_wait_until(&l->w, id, work_is_final, "final");
    assert_succeeded(l, id, 2 + RECOVERY_MOST_INTERRUPTIONS);
    assert_true(
        has_reason(l, id, "the last checkpoint cannot be read; went on from epoch 1, step 0"));
    assert_int_equal(l->n_anew, n_anew);
    assert_same_history(l->w.f.store, id, train_whole(l, run_text));
}

static void one_that_is_not_ours_to_read_falls_back_to_the_one_before(void **state) {
    struct local_fixture *l = *state;
    int64_t id = stop_in_second_epoch(l, run_text);
    let_opening_fail(last, EACCES, 1000);
    work_start(&l->w);
    work_wait_until(&l->w, id, work_is_final, "final");
    assert_succeeded(l, id, 2);
    assert_true(
        has_reason(l, id, "the last checkpoint cannot be read; went on from epoch 1, step 0"));
    assert_same_history(l->w.f.store, id, train_whole(l, run_text));
}

/* As root leaves them, who has served the directory by hand. */
static void what_is_not_ours_to_read_is_gone_on_from_once_it_is(void **state) {
    struct local_fixture *l = *state;
    static const int codes[] = {EACCES, EPERM};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        l->held = false;
        int64_t id = stop_in_second_epoch(l, run_text);
        int n_anew = l->n_anew;
        let_opening_fail(".safetensors", codes[i], 1000);
        work_start(&l->w);
        work_wait_until(&l->w, id, work_is_final, "final");
        struct run_row row = fixture_get_run(l->w.f.store, id);
        assert_int_equal(row.state, RUN_FAILED);
        assert_int_equal(row.attempt, 2);
        assert_non_null(strstr(row.reason, "do what `cutoutd doctor` says of it, then requeue"));
        run_row_clear(&row);
        let_opening_fail("", 0, 0);
        requeue(l, id);
        work_wait_until(&l->w, id, work_is_final, "final");
        assert_succeeded(l, id, 3);
        assert_false(has_reason(l, id, "went on from"));
        assert_int_equal(l->n_anew, n_anew);
        assert_same_history(l->w.f.store, id, train_whole(l, run_text));
        work_stop(&l->w);
    }
    work_start(&l->w);
}

static void what_is_not_ours_to_read_is_told_apart_for_slurm(void **state) {
    struct local_fixture *l = *state;
    char from[160];
    char to[160];
    char digest[SHA256_HEX_SIZE];
    bool of_source = false;
    (void)snprintf(from, sizeof(from), "%s/%s", l->w.f.dir, last);
    (void)snprintf(to, sizeof(to), "%s/copy", l->w.f.dir);
    ASSERT_OK(text_file_write(from, "weights\n", &fixture_error));
    ASSERT_OK(sha256_file(from, digest, &fixture_error));
    let_opening_fail(last, EACCES, 1000);
    assert_int_equal(slurm_copy_checkpoint(from, to, digest, &of_source, &fixture_error),
                     STATUS_FORBIDDEN);
    assert_true(of_source);
    let_opening_fail("", 0, 0);
    ASSERT_OK(slurm_copy_checkpoint(from, to, digest, &of_source, &fixture_error));
}

static enum status link_file(void *user, int64_t source_id, int64_t id, const char *name,
                             struct error *error) {
    return state_dir_link_run_file(user, source_id, user, id, name, error);
}

static int64_t fork_at_first_epoch(struct local_fixture *l, int64_t source) {
    static struct run_spec spec;
    static struct field_errors errors;
    const struct run_spec_context context = {.default_dataset = "shapes"};
    assert_int_equal(run_spec_parse(run_text, strlen(run_text), &context, &spec, &errors),
                     STATUS_OK);
    char *json = run_spec_to_json(&spec);
    assert_non_null(json);
    const struct run_draft draft = {.name = "",
                                    .labels_json = "{}",
                                    .config_json = json,
                                    .config = &spec.config,
                                    .forked_from = source,
                                    .forked_epoch = 1};
    const struct run_fork fork = {.draft = &draft,
                                  .steps_per_epoch = 3,
                                  .images_per_epoch = N_TRAIN,
                                  .link_file = link_file,
                                  .user = l->w.f.dir};
    int64_t id = 0;
    ASSERT_OK(run_table_fork(l->w.f.store, &fork, 1, &id, &fixture_error));
    free(json);
    queue_wake(l->w.queue);
    return id;
}

static void a_fork_that_cannot_be_opened_for_a_moment_goes_on_from_its_epoch(void **state) {
    struct local_fixture *l = *state;
    work_start(&l->w);
    int64_t source = train_whole(l, run_text);
    let_opening_fail(".safetensors", EMFILE, 4);
    int64_t fork = fork_at_first_epoch(l, source);
    work_wait_until(&l->w, fork, work_is_final, "final");
    assert_succeeded(l, fork, 3);
    int64_t whole = fork_at_first_epoch(l, source);
    work_wait_until(&l->w, whole, work_is_final, "final");
    assert_succeeded(l, whole, 1);
    assert_same_history(l->w.f.store, fork, whole);
}

static void a_fork_that_stays_unreadable_fails_after_the_bound_with_the_error(void **state) {
    struct local_fixture *l = *state;
    work_start(&l->w);
    int64_t source = train_whole(l, run_text);
    let_opening_fail(".safetensors", EIO, 1000);
    int64_t fork = fork_at_first_epoch(l, source);
    work_wait_until(&l->w, fork, work_is_final, "final");
    struct run_row row = fixture_get_run(l->w.f.store, fork);
    assert_int_equal(row.state, RUN_FAILED);
    assert_int_equal(row.attempt, 1 + RECOVERY_MOST_INTERRUPTIONS);
    assert_non_null(strstr(row.reason, "6 times in a row without progress: cannot open"));
    run_row_clear(&row);
}

/* ---- images ---- */

static const char photos_text[] = "{\"depth\":8,\"epochs\":2,\"batch_size\":16,\"cutout_size\":12,"
                                  "\"seed\":5,\"dataset\":\"photos\"}";

static void write_images(const char *dir, const char *file, int n) {
    char path[256];
    (void)snprintf(path, sizeof(path), "%.127s/%.64s", dir, file);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    for (int i = 0; i < n * ROW; i++) {
        /* Byte 0 of a row is its label. */
        assert_int_not_equal(fputc(i % ROW == 0 ? i / ROW % 10 : i % 251, out), EOF);
    }
    assert_int_equal(fclose(out), 0);
}

static int begin_with_photos(void **state) {
    if (begin_whole(state) != 0) {
        return -1;
    }
    struct local_fixture *l = *state;
    struct config_dataset *set = &l->w.config.datasets[l->w.config.n_datasets++];
    char directory[128];
    (void)snprintf(directory, sizeof(directory), "%s/photos", l->w.f.dir);
    (void)snprintf(set->name, sizeof(set->name), "photos");
    (void)snprintf(set->directory, sizeof(set->directory), "%s", directory);
    assert_int_equal(mkdir(directory, 0700), 0);
    write_images(directory, "data_batch_1.bin", N_TRAIN);
    write_images(directory, "test_batch.bin", N_TEST);
    dataset_registry_free(l->w.datasets);
    ASSERT_OK(dataset_registry_create(&l->w.config, &l->w.datasets, &fixture_error));
    l->w.local.datasets = l->w.datasets;
    return 0;
}

static void images_that_cannot_be_read_for_a_moment_fail_no_run(void **state) {
    struct local_fixture *l = *state;
    atomic_store(&n_unread, 2);
    int64_t one = submit(l, photos_text);
    int64_t other = submit(l, photos_text);
    work_start(&l->w);
    work_wait_until(&l->w, one, work_is_final, "final");
    work_wait_until(&l->w, other, work_is_final, "final");
    assert_succeeded(l, one, 3);
    assert_succeeded(l, other, 1);
    assert_true(has_reason(l, one, "will be tried again: cannot read"));
    int64_t whole = train_whole(l, photos_text);
    assert_same_history(l->w.f.store, one, whole);
    assert_same_history(l->w.f.store, other, whole);
}

static void images_that_stay_unreadable_fail_the_run_after_the_bound(void **state) {
    struct local_fixture *l = *state;
    atomic_store(&n_unread, 1000);
    work_start(&l->w);
    int64_t id = submit(l, photos_text);
    work_wait_until(&l->w, id, work_is_final, "final");
    struct run_row row = fixture_get_run(l->w.f.store, id);
    assert_int_equal(row.state, RUN_FAILED);
    assert_int_equal(row.attempt, 1 + RECOVERY_MOST_INTERRUPTIONS);
    assert_non_null(strstr(row.reason, "6 times in a row without progress: cannot read"));
    run_row_clear(&row);
}

static void damaged_images_fail_the_run_at_once(void **state) {
    struct local_fixture *l = *state;
    char path[CONFIG_TEXT_SIZE + 32];
    (void)snprintf(path, sizeof(path), "%s/data_batch_1.bin", l->w.config.datasets[0].directory);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fputc(10, file), 10);
    assert_int_equal(fclose(file), 0);
    work_start(&l->w);
    int64_t id = submit(l, photos_text);
    work_wait_until(&l->w, id, work_is_final, "final");
    struct run_row row = fixture_get_run(l->w.f.store, id);
    assert_int_equal(row.state, RUN_FAILED);
    assert_int_equal(row.attempt, 1);
    assert_non_null(strstr(row.reason, "label 10"));
    run_row_clear(&row);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_whole, tear_down)
#define TEST_PHOTOS(name) cmocka_unit_test_setup_teardown(name, begin_with_photos, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(checkpoints_that_cannot_be_opened_for_a_moment_are_gone_on_from),
        TEST(a_last_checkpoint_that_stays_unreadable_falls_back_after_the_bound),
        TEST(one_that_is_not_ours_to_read_falls_back_to_the_one_before),
        TEST(what_is_not_ours_to_read_is_gone_on_from_once_it_is),
        TEST(what_is_not_ours_to_read_is_told_apart_for_slurm),
        TEST(a_fork_that_cannot_be_opened_for_a_moment_goes_on_from_its_epoch),
        TEST(a_fork_that_stays_unreadable_fails_after_the_bound_with_the_error),
        TEST_PHOTOS(images_that_cannot_be_read_for_a_moment_fail_no_run),
        TEST_PHOTOS(images_that_stay_unreadable_fail_the_run_after_the_bound),
        TEST_PHOTOS(damaged_images_fail_the_run_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
