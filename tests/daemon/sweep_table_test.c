/* Sweeps in the store: all of it or nothing, progress, and sets of runs with their epochs. */
#include "tests/daemon/store_fixture.h"

#include "daemon/store/change/sweep_change.h"
#include "daemon/store/query/event_list.h"
#include "daemon/store/query/run_set.h"

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

static enum status insert_sweep(struct store *store, size_t n_runs, int64_t *ret_id) {
    const struct run_config config = fixture_config();
    struct run_draft runs[8] = {{.name = NULL}};
    for (size_t i = 0; i < n_runs; i++) {
        runs[i] = (struct run_draft){.name = "child",
                                     .labels_json = "{}",
                                     .config_json = "{\"m\":2}",
                                     .config = &config,
                                     .held = i == 0};
    }
    const struct sweep_draft draft = {.name = "the sweep",
                                      .owner = "ada",
                                      .spec_json = "{\"grid\":{}}",
                                      .runs = runs,
                                      .n_runs = n_runs};
    return sweep_table_insert(store, &draft, 5000, ret_id, &fixture_error);
}

static int64_t add_sweep(struct store *store, size_t n_runs) {
    int64_t id = 0;
    ASSERT_OK(insert_sweep(store, n_runs, &id));
    return id;
}

static void put_epoch(struct store *store, int64_t run, int epoch, double seconds) {
    const struct epoch_row row = {.report.epoch = epoch,
                                  .report.train_loss = 1,
                                  .report.val_loss = 1,
                                  .report.val_wrong = 10 * epoch,
                                  .report.val_total = 100,
                                  .report.seconds = seconds,
                                  .at_ms = 6000};
    ASSERT_OK(epoch_table_put(store, run, &row, &fixture_error));
}

static void a_sweep_is_stored_with_its_runs(void **state) {
    struct store_fixture *f = *state;
    (void)fixture_add_run(f->store, 0);
    int64_t id = add_sweep(f->store, 3);
    struct sweep_row row = {0};
    ASSERT_OK(sweep_table_get(f->store, id, &row, &fixture_error));
    assert_string_equal(row.name, "the sweep");
    assert_string_equal(row.owner, "ada");
    assert_string_equal(row.spec_json, "{\"grid\":{}}");
    assert_int_equal(row.created_ms, 5000);
    sweep_row_clear(&row);
    int64_t *ids = NULL;
    size_t n = 0;
    ASSERT_OK(sweep_table_runs(f->store, id, &ids, &n, &fixture_error));
    assert_int_equal(n, 3);
    assert_int_equal(ids[0], 2);
    assert_int_equal(ids[2], 4);
    free(ids);
    struct run_row run = fixture_get_run(f->store, 3);
    assert_int_equal(run.sweep_id, id);
    assert_int_equal(run.state, RUN_QUEUED);
    run_row_clear(&run);
    assert_int_equal(fixture_state(f->store, 2), RUN_HELD);
    struct event_list events = {0};
    ASSERT_OK(event_table_list(f->store, 4, 0, 10, &events, &fixture_error));
    assert_int_equal(events.n, 1);
    event_list_clear(&events);
}

static void a_full_disk_leaves_neither_the_sweep_nor_a_run(void **state) {
    struct store_fixture *f = *state;
    int64_t id = 0;
    store_inject_failure(f->store, 1);
    assert_int_equal(insert_sweep(f->store, 3, &id), STATUS_NO_SPACE);
    struct sweep_list list = {0};
    ASSERT_OK(sweep_table_list(f->store, 0, 10, &list, &fixture_error));
    assert_int_equal(list.n, 0);
    sweep_list_clear(&list);
    int64_t counts[RUN_STATE_COUNT];
    ASSERT_OK(run_table_count(f->store, counts, &fixture_error));
    for (int i = 0; i < RUN_STATE_COUNT; i++) {
        assert_int_equal(counts[i], 0);
    }
}

static void sweeps_are_listed_in_pages_newest_first(void **state) {
    struct store_fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        (void)add_sweep(f->store, 1);
    }
    struct sweep_list list = {0};
    ASSERT_OK(sweep_table_list(f->store, 0, 2, &list, &fixture_error));
    assert_int_equal(list.n, 2);
    assert_true(list.more);
    assert_int_equal(list.rows[0].id, 3);
    sweep_list_clear(&list);
    ASSERT_OK(sweep_table_list(f->store, 2, 2, &list, &fixture_error));
    assert_int_equal(list.n, 1);
    assert_false(list.more);
    sweep_list_clear(&list);
    struct sweep_row row = {0};
    assert_int_equal(sweep_table_get(f->store, 9, &row, &fixture_error), STATUS_NOT_FOUND);
}

