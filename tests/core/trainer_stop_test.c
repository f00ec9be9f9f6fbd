/* The rules of `stop`: when they hold, and that they end a run wherever it is interrupted. */
#include "tests/core/trainer_fixture.h"

static struct train_state state_of(int wrong, int without_best, double seconds) {
    return (struct train_state){.epochs_done = 7,
                                .test_images = 100,
                                .own_epochs = 7,
                                .last_wrong = wrong,
                                .epochs_without_best = without_best,
                                .own_seconds = seconds};
}

static void the_first_rule_that_holds_is_named(void **state) {
    (void)state;
    const struct run_stop all = {.val_error = 0.06, .patience = 3, .max_seconds = 100};
    const struct run_stop none = {0};
    struct train_state s = state_of(6, 3, 100);
    assert_int_equal(stop_rule_find(&none, &s), STOP_NONE);
    assert_int_equal(stop_rule_find(&all, &s), STOP_VAL_ERROR); /* 6 / 100 is not above 0.06 */
    s.last_wrong = 7;
    assert_int_equal(stop_rule_find(&all, &s), STOP_PATIENCE);
    s.epochs_without_best = 2;
    assert_int_equal(stop_rule_find(&all, &s), STOP_MAX_SECONDS);
    s.own_seconds = 99.9;
    assert_int_equal(stop_rule_find(&all, &s), STOP_NONE);
    s = state_of(0, 3, 1e6);
    train_state_take_over(&s); /* by a fork: it has trained nothing yet */
    assert_int_equal(stop_rule_find(&all, &s), STOP_NONE);
}

static void each_rule_says_why(void **state) {
    (void)state;
    const struct run_stop stop = {.val_error = 0.0625, .patience = 3, .max_seconds = 3600};
    const struct train_state s = state_of(6, 3, 3601.4);
    static const char *const words[N_STOP_RULES] = {
        "",
        "stopped after epoch 7: its validation error of 0.06 is not above the target of 0.0625",
        ("stopped after epoch 7: 3 epochs in a row had no fewer wrong images than the best before "
         "them"),
        "stopped after epoch 7: it has trained 3601 of 3600 seconds",
    };
    for (int rule = 0; rule < N_STOP_RULES; rule++) {
        char text[160];
        stop_rule_say((enum stop_rule)rule, &stop, &s, text, sizeof(text));
        assert_string_equal(text, words[rule]);
    }
}

static void the_budget_bounds_what_is_left(void **state) {
    (void)state;
    const struct train_state s = state_of(6, 0, 60);
    const struct run_stop none = {0};
    const struct run_stop stop = {.max_seconds = 100};
    assert_true(isinf(stop_rule_seconds_left(&none, &s, 10)));
    assert_true(stop_rule_seconds_left(&stop, &s, 10) == 30);
    assert_true(stop_rule_seconds_left(&stop, &s, 50) == 0);
}

/* A run that its rule ends after the first epoch or later, but before the last. */
static struct run_config stopping_config(void) {
    struct run_config config = small_config();
    config.epochs = MAX_EPOCHS;
    config.lr = 1e-5; /* hardly learns: soon there is no new best */
    config.stop.patience = 2;
    return config;
}

