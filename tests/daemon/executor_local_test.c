/* Workers that really train: a run that was stopped in the middle of an epoch ends with the history
 * of one that was not. */
#include "tests/daemon/local_fixture.h"

#include "daemon/store/table/checkpoint_table.h"
#include "daemon/store/table/event_table.h"
#include "daemon/work/recovery.h"

static void a_stopped_run_ends_with_the_same_history(void **state) {
    struct local_fixture *l = *state;
    l->hold = true;
    work_start(&l->w);
    int64_t stopped = submit(l, run_text);
    wait_until_held(l);
    work_stop(&l->w);
    struct run_row row = fixture_get_run(l->w.f.store, stopped);
    assert_int_equal(row.state, RUN_QUEUED);
    assert_int_equal(row.attempt, 2);
    assert_string_equal(row.variant, "blas");
    run_row_clear(&row);
    struct checkpoint_list list = {0};
    ASSERT_OK(checkpoint_table_list(l->w.f.store, stopped, &list, &fixture_error));
    assert_true(list.n >= 1);
    assert_int_equal(list.rows[0].epochs_done, 1);
    int step = list.rows[0].step;
    checkpoint_list_clear(&list);
    assert_int_equal(step, 1);

    /* Other kernels are chosen now, another number of threads; the run keeps its own kernels. */
    l->w.local.kernels = &kernels_ref;
    l->w.local.n_threads = 2;
    l->hold = false;
    work_start(&l->w);
    work_wait_until(&l->w, stopped, work_is_final, "final");
    work_stop(&l->w);
    row = fixture_get_run(l->w.f.store, stopped);
    assert_string_equal(run_state_name(row.state), "succeeded");
    assert_string_equal(row.variant, "blas");
    run_row_clear(&row);

    l->w.local.kernels = &kernels_blas;
    work_start(&l->w);
    int64_t whole = submit(l, run_text);
    work_wait_until(&l->w, whole, work_is_final, "final");
    assert_same_history(l->w.f.store, stopped, whole);
}

/* For the plain kernels, which are slow. */
static const char short_text[] = "{\"depth\":8,\"epochs\":2,\"batch_size\":2,\"train_images\":6,"
                                 "\"test_images\":4,\"seed\":5}";

/* As on a machine with avx2 what began on one with avx512. */
static void
kernels_of_another_name_and_the_same_arithmetic_go_on_to_the_same_history(void **state) {
    static struct kernels alike;
    struct local_fixture *l = *state;
    l->w.local.kernels = &kernels_ref;
    int64_t stopped = stop_in_second_epoch(l, short_text);
    alike = kernels_ref;
    alike.name = "ref-too";
    struct run_row row = fixture_get_run(l->w.f.store, stopped);
    const struct run_origin moved = {.variant = "ref-of-old",
                                     .arithmetic = row.arithmetic,
                                     .dataset_sha256 = row.dataset_sha256,
                                     .steps_per_epoch = row.steps_per_epoch,
                                     .images_per_epoch = row.images_per_epoch};
    assert_string_equal(row.arithmetic, "ref-1");
    ASSERT_OK(run_table_set_origin(l->w.f.store, stopped, &moved, 1, &fixture_error));
    run_row_clear(&row);
    l->w.local.kernels = &alike;
    l->w.options.on_arithmetic_change = ARITHMETIC_FAIL;
    work_start(&l->w);
    work_wait_until(&l->w, stopped, work_is_final, "final");
    row = fixture_get_run(l->w.f.store, stopped);
    assert_string_equal(run_state_name(row.state), "succeeded");
    assert_string_equal(row.variant, "ref-too");
    run_row_clear(&row);
    assert_false(has_reason(l, stopped, "anew"));
    int64_t whole = submit(l, short_text);
    work_wait_until(&l->w, whole, work_is_final, "final");
    assert_same_history(l->w.f.store, stopped, whole);
}

static void
a_real_checkpoint_of_another_arithmetic_is_gone_on_from_where_that_is_allowed(void **state) {
    struct local_fixture *l = *state;
    l->w.local.kernels = &kernels_ref;
    int64_t id = stop_in_second_epoch(l, short_text);
    struct run_row row = fixture_get_run(l->w.f.store, id);
    const struct run_origin gone = {
        .variant = "gone", .arithmetic = "gone-1", .dataset_sha256 = row.dataset_sha256};
    ASSERT_OK(run_table_set_origin(l->w.f.store, id, &gone, 1, &fixture_error));
    run_row_clear(&row);
    l->w.local.kernels = &kernels_blas;
    l->w.options.on_arithmetic_change = ARITHMETIC_CONTINUE;
    work_start(&l->w);
    work_wait_until(&l->w, id, work_is_final, "final");
    assert_int_equal(fixture_state(l->w.f.store, id), RUN_SUCCEEDED);
    assert_true(has_reason(l, id, "from epoch 2, step 1 on with the arithmetic blas-1"));
    assert_false(has_reason(l, id, "damaged"));
    assert_false(has_reason(l, id, "anew"));
}

