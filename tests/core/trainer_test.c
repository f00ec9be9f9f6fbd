/* Whole small runs: the same bits interrupted or not and for any number of threads, what is kept on
 * disk, and the callbacks. */
#include "tests/core/trainer_fixture.h"

#include "tests/core/slow.h"

static void a_run_reports_every_epoch_and_keeps_three_files(void **state) {
    (void)state;
    struct run_config config = small_config();
    struct recorder r = recorder_begin();
    struct trainer_result result;
    assert_int_equal(run(&config, &r, 2, NULL, NULL, &result, NULL), STATUS_OK);
    assert_int_equal(r.n_epochs, 3);
    assert_int_equal(r.steps, 12);
    assert_int_equal(result.epochs_done, 3);
    assert_int_equal(result.best_wrong, r.epochs[result.best_epoch - 1].val_wrong);
    assert_false(result.diverged);
    assert_int_equal(r.epochs[2].val_total, 12);
    assert_true(r.epochs[2].train_loss < r.epochs[0].train_loss);
    assert_in_range(for_each_file(r.directory, NULL), 2, 3);
    assert_int_equal(access(r.last, R_OK), 0);
    assert_int_equal(access(r.best, R_OK), 0);
    recorder_end(&r);
}

static void check_threads(const struct kernels *kernels) {
    struct run_config config = small_config();
    struct recorder one = recorder_begin_on(kernels);
    struct trainer_result result;
    assert_int_equal(run(&config, &one, 1, NULL, NULL, &result, NULL), STATUS_OK);
    for (int threads = 2; threads <= 3; threads++) {
        struct recorder many = recorder_begin_on(kernels);
        assert_int_equal(run(&config, &many, threads, NULL, NULL, &result, NULL), STATUS_OK);
        assert_same_history(&one, &many);
        recorder_end(&many);
    }
    recorder_end(&one);
}

static void the_best_checkpoint_says_which_class_was_taken_for_which(void **state) {
    (void)state;
    struct run_config config = small_config();
    config.test_images = 40;
    struct recorder r = recorder_begin();
    struct trainer_result result;
    assert_int_equal(run(&config, &r, 2, NULL, NULL, &result, NULL), STATUS_OK);
    const struct dataset *dataset = shared_dataset();
    int of_class[SHAPES_CLASSES] = {0};
    int right = 0;
    for (int i = 0; i < 40; i++) {
        of_class[dataset->test.labels[i]]++;
    }
    for (int i = 0; i < SHAPES_CLASSES; i++) {
        int sum = 0;
        for (int j = 0; j < SHAPES_CLASSES; j++) {
            sum += r.confusion.counts[i][j];
        }
        assert_int_equal(sum, of_class[i]);
        right += r.confusion.counts[i][i];
        assert_string_equal(r.confusion.class_names[i], dataset->class_names[i]);
    }
    assert_int_equal(r.best_epoch, result.best_epoch);
    assert_int_equal(40 - right, result.best_wrong);
    recorder_end(&r);
}

static void any_number_of_threads_gives_the_same_bits(void **state) {
    (void)state;
    check_threads(&kernels_blas);
    check_threads(default_kernels());
}

/* Stops at the given step or poll, goes on with another number of threads. */
static void check_interrupted(const struct run_config *config, const struct recorder *whole,
                              int stop_after_steps, int stop_at_poll) {
    struct recorder r = recorder_begin_on(whole->kernels);
    struct trainer_result result;
    struct error error;
    r.stop_after_steps = stop_after_steps;
    r.stop_at_poll = stop_at_poll;
    assert_int_equal(run(config, &r, 2, NULL, NULL, &result, &error), STATUS_STOPPED);
    r.stop_after_steps = 0;
    r.stop_at_poll = 0;
    char resume[PATH_SIZE];
    char sha256[SHA256_HEX_SIZE];
    memcpy(resume, r.last, sizeof(resume));
    memcpy(sha256, r.last_sha256, sizeof(sha256));
    assert_int_equal(run(config, &r, 3, resume, sha256, &result, &error), STATUS_OK);
    assert_same_history(whole, &r);
    recorder_end(&r);
}

