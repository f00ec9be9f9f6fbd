/* Forks that change how many images an epoch has: each epoch keeps the numbers it was trained with.
 */
#include "tests/daemon/store_fixture.h"

#include <sqlite3.h>

#include "daemon/store/change/run_change.h"
#include "daemon/store/change/run_fork.h"
#include "daemon/store/db.h"
#include "daemon/store/query/event_list.h"
#include "daemon/store/table/confusion_table.h"

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

static struct run_config config_with(int m) {
    struct run_config config = fixture_config();
    config.m = m;
    config.batch_size = 50;
    config.epochs = 6;
    return config;
}

static void put_validated(struct store *store, int64_t run, int epoch, int64_t images, int wrong,
                          int total) {
    const struct epoch_row row = {.report.epoch = epoch,
                                  .report.val_wrong = wrong,
                                  .report.val_total = total,
                                  .report.lr = 1,
                                  .report.seconds = (double)images / 500,
                                  .report.images_per_second = 500,
                                  .report.images = images,
                                  .report.steps = (int)(images / 50),
                                  .at_ms = 2000 + epoch};
    ASSERT_OK(epoch_table_put(store, run, &row, &fixture_error));
}

/* An epoch of `images` images in as many seconds as make 500 images a second. */
static void put_epoch(struct store *store, int64_t run, int epoch, int64_t images) {
    put_validated(store, run, epoch, images, 50 - epoch, 100);
}

static void set_origin(struct store *store, int64_t run, int64_t images) {
    const struct run_origin origin = {.variant = "ref",
                                      .arithmetic = "ref-1",
                                      .dataset_sha256 = "d",
                                      .steps_per_epoch = (int)(images / 50),
                                      .images_per_epoch = images};
    ASSERT_OK(run_table_set_origin(store, run, &origin, 2000, &fixture_error));
}

/* A run of three epochs of `images` images, with the checkpoint of its last. */
static int64_t add_source(struct store *store, int m, int64_t images) {
    const struct run_config config = config_with(m);
    int64_t id = fixture_add_run_like(store, 0, &config);
    const struct checkpoint_row checkpoint = {.kind = CHECKPOINT_LAST,
                                              .path = "3-0.safetensors",
                                              .sha256 = "0123456789012345678901234567890123456789"
                                                        "012345678901234567890123",
                                              .epochs_done = 3,
                                              .at_ms = 2100};
    set_origin(store, id, images);
    for (int epoch = 1; epoch <= 3; epoch++) {
        put_epoch(store, id, epoch, images);
    }
    ASSERT_OK(checkpoint_table_put(store, id, &checkpoint, 1, &fixture_error));
    return id;
}

static enum status link_nothing(void *user, int64_t source_id, int64_t id, const char *name,
                                struct error *error) {
    (void)user, (void)source_id, (void)id, (void)name, (void)error;
    return STATUS_OK;
}

static enum status try_fork(struct store *store, int64_t source, int m, int64_t images,
                            int64_t *ret_id) {
    const struct run_config config = config_with(m);
    const struct run_draft draft = {.name = "",
                                    .labels_json = "{}",
                                    .config_json = "{}",
                                    .config = &config,
                                    .forked_from = source,
                                    .forked_epoch = 3};
    const struct run_fork fork = {.draft = &draft,
                                  .steps_per_epoch = (int)(images / 50),
                                  .images_per_epoch = images,
                                  .link_file = link_nothing};
    return run_table_fork(store, &fork, 3000, ret_id, &fixture_error);
}

static int64_t fork_of(struct store *store, int64_t source, int m, int64_t images) {
    int64_t id = 0;
    ASSERT_OK(try_fork(store, source, m, images, &id));
    return id;
}

static void assert_images(struct store *store, int64_t run, size_t n, const int64_t *expected) {
    struct epoch_list list = {0};
    ASSERT_OK(epoch_table_list(store, run, 0, 0, &list, &fixture_error));
    assert_int_equal(list.n, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(list.rows[i].report.images, expected[i]);
        assert_int_equal(list.rows[i].report.steps, expected[i] / 50);
    }
    epoch_list_clear(&list);
}

static void epochs_keep_the_images_of_the_run_that_trained_them(void **state) {
    const struct store_fixture *f = *state;
    int64_t source = add_source(f->store, 1, 500);
    int64_t fork = fork_of(f->store, source, 16, 8000);
    put_epoch(f->store, fork, 4, 8000);
    assert_images(f->store, source, 3, (const int64_t[]){500, 500, 500});
    assert_images(f->store, fork, 4, (const int64_t[]){500, 500, 500, 8000});
    /* Also in what followers hear. */
    struct event_list events = {0};
    ASSERT_OK(event_table_list(f->store, fork, 0, 100, &events, &fixture_error));
    assert_int_equal(events.rows[1].row.report.images, 500);
    assert_int_equal(events.rows[events.n - 1].row.report.images, 8000);
    event_list_clear(&events);
}