static void a_pinned_run_ends_like_any_other(void **state) {
    struct local_fixture *l = *state;
    l->w.local.n_threads = 2;
    work_start(&l->w);
    int64_t whole = submit(l, run_text);
    work_wait_until(&l->w, whole, work_is_final, "final");
    work_stop(&l->w);
    l->w.local.pin_threads = true;
    l->w.options.n_workers = 2;
    work_start(&l->w);
    int64_t one = submit(l, run_text);
    int64_t other = submit(l, run_text);
    work_wait_until(&l->w, one, work_is_final, "final");
    work_wait_until(&l->w, other, work_is_final, "final");
    assert_same_history(l->w.f.store, whole, one);
    assert_same_history(l->w.f.store, whole, other);
}

/* The row of the best checkpoint is of the best epoch, and its file is whole. */
static void assert_best_is_best(const struct local_fixture *l, const struct run_row *run) {
    struct checkpoint_list list = {0};
    const struct checkpoint_row *best = NULL;
    char path[512];
    char digest[SHA256_HEX_SIZE];
    ASSERT_OK(checkpoint_table_list(l->w.f.store, run->id, &list, &fixture_error));
    for (size_t i = 0; i < list.n; i++) {
        best = list.rows[i].kind == CHECKPOINT_BEST ? &list.rows[i] : best;
        (void)snprintf(path, sizeof(path), "%s/runs/%lld/%s", l->w.f.dir, (long long)run->id,
                       list.rows[i].path);
        ASSERT_OK(sha256_file(path, digest, &fixture_error));
        assert_string_equal(digest, list.rows[i].sha256);
    }
    assert_non_null(best);
    assert_int_equal(best->epochs_done, run->best_epoch);
    checkpoint_list_clear(&list);
}

static void whatever_write_fails_the_best_checkpoint_is_that_of_the_best_epoch(void **state) {
    struct local_fixture *l = *state;
    int64_t first = 0;
    work_start(&l->w);
    for (int nth = 0; nth <= 8; nth++) {
        store_inject_failure(l->w.f.store, nth == 0 ? 0 : 1 + nth); /* the first submits it */
        int64_t id = submit(l, run_text);
        work_wait_until(&l->w, id, work_is_final, "final");
        store_inject_failure(l->w.f.store, 0);
        struct run_row row = fixture_get_run(l->w.f.store, id);
        assert_string_equal(run_state_name(row.state), "succeeded");
        first = nth == 0 ? id : first;
        assert_same_history(l->w.f.store, first, id);
        assert_best_is_best(l, &row);
        run_row_clear(&row);
    }
}

static void a_config_that_asks_for_too_many_images_fails_with_the_reason(void **state) {
    struct local_fixture *l = *state;
    work_start(&l->w);
    int64_t id = submit(l, "{\"depth\":8,\"epochs\":1,\"batch_size\":16,\"train_images\":49}");
    work_wait_until(&l->w, id, work_is_final, "final");
    struct run_row row = fixture_get_run(l->w.f.store, id);
    assert_string_equal(run_state_name(row.state), "failed");
    assert_non_null(strstr(row.reason, "train_images"));
    run_row_clear(&row);
}