static void patience_ends_a_run_and_an_interrupted_one_at_the_same_epoch(void **state) {
    (void)state;
    struct run_config config = stopping_config();
    struct recorder whole = recorder_begin();
    struct trainer_result result;
    assert_int_equal(run(&config, &whole, 2, NULL, NULL, &result, NULL), STATUS_OK);
    assert_int_equal(result.stopped_by, STOP_PATIENCE);
    assert_in_range(whole.n_epochs, 3, MAX_EPOCHS - 1);
    assert_int_equal(result.best_epoch, whole.n_epochs - 2);
    assert_int_equal(whole.epochs[whole.n_epochs - 1].stopped_by, STOP_PATIENCE);
    assert_int_equal(whole.epochs[whole.n_epochs - 2].stopped_by, STOP_NONE);
    assert_non_null(strstr(result.reason, "2 epochs in a row"));

    /* Between the two epochs that it waits, where the count must come out of the checkpoint. */
    struct recorder r = recorder_begin();
    struct trainer_result again;
    r.stop_after_steps = STEPS * (whole.n_epochs - 1) + 1;
    assert_int_equal(run(&config, &r, 2, NULL, NULL, &again, NULL), STATUS_STOPPED);
    char resume[PATH_SIZE];
    memcpy(resume, r.last, sizeof(resume));
    r.stop_after_steps = 0;
    assert_int_equal(run(&config, &r, 1, resume, NULL, &again, NULL), STATUS_OK);
    assert_int_equal(again.stopped_by, STOP_PATIENCE);
    assert_string_equal(again.reason, result.reason);
    assert_same_history(&whole, &r);

    /* Its end could not be stored: the same is said again, and nothing is trained. */
    memcpy(resume, r.last, sizeof(resume));
    r.steps = 0;
    assert_int_equal(run(&config, &r, 1, resume, NULL, &again, NULL), STATUS_OK);
    assert_int_equal(r.steps, 0);
    assert_string_equal(again.reason, result.reason);
    recorder_end(&r);
    recorder_end(&whole);
}

static void a_target_that_the_first_epoch_reaches_ends_the_run_with_it(void **state) {
    (void)state;
    struct run_config config = stopping_config();
    struct recorder r = recorder_begin();
    struct trainer_result result;
    config.stop = (struct run_stop){.val_error = 1};
    assert_int_equal(run(&config, &r, 2, NULL, NULL, &result, NULL), STATUS_OK);
    assert_int_equal(r.n_epochs, 1);
    assert_int_equal(result.stopped_by, STOP_VAL_ERROR);
    recorder_end(&r);
}

static void the_last_epoch_is_no_early_end(void **state) {
    (void)state;
    struct run_config config = stopping_config();
    struct recorder r = recorder_begin();
    struct trainer_result result;
    config.epochs = 1;
    config.stop = (struct run_stop){.val_error = 1, .max_seconds = 1e-9};
    assert_int_equal(run(&config, &r, 2, NULL, NULL, &result, NULL), STATUS_OK);
    assert_int_equal(result.stopped_by, STOP_NONE);
    assert_int_equal(r.epochs[0].stopped_by, STOP_NONE);
    assert_string_equal(result.reason, "");
    recorder_end(&r);
}

static void a_fork_has_its_own_patience_and_seconds(void **state) {
    (void)state;
    struct run_config config = stopping_config();
    struct recorder r = recorder_begin();
    struct trainer_result result;
    assert_int_equal(run(&config, &r, 2, NULL, NULL, &result, NULL), STATUS_OK);
    int source_epochs = r.n_epochs;
    char source[PATH_SIZE];
    memcpy(source, r.last, sizeof(source));
    r.foreign = true;
    config.stop = (struct run_stop){.max_seconds = 1e-9};
    assert_int_equal(run(&config, &r, 2, source, NULL, &result, NULL), STATUS_OK);
    assert_int_equal(r.n_epochs, source_epochs + 1); /* one of its own, not none */
    assert_int_equal(result.stopped_by, r.n_epochs < MAX_EPOCHS ? STOP_MAX_SECONDS : STOP_NONE);
    recorder_end(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_rule_that_holds_is_named),
        cmocka_unit_test(each_rule_says_why),
        cmocka_unit_test(the_budget_bounds_what_is_left),
        cmocka_unit_test(patience_ends_a_run_and_an_interrupted_one_at_the_same_epoch),
        cmocka_unit_test(a_target_that_the_first_epoch_reaches_ends_the_run_with_it),
        cmocka_unit_test(the_last_epoch_is_no_early_end),
        cmocka_unit_test(a_fork_has_its_own_patience_and_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
