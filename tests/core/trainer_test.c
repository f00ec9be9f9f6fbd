/* Whole small runs: the same bits interrupted or not and for any number of threads, what is kept on
 * disk, and the callbacks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/config/run_config.h"
#include "core/train/trainer.h"
#include "tests/core/slow.h"

enum { STEPS = 4, MAX_EPOCHS = 8, PATH_SIZE = 256 };

/* A run of three epochs of four steps, the last of them partial. */
static struct run_config small_config(void) {
    struct run_config c = run_preset_find("notebook-q2")->config;
    (void)snprintf(c.dataset, sizeof(c.dataset), "shapes");
    c.depth = 8;
    c.epochs = 3;
    c.batch_size = 6;
    c.m = 2;
    c.cutout_size = 12;
    c.train_images = 19;
    c.test_images = 12;
    c.seed = 5;
    return c;
}

struct recorder {
    const struct kernels *kernels;
    char directory[PATH_SIZE];
    struct epoch_report epochs[MAX_EPOCHS];
    int n_epochs;
    int steps;
    int stop_after_steps;    /* of this attempt; 0: never */
    int polls;               /* of should_stop */
    int stop_at_poll;        /* 0: never */
    int polls_after_step;    /* of should_stop, since the last on_step */
    bool stop_in_validation; /* of the first epoch */
    char last[PATH_SIZE];
    char last_sha256[SHA256_HEX_SIZE];
    char best[PATH_SIZE];
    int fail_epoch;      /* on_epoch returns an error at this epoch */
    bool foreign;        /* what it goes on from may be of other settings */
    bool any_arithmetic; /* and of another arithmetic */
};

static struct dataset *shared_dataset(void) {
    static struct dataset *dataset;
    if (!dataset) {
        assert_int_equal(dataset_make_shapes(64, 40, 1, &dataset, NULL), STATUS_OK);
    }
    return dataset;
}

static enum status on_step(void *user, const struct step_report *report, struct error *error) {
    struct recorder *r = user;
    (void)error;
    r->steps++;
    r->polls_after_step = 0;
    assert_in_range(report->step, 1, report->steps_per_epoch);
    assert_true(report->images_per_second > 0.0 && report->eta_seconds >= 0.0);
    return STATUS_OK;
}

static enum status on_epoch(void *user, const struct epoch_report *report, struct error *error) {
    struct recorder *r = user;
    if (r->fail_epoch == report->epoch) {
        return error_set(error, STATUS_NO_SPACE, "the disk is full");
    }
    r->epochs[report->epoch - 1] = *report;
    r->n_epochs = report->epoch;
    return STATUS_OK;
}

static enum status on_checkpoint(void *user, const struct checkpoint_report *report,
                                 struct error *error) {
    struct recorder *r = user;
    char digest[SHA256_HEX_SIZE];
    assert_int_equal(sha256_file(report->path, digest, error), STATUS_OK);
    assert_string_equal(digest, report->sha256);
    if (report->best) {
        (void)snprintf(r->best, sizeof(r->best), "%s", report->path);
    }
    (void)snprintf(r->last, sizeof(r->last), "%s", report->path);
    memcpy(r->last_sha256, report->sha256, sizeof(digest));
    return STATUS_OK;
}

static bool should_stop(void *user) {
    struct recorder *r = user;
    r->polls++;
    r->polls_after_step++;
    if (r->stop_in_validation && r->steps == STEPS && r->polls_after_step > 2) {
        return true;
    }
    return (r->stop_after_steps > 0 && r->steps >= r->stop_after_steps) ||
           (r->stop_at_poll > 0 && r->polls >= r->stop_at_poll);
}

static struct recorder recorder_begin_on(const struct kernels *kernels) {
    struct recorder r = {.kernels = kernels};
    (void)snprintf(r.directory, sizeof(r.directory), "/tmp/cutoutd-trainer-XXXXXX");
    assert_non_null(mkdtemp(r.directory));
    return r;
}

static struct recorder recorder_begin(void) {
    return recorder_begin_on(&kernels_blas);
}

/* What a daemon takes on this machine: with "auto" as convolution algorithm, Winograd where there
 * is one. */
static const struct kernels *default_kernels(void) {
    const struct kernels *kernels = NULL;
    assert_int_equal(kernels_select(getenv("CUTOUTD_ISA"), &kernels, NULL), STATUS_OK);
    return kernels;
}

/* Calls `each` for every file in the directory; returns how many there are. */
static int for_each_file(const char *directory, void (*each)(const char *path)) {
    int n = 0;
    DIR *stream = opendir(directory);
    assert_non_null(stream);
    for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
        if (entry->d_name[0] != '.') {
            char path[2 * PATH_SIZE];
            (void)snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
            n++;
            if (each) {
                each(path);
            }
        }
    }
    (void)closedir(stream);
    return n;
}