/* Puts something that is no checkpoint at the place of one. */
static void replace_checkpoint(struct local_fixture *l, int64_t id, const char *name, bool by_dir) {
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/runs/%lld/%s", l->w.f.dir, (long long)id, name);
    assert_int_equal(unlink(path), 0);
    if (by_dir) {
        assert_int_equal(mkdir(path, 0700), 0);
        return;
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
}

static void a_last_checkpoint_that_cannot_be_read_falls_back_to_the_one_before(void **state) {
    struct local_fixture *l = *state;
    int64_t id = stop_in_second_epoch(l, run_text);
    replace_checkpoint(l, id, "000001-000001.safetensors", true); /* EISDIR */
    work_start(&l->w);
    work_wait_until(&l->w, id, work_is_final, "final");
    assert_int_equal(fixture_state(l->w.f.store, id), RUN_SUCCEEDED);
    assert_true(
        has_reason(l, id, "the last checkpoint cannot be read; went on from epoch 1, step 0"));
}

static void a_damaged_checkpoint_is_never_named_as_the_one_it_went_on_from(void **state) {
    struct local_fixture *l = *state;
    int64_t id = stop_in_second_epoch(l, run_text);
    replace_checkpoint(l, id, "000001-000001.safetensors", false);
    replace_checkpoint(l, id, "000001-000000.safetensors", false);
    work_start(&l->w);
    work_wait_until(&l->w, id, work_is_final, "final");
    assert_int_equal(fixture_state(l->w.f.store, id), RUN_SUCCEEDED);
    assert_true(has_reason(l, id, "no checkpoint is intact; started anew"));
    assert_false(has_reason(l, id, "went on from"));
}

static void act(struct local_fixture *l, enum run_action action, int64_t id) {
    const struct queue_action asked = {.action = action, .ids = &id, .n_ids = 1};
    struct run_outcomes outcomes;
    ASSERT_OK(pool_act(l->w.pool, &asked, &outcomes, &fixture_error));
    assert_int_equal(outcomes.items[0].error.code, STATUS_OK);
    run_outcomes_clear(&outcomes);
    work_note_change(&l->w, id);
}

/* Holds at that step of the second epoch. */
static void hold_at(struct local_fixture *l, int64_t id, int step) {
    l->held = false;
    l->hold_step = step;
    work_note_change(&l->w, id);
    wait_until_held(l);
}

/* Begun in the second epoch, with a checkpoint of that step, and killed at the next. */
static void save_and_kill(struct local_fixture *l, int64_t id, int step) {
    hold_at(l, id, step);
    assert_true(pool_checkpoint(l->w.pool, id));
    hold_at(l, id, step + 1);
    act(l, RUN_ACTION_KILL, id);
    work_wait_until(&l->w, id, work_is_final, "final");
    l->held = false;
    l->hold_step = 1;
}

/* Whether one of the listed is of that step of the second epoch. The file of each is whole. */
static bool lists(const struct local_fixture *l, int64_t id, int step) {
    struct checkpoint_list list = {0};
    bool found = false;
    ASSERT_OK(checkpoint_table_list(l->w.f.store, id, &list, &fixture_error));
    for (size_t i = 0; i < list.n; i++) {
        char path[512];
        char digest[SHA256_HEX_SIZE];
        (void)snprintf(path, sizeof(path), "%s/runs/%lld/%s", l->w.f.dir, (long long)id,
                       list.rows[i].path);
        ASSERT_OK(sha256_file(path, digest, &fixture_error));
        assert_string_equal(digest, list.rows[i].sha256);
        found = found || (list.rows[i].epochs_done == 1 && list.rows[i].step == step);
    }
    checkpoint_list_clear(&list);
    return found;
}

static void after_a_fall_back_the_files_that_are_listed_are_those_that_are_there(void **state) {
    struct local_fixture *l = *state;
    l->hold = true;
    work_start(&l->w);
    int64_t id = submit(l, run_text);
    save_and_kill(l, id, 1);
    assert_true(lists(l, id, 0));
    assert_true(lists(l, id, 1));
    replace_checkpoint(l, id, "000001-000001.safetensors", false);
    act(l, RUN_ACTION_REQUEUE, id);
    save_and_kill(l, id, 2);
    assert_true(has_reason(l, id, "the last checkpoint is damaged; went on from epoch 1, step 0"));
    assert_true(lists(l, id, 0));
    assert_true(lists(l, id, 2));
    replace_checkpoint(l, id, "000001-000002.safetensors", false);
    l->hold = false;
    act(l, RUN_ACTION_REQUEUE, id);
    work_wait_until(&l->w, id, work_is_final, "final");
    assert_int_equal(l->n_anew, 1);
    int64_t whole = submit(l, run_text);
    work_wait_until(&l->w, whole, work_is_final, "final");
    assert_same_history(l->w.f.store, id, whole);
}

static void a_run_that_was_interrupted_writes_a_checkpoint_after_its_first_step(void **state) {
    struct local_fixture *l = *state;
    int64_t id = submit(l, run_text);
    struct run_row row = {0};
    struct recovery_result recovered;
    ASSERT_OK(queue_claim(l->w.queue, &(struct run_claim){0}, &row, &fixture_error));
    run_row_clear(&row);
    ASSERT_OK(run_table_note_begin(l->w.f.store, id, 1, &fixture_error));
    ASSERT_OK(recovery_run(l->w.f.store, NULL, &clock_system, &recovered, &fixture_error));
    work_start(&l->w);
    work_wait_until(&l->w, id, work_is_final, "final");
    struct event_list events = {0};
    int first = -1;
    ASSERT_OK(event_table_list(l->w.f.store, id, 0, 50, &events, &fixture_error));
    for (size_t i = 0; i < events.n && first < 0; i++) {
        first = events.rows[i].type == EVENT_CHECKPOINT ? (int)i : -1;
    }
    assert_true(first >= 0);
    assert_int_equal(events.rows[first].epoch, 0);
    assert_int_equal(events.rows[first].step, 1);
    event_list_clear(&events);
}

static void a_checkpoint_is_written_when_it_is_asked_for(void **state) {
    struct local_fixture *l = *state;
    l->hold = true;
    work_start(&l->w);
    int64_t id = submit(l, run_text);
    wait_until_held(l);
    assert_true(pool_checkpoint(l->w.pool, id));
    l->hold = false;
    work_note_change(&l->w, id);
    work_wait_until(&l->w, id, work_is_final, "final");
    struct event_list events = {0};
    int n_inside = 0;
    ASSERT_OK(event_table_list(l->w.f.store, id, 0, 50, &events, &fixture_error));
    for (size_t i = 0; i < events.n; i++) {
        n_inside += events.rows[i].type == EVENT_CHECKPOINT && events.rows[i].step > 0;
    }
    event_list_clear(&events);
    assert_int_equal(n_inside, 1);
}

static void write_zeros(const char *dir, const char *file, int n_bytes) {
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, file);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    for (int i = 0; i < n_bytes; i++) {
        assert_int_equal(fputc(0, out), 0);
    }
    assert_int_equal(fclose(out), 0);
}