static void check_every_interruption(const struct run_config *config, const struct kernels *kernels,
                                     bool thorough) {
    struct trainer_result result;
    struct recorder whole = recorder_begin_on(kernels);
    assert_int_equal(run(config, &whole, 2, NULL, NULL, &result, NULL), STATUS_OK);
    check_interrupted(config, &whole, 6, 0); /* in the middle of the second epoch */
    check_interrupted(config, &whole, 1, 0); /* after the very first step */
    check_interrupted(config, &whole, 8, 0); /* after an epoch's last step */
    /* Making images, forwards, backwards, validation: wherever a step is broken off. */
    static const int polls[] = {1, 6, 25, 60, 170};
    for (int poll = 0; poll < (thorough ? 5 : 1); poll++) {
        check_interrupted(config, &whole, 0, polls[poll]);
    }
    recorder_end(&whole);
}

static void an_interrupted_run_ends_with_the_same_bits(void **state) {
    (void)state;
    struct run_config config = small_config();
    config.shift = 0.1;
    config.flip = true;
    config.lr_plateau = true;
    config.grad_clip = 0.5;
    static const enum optimizer_kind kinds[] = {OPTIMIZER_ADAM, OPTIMIZER_RMSPROP, OPTIMIZER_SGD};
    for (int i = 0; i < (SLOW_BUILD ? 1 : 3); i++) {
        config.optimizer = kinds[i];
        check_every_interruption(&config, default_kernels(), false);
    }
    check_every_interruption(&config, &kernels_blas, !SLOW_BUILD);
}

struct deadline {
    double start_s;
    double asked_s;
};

static bool stop_after_a_moment(void *user) {
    struct deadline *d = user;
    double now = clock_monotonic_s(&clock_system);
    if (d->asked_s == 0.0 && now - d->start_s > 0.5) {
        d->asked_s = now;
    }
    return d->asked_s > 0.0;
}

static bool at_once(void *user) {
    (void)user;
    return true;
}

/* One step of it takes minutes: each image has half a million squares. */
static void a_kill_ends_the_longest_step_within_two_seconds(void **state) {
    (void)state;
    struct run_config config = small_config();
    config.batch_size = 1;
    config.m = 512;
    config.copies = COPIES_ALIASED;
    config.cutout_squares = RUN_MAX_SQUARES;
    config.cutout_size = 32;
    struct trainer_result result;
    for (int threads = 1; threads <= 2; threads++) {
        struct deadline deadline = {.start_s = clock_monotonic_s(&clock_system)};
        const struct trainer_options options = {
            .config = &config,
            .dataset = shared_dataset(),
            .kernels = &kernels_blas,
            .clock = &clock_system,
            .n_threads = threads,
            .checkpoint_interval_s = 1e9,
        };
        const struct trainer_callbacks callbacks = {
            .user = &deadline, .should_stop = stop_after_a_moment, .stops_at_once = at_once};
        assert_int_equal(trainer_run(&options, &callbacks, &result, NULL), STATUS_STOPPED);
        assert_true(clock_monotonic_s(&clock_system) - deadline.asked_s < (SLOW_BUILD ? 20 : 2));
    }
}

static void aliased_copies_equal_one_copy_with_all_squares(void **state) {
    (void)state;
    struct run_config aliased = small_config();
    struct trainer_result result;
    aliased.shift = 0.0;
    aliased.flip = false;
    aliased.m = 4;
    aliased.copies = COPIES_ALIASED;
    struct run_config squares = aliased;
    squares.m = 1;
    squares.copies = COPIES_INDEPENDENT;
    squares.cutout_squares = 4;
    aliased.epochs = squares.epochs = 1;
    struct recorder a = recorder_begin();
    struct recorder b = recorder_begin();
    assert_int_equal(run(&aliased, &a, 2, NULL, NULL, &result, NULL), STATUS_OK);
    assert_int_equal(run(&squares, &b, 2, NULL, NULL, &result, NULL), STATUS_OK);
    /* Duplicating each image changes no mean; what differs is the rounding of longer sums, which
     * four steps of Adam carry on. The factor n/(n-1) of the moving variance differs too, but
     * that is not in the training loss. */
    assert_true(fabs(a.epochs[0].train_loss / b.epochs[0].train_loss - 1.0) < 2e-4);
    recorder_end(&a);
    recorder_end(&b);
}