static void remove_file(const char *path) {
    (void)unlink(path);
}

static void recorder_end(struct recorder *r) {
    (void)for_each_file(r->directory, remove_file);
    (void)rmdir(r->directory);
}

/* No step is waited for: each reading is ten seconds after the one before. */
static double hasty_monotonic_s(void *user) {
    (void)user;
    static double now = 1.0;
    return now += 10.0;
}

static int64_t hasty_unix_ms(void *user) {
    (void)user;
    return 0;
}

static const struct clock hasty_clock = {NULL, hasty_monotonic_s, hasty_unix_ms};

static enum status run(const struct run_config *config, struct recorder *r, int threads,
                       const char *resume, const char *sha256, struct trainer_result *ret_result,
                       struct error *error) {
    const struct trainer_options options = {
        .config = config,
        .dataset = shared_dataset(),
        .kernels = r->kernels,
        .clock = r->stop_at_poll > 0 ? &hasty_clock : &clock_system,
        .n_threads = threads,
        .checkpoint_dir = r->directory,
        .checkpoint_interval_s = 1e9,
        .resume_path = resume,
        .resume_sha256 = sha256,
        .resume_foreign = r->foreign,
        .resume_any_arithmetic = r->any_arithmetic,
    };
    const struct trainer_callbacks callbacks = {
        .user = r,
        .on_step = on_step,
        .on_epoch = on_epoch,
        .on_checkpoint = on_checkpoint,
        .should_stop = should_stop,
    };
    return trainer_run(&options, &callbacks, ret_result, error);
}

/* Bit by bit, seconds and speed aside. */
static void assert_same_history(const struct recorder *a, const struct recorder *b) {
    assert_int_equal(a->n_epochs, b->n_epochs);
    for (int i = 0; i < a->n_epochs; i++) {
        const struct epoch_report *x = &a->epochs[i];
        const struct epoch_report *y = &b->epochs[i];
        assert_memory_equal(&x->train_loss, &y->train_loss, sizeof(double));
        assert_memory_equal(&x->train_accuracy, &y->train_accuracy, sizeof(double));
        assert_memory_equal(&x->val_loss, &y->val_loss, sizeof(double));
        assert_int_equal(x->val_wrong, y->val_wrong);
        assert_int_equal(x->val_total, y->val_total);
        assert_memory_equal(&x->lr, &y->lr, sizeof(double));
    }
}

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

/* Twice in the same validation: there is nothing new to keep, so nothing else goes either. */
static void two_stops_in_one_validation_keep_the_checkpoint_before(void **state) {
    (void)state;
    struct run_config config = small_config();
    struct recorder whole = recorder_begin();
    struct recorder r = recorder_begin();
    struct trainer_result result;
    struct error error;
    assert_int_equal(run(&config, &whole, 2, NULL, NULL, &result, NULL), STATUS_OK);
    r.stop_after_steps = 2;
    assert_int_equal(run(&config, &r, 2, NULL, NULL, &result, &error), STATUS_STOPPED);
    char before[PATH_SIZE];
    char resume[PATH_SIZE];
    memcpy(before, r.last, sizeof(before));
    r.stop_after_steps = 0;
    r.stop_in_validation = true;
    r.steps = 2; /* that are done */
    assert_int_equal(run(&config, &r, 2, before, NULL, &result, &error), STATUS_STOPPED);
    assert_non_null(strstr(r.last, "/000000-000004.safetensors"));
    memcpy(resume, r.last, sizeof(resume));
    r.stop_in_validation = false;
    r.polls = 0;
    r.stop_at_poll = 2;
    r.last[0] = '\0';
    assert_int_equal(run(&config, &r, 2, resume, NULL, &result, &error), STATUS_STOPPED);
    assert_string_equal(r.last, ""); /* nothing was reported */
    assert_int_equal(access(before, R_OK), 0);
    assert_int_equal(access(resume, R_OK), 0);
    r.stop_at_poll = 0;
    assert_int_equal(run(&config, &r, 2, resume, NULL, &result, &error), STATUS_OK);
    assert_same_history(&whole, &r);
    recorder_end(&r);
    recorder_end(&whole);
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

static void flip_byte(const char *path) {
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, -100, SEEK_END), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, -100, SEEK_END), 0);
    assert_int_equal(fputc(byte ^ 1, file), byte ^ 1);
    assert_int_equal(fclose(file), 0);
}