static void memory_is_asked_for_as_many_classes_as_the_data_set_has(void **state) {
    struct local_fixture *l = *state;
    static struct config config;
    struct dataset_registry *datasets = NULL;
    const struct {
        const char *name;
        int n_classes;
    } sets[] = {{"shapes", SHAPES_CLASSES}, {"fine", 100}, {"gone", 0}};
    memset(&config, 0, sizeof(config));
    config.shapes_train = config.shapes_test = 10;
    for (int i = 1; i < 3; i++) {
        struct config_dataset *set = &config.datasets[config.n_datasets++];
        (void)snprintf(set->name, sizeof(set->name), "%s", sets[i].name);
        (void)snprintf(set->directory, sizeof(set->directory), "%s%s", l->w.f.dir,
                       i == 1 ? "" : "/gone");
    }
    write_zeros(l->w.f.dir, "train.bin", CIFAR100_ROW_BYTES);
    write_zeros(l->w.f.dir, "test.bin", CIFAR100_ROW_BYTES);
    ASSERT_OK(dataset_registry_create(&config, &datasets, &fixture_error));
    struct executor_local local = {.kernels = &kernels_blas, .datasets = datasets, .n_threads = 1};
    const struct executor executor = executor_local_make(&local);
    for (int i = 0; i < 3; i++) {
        struct run_config run = run_preset_find("notebook-q2")->config;
        struct executor_admission admission;
        (void)snprintf(run.dataset, sizeof(run.dataset), "%s", sets[i].name);
        executor.admit(executor.user, &run, &admission);
        assert_int_equal(admission.needed_bytes,
                         trainer_memory_bytes(&run, sets[i].n_classes, &kernels_blas, 1));
    }
    dataset_registry_free(datasets);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_stopped_run_ends_with_the_same_history),
        TEST(kernels_of_another_name_and_the_same_arithmetic_go_on_to_the_same_history),
        TEST(a_real_checkpoint_of_another_arithmetic_is_gone_on_from_where_that_is_allowed),
        TEST(a_pinned_run_ends_like_any_other),
        TEST(whatever_write_fails_the_best_checkpoint_is_that_of_the_best_epoch),
        TEST(a_last_checkpoint_that_cannot_be_read_falls_back_to_the_one_before),
        TEST(a_damaged_checkpoint_is_never_named_as_the_one_it_went_on_from),
        TEST(after_a_fall_back_the_files_that_are_listed_are_those_that_are_there),
        TEST(a_run_that_was_interrupted_writes_a_checkpoint_after_its_first_step),
        TEST(a_checkpoint_is_written_when_it_is_asked_for),
        TEST(memory_is_asked_for_as_many_classes_as_the_data_set_has),
        TEST(a_config_that_asks_for_too_many_images_fails_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