static void progress_adds_up_all_runs(void **state) {
    struct store_fixture *f = *state;
    int64_t id = add_sweep(f->store, 3); /* runs 1 (held), 2, 3: 5 epochs, m 2, depth 8 */
    put_epoch(f->store, 2, 1, 1.5);
    put_epoch(f->store, 2, 2, 2.5);
    struct sweep_progress p = {0};
    ASSERT_OK(sweep_table_progress(f->store, id, &p, &fixture_error));
    assert_int_equal(p.n_runs, 3);
    assert_int_equal(p.by_state[RUN_HELD], 1);
    assert_int_equal(p.by_state[RUN_QUEUED], 2);
    assert_int_equal(p.epochs_done, 2);
    assert_int_equal(p.epochs_total, 15);
    assert_true(p.work_done == 2 * 2 * 6);
    assert_true(p.work_left == (3 + 5) * 2 * 6); /* without the held run */
    assert_true(p.train_seconds == 4.0);
    ASSERT_OK(sweep_table_progress(f->store, 77, &p, &fixture_error));
    assert_int_equal(p.n_runs, 0);
}

static void a_set_of_runs_is_read_with_all_epochs(void **state) {
    struct store_fixture *f = *state;
    int64_t id = add_sweep(f->store, 3);
    put_epoch(f->store, 3, 1, 1);
    put_epoch(f->store, 3, 2, 1);
    put_epoch(f->store, 1, 1, 1);
    struct run_set set = {0};
    ASSERT_OK(run_set_read(f->store, (const int64_t[]){3, 1}, 2, &set, &fixture_error));
    ASSERT_OK(run_set_read_epochs(f->store, &set, &fixture_error));
    assert_int_equal(set.n, 2);
    assert_int_equal(set.rows[0].id, 3);
    assert_int_equal(set.epochs[0].n, 2);
    assert_int_equal(set.epochs[0].rows[1].report.val_wrong, 20);
    assert_int_equal(set.epochs[1].n, 1);
    run_set_clear(&set);
    ASSERT_OK(run_set_read_sweep(f->store, id, &set, &fixture_error));
    assert_int_equal(set.n, 3);
    assert_int_equal(set.rows[2].id, 3);
    run_set_clear(&set);
    assert_int_equal(run_set_read(f->store, (const int64_t[]){1, 9}, 2, &set, &fixture_error),
                     STATUS_NOT_FOUND);
    assert_non_null(strstr(fixture_error.message, "run 9"));
    ASSERT_OK(run_set_read_sweep(f->store, 9, &set, &fixture_error));
    assert_int_equal(set.n, 0);
    run_set_clear(&set);
}

static void a_sweep_is_deleted_whole_or_not_at_all(void **state) {
    struct store_fixture *f = *state;
    int64_t kept = fixture_add_run(f->store, -1);
    int64_t id = add_sweep(f->store, 3); /* runs 2 (held), 3, 4 */
    struct run_row row = {0};
    ASSERT_OK(run_table_claim(f->store, &(struct run_claim){0}, 7000, &row, &fixture_error));
    assert_int_equal(row.id, 3);
    run_row_clear(&row);
    int64_t *ids = NULL;
    size_t n = 0;
    assert_int_equal(sweep_table_delete(f->store, id, 0, &ids, &n, &fixture_error),
                     STATUS_CONFLICT);
    assert_int_equal(fixture_state(f->store, 4), RUN_QUEUED);
    const struct run_move end = {
        .id = 3, .from = RUN_RUNNING, .to = RUN_SUCCEEDED, .reason = "", .now_ms = 8000};
    ASSERT_OK(run_table_move(f->store, &end, &fixture_error));
    ASSERT_OK(sweep_table_delete(f->store, id, 0, &ids, &n, &fixture_error));
    assert_int_equal(n, 3);
    assert_int_equal(ids[0], 2);
    free(ids);
    assert_int_equal(run_table_get(f->store, 4, &row, &fixture_error), STATUS_NOT_FOUND);
    assert_int_equal(fixture_state(f->store, kept), RUN_QUEUED);
    assert_int_equal(sweep_table_delete(f->store, id, 0, &ids, &n, &fixture_error),
                     STATUS_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_sweep_is_deleted_whole_or_not_at_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_sweep_is_stored_with_its_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_leaves_neither_the_sweep_nor_a_run, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(sweeps_are_listed_in_pages_newest_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(progress_adds_up_all_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_set_of_runs_is_read_with_all_epochs, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