static void a_damaged_or_foreign_checkpoint_is_refused(void **state) {
    (void)state;
    struct run_config config = small_config();
    struct recorder r = recorder_begin();
    struct trainer_result result;
    struct error error;
    r.stop_after_steps = 6;
    assert_int_equal(run(&config, &r, 2, NULL, NULL, &result, &error), STATUS_STOPPED);
    struct run_config other = config;
    other.lr = 0.5;
    assert_int_equal(run(&other, &r, 2, r.last, NULL, &result, &error), STATUS_CORRUPT);
    assert_non_null(strstr(error.message, "lr="));
    other = config;
    other.grad_clip = 0.5;
    assert_int_equal(run(&other, &r, 2, r.last, NULL, &result, &error), STATUS_CORRUPT);
    assert_non_null(strstr(error.message, "grad_clip=0.5"));
    flip_byte(r.last);
    assert_int_equal(run(&config, &r, 2, r.last, r.last_sha256, &result, &error), STATUS_CORRUPT);
    assert_non_null(strstr(error.message, "SHA-256"));
    assert_int_equal(run(&config, &r, 2, "/nowhere/x.safetensors", NULL, &result, &error),
                     STATUS_NOT_FOUND);
    recorder_end(&r);
}

static void a_fork_with_other_test_images_begins_its_best_and_its_plateau_anew(void **state) {
    (void)state;
    struct run_config config = small_config();
    struct recorder r = recorder_begin();
    struct trainer_result result;
    config.epochs = 1;
    config.test_images = 4;
    assert_int_equal(run(&config, &r, 2, NULL, NULL, &result, NULL), STATUS_OK);
    char source[PATH_SIZE];
    memcpy(source, r.last, sizeof(source));
    r.foreign = true;
    config.epochs = 2;
    /* 40 images of the same network have more wrong ones than four. */
    config.test_images = 40;
    assert_int_equal(run(&config, &r, 2, source, NULL, &result, NULL), STATUS_OK);
    assert_true(r.epochs[1].val_wrong > r.epochs[0].val_wrong);
    assert_true(r.epochs[1].best);
    assert_int_equal(result.best_epoch, 2);
    assert_int_equal(result.best_wrong, r.epochs[1].val_wrong);
    recorder_end(&r);
}

static void a_checkpoint_goes_on_under_any_kernels_of_its_arithmetic(void **state) {
    (void)state;
    struct run_config config = small_config();
    struct kernels alike = kernels_ref;
    alike.name = "ref-too";
    struct recorder whole = recorder_begin_on(&kernels_ref);
    struct recorder r = recorder_begin_on(&kernels_ref);
    struct trainer_result result;
    struct error error;
    assert_int_equal(run(&config, &whole, 2, NULL, NULL, &result, NULL), STATUS_OK);
    r.stop_after_steps = 6;
    assert_int_equal(run(&config, &r, 2, NULL, NULL, &result, &error), STATUS_STOPPED);
    r.stop_after_steps = 0;
    char resume[PATH_SIZE];
    memcpy(resume, r.last, sizeof(resume));
    r.kernels = &kernels_blas;
    assert_int_equal(run(&config, &r, 2, resume, NULL, &result, &error), STATUS_CORRUPT);
    assert_non_null(strstr(error.message, "arithmetic ref-1, this run is with blas-1"));
    r.foreign = true; /* no settings of a fork change that */
    assert_int_equal(run(&config, &r, 2, resume, NULL, &result, &error), STATUS_CORRUPT);
    r.foreign = false;
    r.kernels = &alike;
    assert_int_equal(run(&config, &r, 2, resume, NULL, &result, &error), STATUS_OK);
    assert_same_history(&whole, &r);
    r.kernels = &kernels_blas;
    r.any_arithmetic = true;
    memcpy(resume, r.last, sizeof(resume));
    assert_int_equal(run(&config, &r, 2, resume, NULL, &result, &error), STATUS_OK);
    recorder_end(&r);
    recorder_end(&whole);
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
    int64_t one = trainer_memory_bytes(&config, &kernels_blas, 2);
    config.m = 32;
    int64_t many = trainer_memory_bytes(&config, &kernels_blas, 2);
    assert_true(one > 64 * INT64_C(2700000) && one < 64 * INT64_C(3500000));
    assert_true(many > 2048 * INT64_C(2700000) && many < 2048 * INT64_C(2900000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_reports_every_epoch_and_keeps_three_files),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(an_interrupted_run_ends_with_the_same_bits),
        cmocka_unit_test(a_kill_ends_the_longest_step_within_two_seconds),
        cmocka_unit_test(two_stops_in_one_validation_keep_the_checkpoint_before),
        cmocka_unit_test(aliased_copies_equal_one_copy_with_all_squares),
        cmocka_unit_test(a_damaged_or_foreign_checkpoint_is_refused),
        cmocka_unit_test(a_fork_with_other_test_images_begins_its_best_and_its_plateau_anew),
        cmocka_unit_test(a_checkpoint_goes_on_under_any_kernels_of_its_arithmetic),
        cmocka_unit_test(a_failing_callback_ends_the_run_and_keeps_the_files),
        cmocka_unit_test(a_diverging_run_says_so),
        cmocka_unit_test(a_loss_far_above_guessing_is_divergence_too),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(memory_grows_with_the_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
