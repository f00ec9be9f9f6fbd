/* A run that goes on where other kernels are: which ones are taken, and what another arithmetic
 * does. */
#include "tests/daemon/pool_fixture.h"

#include "daemon/store/change/run_fork.h"
#include "daemon/store/query/event_list.h"

/* Trained to its end under ref-1, then queued again as if it were not done. */
static int64_t train_and_queue_again(struct pool_fixture *p) {
    int64_t id = submit(p, "shapes");
    work_start(&p->w);
    work_wait_until(&p->w, id, work_is_final, "final");
    work_stop(&p->w);
    const struct run_move requeue = {
        .id = id, .from = RUN_SUCCEEDED, .to = RUN_QUEUED, .reason = "", .next_attempt = true};
    ASSERT_OK(run_table_move(p->w.f.store, &requeue, &fixture_error));
    return id;
}

static int count_reasons(struct pool_fixture *p, int64_t id, const char *text) {
    struct event_list events = {0};
    ASSERT_OK(event_table_list(p->w.f.store, id, 0, 50, &events, &fixture_error));
    int told = 0;
    for (size_t i = 0; i < events.n; i++) {
        told += strstr(events.rows[i].reason, text) ? 1 : 0;
    }
    event_list_clear(&events);
    return told;
}

static void assert_trained_with(struct pool_fixture *p, int64_t id, const char *variant,
                                const char *arithmetic) {
    struct run_row row = fixture_get_run(p->w.f.store, id);
    assert_string_equal(row.variant, variant);
    assert_string_equal(row.arithmetic, arithmetic);
    run_row_clear(&row);
}

/* As if it had begun with this arithmetic. */
static void pretend_arithmetic(struct pool_fixture *p, int64_t id, const char *arithmetic) {
    const struct dataset *dataset = NULL;
    char sha256[SHA256_HEX_SIZE];
    ASSERT_OK(dataset_registry_acquire(p->w.datasets, "shapes", &dataset, sha256, &fixture_error));
    dataset_registry_release(p->w.datasets, dataset);
    const struct run_origin origin = {
        .variant = "ref-fake", .arithmetic = arithmetic, .dataset_sha256 = sha256};
    ASSERT_OK(run_table_set_origin(p->w.f.store, id, &origin, 1, &fixture_error));
}

static void go_on(struct pool_fixture *p, int64_t id, const struct kernels *kernels,
                  enum arithmetic_change rule) {
    p->w.local.kernels = kernels;
    p->w.options.on_arithmetic_change = rule;
    work_start(&p->w);
    work_wait_until(&p->w, id, work_is_final, "final");
}

static void other_kernels_of_the_same_arithmetic_go_on(void **state) {
    struct pool_fixture *p = *state;
    int64_t id = train_and_queue_again(p);
    other_kernels.name = "ref-other";
    go_on(p, id, &other_kernels, ARITHMETIC_FAIL);
    assert_string_equal(p->resumed[1], "000002-000000.safetensors");
    assert_run(p, id, RUN_SUCCEEDED, 2, "");
    assert_int_equal(count_reasons(p, id, "arithmetic"), 0);
    assert_trained_with(p, id, "ref-other", "ref-1");
}

static void of_the_available_kernels_those_with_its_arithmetic_are_taken(void **state) {
    struct pool_fixture *p = *state;
    int64_t id = train_and_queue_again(p);
    go_on(p, id, &other_kernels, ARITHMETIC_FAIL); /* avx-2 is preferred; there is ref as well */
    assert_string_equal(p->resumed[1], "000002-000000.safetensors");
    assert_run(p, id, RUN_SUCCEEDED, 2, "");
    assert_trained_with(p, id, "ref", "ref-1");
}

static void another_arithmetic_starts_anew_and_says_so(void **state) {
    struct pool_fixture *p = *state;
    int64_t id = train_and_queue_again(p);
    pretend_arithmetic(p, id, "avx-1");
    go_on(p, id, &fake_kernels, ARITHMETIC_RESTART);
    assert_string_equal(p->resumed[1], "");
    assert_run(p, id, RUN_SUCCEEDED, 2, "");
    assert_int_equal(count_reasons(p, id,
                                   "started anew with the arithmetic ref-1 (ref-fake kernels): it "
                                   "began with the arithmetic avx-1"),
                     1);
    assert_trained_with(p, id, "ref-fake", "ref-1");
}