static void a_row_without_images_has_those_of_its_run(void **state) {
    const struct store_fixture *f = *state;
    int64_t source = add_source(f->store, 1, 500);
    sqlite3 *handle = NULL;
    assert_int_equal(sqlite3_open(f->path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, "UPDATE epoch SET images = NULL, steps = NULL", 0, 0, 0),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
    assert_images(f->store, source, 3, (const int64_t[]){500, 500, 500});
    int64_t fork = fork_of(f->store, source, 16, 8000);
    assert_images(f->store, fork, 3, (const int64_t[]){500, 500, 500});
}

static void speeds_come_from_the_epochs_a_run_trained_itself(void **state) {
    const struct store_fixture *f = *state;
    int64_t source = add_source(f->store, 1, 500);
    int64_t fork = fork_of(f->store, source, 16, 8000);
    struct run_config config = config_with(16);
    struct run_speed speed = {0};
    ASSERT_OK(run_table_speed(f->store, &config, &speed, &fixture_error));
    assert_int_equal(speed.n_runs, 0); /* what it inherited says nothing about m = 16 */
    put_epoch(f->store, fork, 4, 8000);
    ASSERT_OK(run_table_speed(f->store, &config, &speed, &fixture_error));
    assert_int_equal(speed.n_runs, 1);
    assert_true(speed.images_per_second == 500);
    struct run_row row = fixture_get_run(f->store, fork);
    assert_int_equal(row.inherited_epochs, 3);
    assert_true(row.inherited_seconds == 3);
    assert_true(row.train_seconds == 3 + 16);
    run_row_clear(&row);
}

static void a_fork_with_other_test_images_has_its_best_among_epochs_with_these(void **state) {
    const struct store_fixture *f = *state;
    int64_t fork = fork_of(f->store, add_source(f->store, 1, 500), 1, 500);
    struct run_row row = fixture_get_run(f->store, fork);
    assert_string_equal(row.arithmetic, "ref-1");
    assert_int_equal(row.best_epoch, 3);
    run_row_clear(&row);
    /* More wrong than the inherited 47 of 100, of ten times as many images. */
    put_validated(f->store, fork, 4, 500, 400, 1000);
    put_validated(f->store, fork, 5, 500, 420, 1000);
    row = fixture_get_run(f->store, fork);
    assert_int_equal(row.best_epoch, 4);
    assert_int_equal(row.best_wrong, 400);
    assert_true(row.best_error == 0.4);
    run_row_clear(&row);
    /* Fewer wrong than any, of fewer images. */
    fork = fork_of(f->store, add_source(f->store, 1, 500), 1, 500);
    put_validated(f->store, fork, 4, 500, 9, 10);
    row = fixture_get_run(f->store, fork);
    assert_int_equal(row.best_epoch, 4);
    assert_true(row.best_error == 0.9);
    run_row_clear(&row);
    /* As many images as at first, in a fork of it: only what comes after the others counts. */
    put_validated(f->store, fork, 5, 500, 60, 100);
    row = fixture_get_run(f->store, fork);
    assert_int_equal(row.best_epoch, 5);
    assert_int_equal(row.best_wrong, 60);
    run_row_clear(&row);
}

static void a_fork_has_the_errors_by_class_of_the_best_that_it_inherits(void **state) {
    const struct store_fixture *f = *state;
    int64_t source = add_source(f->store, 1, 500);
    const struct confusion confusion = {.n_classes = 3, .counts[1][2] = 3};
    struct checkpoint_row best = {
        .kind = CHECKPOINT_BEST, .path = "2-0.safetensors", .at_ms = 2100};
    memset(best.sha256, 'b', sizeof(best.sha256) - 1);
    best.epochs_done = 2;
    best.confusion = &confusion;
    ASSERT_OK(checkpoint_table_put(f->store, source, &best, 1, &fixture_error));
    struct confusion_row row;
    ASSERT_OK(
        confusion_table_get(f->store, fork_of(f->store, source, 1, 500), &row, &fixture_error));
    assert_int_equal(row.epoch, 2);
    assert_int_equal(row.confusion.counts[1][2], 3);
    best.epochs_done = 4;
    ASSERT_OK(checkpoint_table_put(f->store, source, &best, 1, &fixture_error));
    assert_int_equal(
        confusion_table_get(f->store, fork_of(f->store, source, 1, 500), &row, &fixture_error),
        STATUS_NOT_FOUND);
}

static void an_inherited_epoch_that_is_trained_again_is_the_runs_own(void **state) {
    const struct store_fixture *f = *state;
    int64_t fork = fork_of(f->store, add_source(f->store, 1, 500), 16, 8000);
    put_epoch(f->store, fork, 2, 8000);
    struct run_row row = fixture_get_run(f->store, fork);
    assert_int_equal(row.inherited_epochs, 1);
    assert_true(row.inherited_seconds == 1);
    run_row_clear(&row);
    ASSERT_OK(run_table_reset(f->store, fork, "other kernels", 4000, &fixture_error));
    row = fixture_get_run(f->store, fork);
    assert_int_equal(row.inherited_epochs, 0);
    assert_true(row.inherited_seconds == 0);
    run_row_clear(&row);
}

static enum status delete_it(struct db *db, void *arguments, struct error *error) {
    return run_delete(db, *(const int64_t *)arguments, 2500, error);
}

static void a_source_that_was_deleted_meanwhile_is_not_found(void **state) {
    const struct store_fixture *f = *state;
    int64_t id = 0;
    int64_t source = add_source(f->store, 1, 500);
    ASSERT_OK(store_write(f->store, delete_it, &source, &fixture_error));
    assert_int_equal(try_fork(f->store, source, 2, 1000, &id), STATUS_NOT_FOUND);
    struct run_row row = {0};
    assert_int_equal(run_table_get(f->store, source + 1, &row, &fixture_error), STATUS_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(epochs_keep_the_images_of_the_run_that_trained_them),
        TEST(a_row_without_images_has_those_of_its_run),
        TEST(speeds_come_from_the_epochs_a_run_trained_itself),
        TEST(a_fork_with_other_test_images_has_its_best_among_epochs_with_these),
        TEST(a_fork_has_the_errors_by_class_of_the_best_that_it_inherits),
        TEST(an_inherited_epoch_that_is_trained_again_is_the_runs_own),
        TEST(a_source_that_was_deleted_meanwhile_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