static void a_failing_callback_ends_the_run_and_keeps_the_files(void **state) {
    (void)state;
    struct run_config config = small_config();
    struct recorder whole = recorder_begin();
    struct recorder r = recorder_begin();
    struct trainer_result result;
    struct error error;
    assert_int_equal(run(&config, &whole, 2, NULL, NULL, &result, &error), STATUS_OK);
    r.fail_epoch = 2;
    assert_int_equal(run(&config, &r, 2, NULL, NULL, &result, &error), STATUS_NO_SPACE);
    assert_string_equal(error.message, "the disk is full");
    r.fail_epoch = 0;
    char resume[PATH_SIZE];
    memcpy(resume, r.last, sizeof(resume));
    assert_int_equal(run(&config, &r, 2, resume, NULL, &result, &error), STATUS_OK);
    assert_same_history(&whole, &r);
    recorder_end(&r);
    recorder_end(&whole);
}

static void a_diverging_run_says_so(void **state) {
    (void)state;
    struct run_config config = small_config();
    struct recorder r = recorder_begin();
    struct trainer_result result;
    config.optimizer = OPTIMIZER_SGD;
    config.momentum = 0.99;
    config.lr = 1e30;
    config.n_lr_steps = 0;
    config.epochs = 2;
    assert_int_equal(run(&config, &r, 2, NULL, NULL, &result, NULL), STATUS_OK);
    assert_true(result.diverged);
    assert_true(isfinite(r.epochs[1].val_loss) == 0);
    recorder_end(&r);
}

static void a_loss_far_above_guessing_is_divergence_too(void **state) {
    (void)state;
    struct run_config config = small_config();
    struct recorder r = recorder_begin();
    struct trainer_result result;
    struct error error;
    config.optimizer = OPTIMIZER_ADAM;
    config.lr = 100.0;
    config.n_lr_steps = 0;
    config.epochs = 2;
    assert_int_equal(run(&config, &r, 2, NULL, NULL, &result, NULL), STATUS_OK);
    assert_true(isfinite(r.epochs[0].train_loss) && isfinite(r.epochs[0].val_loss));
    assert_true(r.epochs[0].train_loss > 24.0);
    assert_true(r.epochs[0].diverged && result.diverged);
    config.stop_on_nan = true;
    assert_int_equal(run(&config, &r, 2, NULL, NULL, &result, &error), STATUS_DIVERGED);
    assert_int_equal(result.epochs_done, 1);
    /* L2 is no part of it. */
    config = small_config();
    config.l2 = 1.0;
    config.lr = 1e-6;
    config.n_lr_steps = 0;
    config.epochs = 1;
    assert_int_equal(run(&config, &r, 2, NULL, NULL, &result, NULL), STATUS_OK);
    assert_true(r.epochs[0].train_loss > 24.0);
    assert_false(result.diverged);
    recorder_end(&r);
}

static void impossible_sizes_are_refused(void **state) {
    (void)state;
    struct run_config config = small_config();
    struct recorder r = recorder_begin();
    struct trainer_result result;
    struct error error;
    config.train_images = 65;
    assert_int_equal(run(&config, &r, 1, NULL, NULL, &result, &error), STATUS_INVALID);
    assert_non_null(strstr(error.message, "train_images"));
    config = small_config();
    config.train_images = 0;
    config.batch_size = 65;
    config.drop_last = true;
    assert_int_equal(run(&config, &r, 1, NULL, NULL, &result, &error), STATUS_INVALID);
    assert_non_null(strstr(error.message, "batch_size"));
    recorder_end(&r);
}

static void memory_grows_with_the_batch(void **state) {
    (void)state;
    struct run_config config = small_config();
    config.depth = 44;
    config.batch_size = 64;
    config.m = 1;
    int64_t one = trainer_memory_bytes(&config, 10, &kernels_blas, 2);
    config.m = 32;
    int64_t many = trainer_memory_bytes(&config, 10, &kernels_blas, 2);
    assert_true(one > 64 * INT64_C(2700000) && one < 64 * INT64_C(3500000));
    assert_true(many > 2048 * INT64_C(2700000) && many < 2048 * INT64_C(2900000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_reports_every_epoch_and_keeps_three_files),
        cmocka_unit_test(the_best_checkpoint_says_which_class_was_taken_for_which),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(an_interrupted_run_ends_with_the_same_bits),
        cmocka_unit_test(a_kill_ends_the_longest_step_within_two_seconds),
        cmocka_unit_test(aliased_copies_equal_one_copy_with_all_squares),
        cmocka_unit_test(a_failing_callback_ends_the_run_and_keeps_the_files),
        cmocka_unit_test(a_diverging_run_says_so),
        cmocka_unit_test(a_loss_far_above_guessing_is_divergence_too),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(memory_grows_with_the_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
