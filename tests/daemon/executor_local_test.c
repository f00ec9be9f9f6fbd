/* Workers that really train: a run that was stopped in the middle of an epoch ends with the history
 * of one that was not. */
#include "tests/daemon/work_fixture.h"

#include "daemon/spec/run_spec.h"
#include "daemon/store/table/checkpoint_table.h"
#include "daemon/store/table/epoch_table.h"

enum { EPOCHS = 2, N_TRAIN = 48, N_TEST = 20 };

struct local_fixture {
    struct work_fixture w;
    struct executor_local local;
    struct executor inner; /* the one that is tested */
    bool hold;             /* after the first step of the second epoch, until told to stop */
};

/* ---- an executor around it, which holds a run at a known step ---- */

struct held_run {
    struct local_fixture *l;
    const struct trainer_callbacks *inner;
};

static bool should_stop(void *user) {
    const struct held_run *h = user;
    return h->inner->should_stop(h->inner->user);
}

static enum status on_step(void *user, const struct step_report *report, struct error *error) {
    struct held_run *h = user;
    TRY(h->inner->on_step(h->inner->user, report, error));
    while (h->l->hold && report->epoch == 2 && !should_stop(h)) {
        work_wait_a_moment(&h->l->w);
    }
    return STATUS_OK;
}

static enum status on_epoch(void *user, const struct epoch_report *report, struct error *error) {
    const struct held_run *h = user;
    return h->inner->on_epoch(h->inner->user, report, error);
}

static enum status on_checkpoint(void *user, const struct checkpoint_report *report,
                                 struct error *error) {
    const struct held_run *h = user;
    return h->inner->on_checkpoint(h->inner->user, report, error);
}

static enum status execute(void *user, const struct execution *execution,
                           struct trainer_result *ret_result, struct error *error) {
    struct local_fixture *l = user;
    struct held_run held = {l, execution->callbacks};
    const struct trainer_callbacks callbacks = {&held,         on_step,     on_epoch,
                                                on_checkpoint, should_stop, NULL};
    struct execution around = *execution;
    around.callbacks = &callbacks;
    return l->inner.execute(l->inner.user, &around, ret_result, error);
}

static const char *variant(void *user) {
    const struct local_fixture *l = user;
    return l->inner.variant(l->inner.user);
}

static bool has_variant(void *user, const char *name) {
    const struct local_fixture *l = user;
    return l->inner.has_variant(l->inner.user, name);
}

static int set_up(void **state) {
    static struct local_fixture l;
    memset(&l, 0, sizeof(l));
    work_begin(&l.w, N_TRAIN, N_TEST);
    l.local = (struct executor_local){.clock = &clock_system,
                                      .kernels = &kernels_blas,
                                      .n_threads = 1,
                                      .checkpoint_interval_s = 1000.0};
    l.inner = executor_local_make(&l.local);
    l.w.options.executor = (struct executor){&l, variant, has_variant, NULL, execute};
    l.w.options.n_workers = 1;
    *state = &l;
    return 0;
}

static int tear_down(void **state) {
    struct local_fixture *l = *state;
    work_end(&l->w);
    return 0;
}

static int64_t submit(struct local_fixture *l, const char *text) {
    static struct run_spec spec;
    static struct field_errors errors;
    const struct run_spec_context context = {.default_dataset = "shapes"};
    assert_int_equal(run_spec_parse(text, strlen(text), &context, &spec, &errors), STATUS_OK);
    char *json = run_spec_to_json(&spec);
    assert_non_null(json);
    const struct run_draft draft = {
        .name = "", .labels_json = "{}", .config_json = json, .config = &spec.config};
    int64_t id = 0;
    ASSERT_OK(queue_submit(l->w.queue, &draft, &id, &fixture_error));
    free(json);
    return id;
}

static const char run_text[] = "{\"depth\":8,\"epochs\":2,\"batch_size\":16,\"cutout_size\":12,"
                               "\"seed\":5}";

static bool is_in_second_epoch(const struct run_row *row) {
    return row->epochs_done == 1;
}

/* Everything but the seconds, which are not the result's. */
static void assert_same_history(struct store *store, int64_t one, int64_t other) {
    struct epoch_list a = {0};
    struct epoch_list b = {0};
    ASSERT_OK(epoch_table_list(store, one, 0, 0, &a, &fixture_error));
    ASSERT_OK(epoch_table_list(store, other, 0, 0, &b, &fixture_error));
    assert_int_equal(a.n, EPOCHS);
    assert_int_equal(b.n, EPOCHS);
    for (size_t i = 0; i < EPOCHS; i++) {
        assert_true(a.rows[i].report.train_loss == b.rows[i].report.train_loss);
        assert_true(a.rows[i].report.train_accuracy == b.rows[i].report.train_accuracy);
        assert_true(a.rows[i].report.val_loss == b.rows[i].report.val_loss);
        assert_int_equal(a.rows[i].report.val_wrong, b.rows[i].report.val_wrong);
    }
    epoch_list_clear(&a);
    epoch_list_clear(&b);
}

static void a_stopped_run_ends_with_the_same_history(void **state) {
    struct local_fixture *l = *state;
    l->hold = true;
    work_start(&l->w);
    int64_t stopped = submit(l, run_text);
    work_wait_until(&l->w, stopped, is_in_second_epoch, "in its second epoch");
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
    assert_int_equal(list.rows[0].step, 1);
    checkpoint_list_clear(&list);

    /* Other kernels are chosen now, another number of threads; the run keeps its own kernels. */
    l->local.kernels = &kernels_ref;
    l->local.n_threads = 2;
    l->hold = false;
    work_start(&l->w);
    work_wait_until(&l->w, stopped, work_is_final, "final");
    work_stop(&l->w);
    row = fixture_get_run(l->w.f.store, stopped);
    assert_string_equal(run_state_name(row.state), "succeeded");
    assert_string_equal(row.variant, "blas");
    run_row_clear(&row);

    l->local.kernels = &kernels_blas;
    work_start(&l->w);
    int64_t whole = submit(l, run_text);
    work_wait_until(&l->w, whole, work_is_final, "final");
    assert_same_history(l->w.f.store, stopped, whole);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_stopped_run_ends_with_the_same_history),
        TEST(a_config_that_asks_for_too_many_images_fails_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