static void another_arithmetic_goes_on_where_that_is_allowed_and_says_from_where(void **state) {
    struct pool_fixture *p = *state;
    int64_t id = train_and_queue_again(p);
    pretend_arithmetic(p, id, "avx-1");
    go_on(p, id, &fake_kernels, ARITHMETIC_CONTINUE);
    assert_string_equal(p->resumed[1], "000002-000000.safetensors");
    assert_run(p, id, RUN_SUCCEEDED, 2, "");
    assert_int_equal(count_reasons(p, id, "from epoch 3, step 0 on with the arithmetic ref-1"), 1);
    assert_trained_with(p, id, "ref-fake", "ref-1");
}

static void another_arithmetic_fails_the_run_where_that_is_asked_for(void **state) {
    struct pool_fixture *p = *state;
    int64_t id = train_and_queue_again(p);
    pretend_arithmetic(p, id, ""); /* of an older daemon, which did not note it */
    go_on(p, id, &other_kernels, ARITHMETIC_FAIL);
    assert_int_equal(p->n_calls, 1);
    assert_run(p, id, RUN_FAILED, 2, "an older arithmetic of the ref-fake kernels");
    struct run_row row = fixture_get_run(p->w.f.store, id);
    assert_int_equal(row.epochs_done, 2);
    run_row_clear(&row);
}

static void a_run_that_has_trained_nothing_takes_another_arithmetic_without_a_word(void **state) {
    struct pool_fixture *p = *state;
    int64_t id = submit(p, "shapes");
    pretend_arithmetic(p, id, "");
    go_on(p, id, &fake_kernels, ARITHMETIC_FAIL);
    assert_run(p, id, RUN_SUCCEEDED, 1, "");
    assert_int_equal(count_reasons(p, id, "arithmetic"), 0);
    assert_trained_with(p, id, "ref-fake", "ref-1");
}

static enum status link_nothing(void *user, int64_t source_id, int64_t id, const char *name,
                                struct error *error) {
    (void)user, (void)source_id, (void)id, (void)name, (void)error;
    return STATUS_OK;
}

/* Of a run of this pool that has succeeded, from its second epoch on. */
static int64_t fork_of(struct pool_fixture *p, int64_t source) {
    struct run_config config = fixture_config();
    (void)snprintf(config.dataset, sizeof(config.dataset), "shapes");
    const struct run_draft draft = {.name = "",
                                    .labels_json = "{}",
                                    .config_json = "{}",
                                    .config = &config,
                                    .forked_from = source,
                                    .forked_epoch = 2,
                                    .held = true};
    const struct run_fork fork = {.draft = &draft, .link_file = link_nothing};
    int64_t id = 0;
    ASSERT_OK(run_table_fork(p->w.f.store, &fork, 1, &id, &fixture_error));
    return id;
}

static void release(struct pool_fixture *p, int64_t id) {
    const struct run_move move = {.id = id, .from = RUN_HELD, .to = RUN_QUEUED, .reason = ""};
    ASSERT_OK(run_table_move(p->w.f.store, &move, &fixture_error));
}

static void a_fork_is_not_mixed_with_another_arithmetic_unless_that_is_allowed(void **state) {
    struct pool_fixture *p = *state;
    int64_t source = train_and_queue_again(p);
    static const struct {
        const char *arithmetic;
        enum arithmetic_change rule;
        enum run_state end;
        const char *reason;
    } cases[] = {
        {"avx-1", ARITHMETIC_RESTART, RUN_FAILED, "cannot begin before the epoch of the fork"},
        {"", ARITHMETIC_FAIL, RUN_FAILED, "forked from a run that was trained with an older"},
        {"avx-1", ARITHMETIC_CONTINUE, RUN_SUCCEEDED, "from epoch 3, step 0 on with the arith"},
        /* What follows '+' is of the settings, which a fork may change. */
        {"ref-1+direct", ARITHMETIC_FAIL, RUN_SUCCEEDED, ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t id = fork_of(p, source);
        pretend_arithmetic(p, id, cases[i].arithmetic);
        release(p, id);
        go_on(p, id, &fake_kernels, cases[i].rule);
        work_stop(&p->w);
        assert_int_equal(fixture_state(p->w.f.store, id), cases[i].end);
        assert_true(count_reasons(p, id, cases[i].reason) > 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, pool_set_up, pool_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(other_kernels_of_the_same_arithmetic_go_on),
        TEST(of_the_available_kernels_those_with_its_arithmetic_are_taken),
        TEST(another_arithmetic_starts_anew_and_says_so),
        TEST(another_arithmetic_goes_on_where_that_is_allowed_and_says_from_where),
        TEST(another_arithmetic_fails_the_run_where_that_is_asked_for),
        TEST(a_run_that_has_trained_nothing_takes_another_arithmetic_without_a_word),
        TEST(a_fork_is_not_mixed_with_another_arithmetic_unless_that_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
