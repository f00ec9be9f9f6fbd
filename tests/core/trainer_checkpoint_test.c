/* What a run goes on from: which checkpoints are kept, refused, or go on to the same bits. */
#include "tests/core/trainer_fixture.h"

#include "core/train/checkpoint.h"

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

/* Begun by one, stopped in the middle of an epoch, finished by the other: the history of either
 * alone, and each takes the other's checkpoint for its own. */
static void avx2_and_avx512_finish_each_others_runs(void **state) {
    (void)state;
    const struct kernels *both[2] = {kernels_find("avx2"), kernels_find("avx512")};
    if (!both[0] || !both[1]) {
        print_message("SKIPPED: this processor does not have both AVX2 and AVX-512\n");
        skip();
    }
    struct run_config config = small_config();
    config.depth = 14;
    for (int i = 0; i < 4; i++) {
        struct recorder whole = recorder_begin_on(both[i % 2]);
        struct recorder r = recorder_begin_on(both[i % 2]);
        struct trainer_result result;
        char resume[PATH_SIZE];
        config.activations = i < 2 ? ACTIVATIONS_F32 : ACTIVATIONS_BF16;
        assert_int_equal(run(&config, &whole, 2, NULL, NULL, &result, NULL), STATUS_OK);
        r.stop_after_steps = 6;
        assert_int_equal(run(&config, &r, 2, NULL, NULL, &result, NULL), STATUS_STOPPED);
        r.stop_after_steps = 0;
        r.kernels = both[1 - i % 2];
        memcpy(resume, r.last, sizeof(resume));
        assert_int_equal(run(&config, &r, 2, resume, NULL, &result, NULL), STATUS_OK);
        assert_same_history(&whole, &r);
        recorder_end(&r);
        recorder_end(&whole);
    }
}

/* The type of what is saved is a part of the arithmetic. */
static void bf16_goes_on_to_the_same_bits_and_f32_does_not_go_on_with_it(void **state) {
    (void)state;
    struct run_config config = small_config();
    struct recorder whole = recorder_begin_on(default_kernels());
    struct recorder r = recorder_begin_on(default_kernels());
    struct trainer_result result;
    struct error error;
    config.activations = ACTIVATIONS_BF16;
    assert_int_equal(run(&config, &whole, 2, NULL, NULL, &result, NULL), STATUS_OK);
    r.stop_after_steps = 6;
    assert_int_equal(run(&config, &r, 1, NULL, NULL, &result, NULL), STATUS_STOPPED);
    r.stop_after_steps = 0;
    char resume[PATH_SIZE];
    memcpy(resume, r.last, sizeof(resume));
    config.activations = ACTIVATIONS_F32;
    assert_int_equal(run(&config, &r, 2, resume, NULL, &result, &error), STATUS_CORRUPT);
    assert_non_null(strstr(error.message, "+bf16, this run is with"));
    config.activations = ACTIVATIONS_BF16;
    assert_int_equal(run(&config, &r, 2, resume, NULL, &result, NULL), STATUS_OK);
    assert_same_history(&whole, &r);
    recorder_end(&r);
    recorder_end(&whole);
}

/* 90 classes of the narrow network's last layer, each 64 weights and a bias, with two slots. */
static void what_is_needed_follows_the_number_of_classes(void **state) {
    (void)state;
    enum {
        LAST_LAYER_BYTES = 90 * 65 * (int)sizeof(float),
        SPARE_BYTES = 256 << 10,
        PADDING = 1024
    };
    struct run_config config = small_config();
    struct recorder r = recorder_begin();
    struct trainer_result result;
    struct stat info;
    r.stop_after_steps = 1;
    assert_int_equal(run(&config, &r, 1, NULL, NULL, &result, NULL), STATUS_STOPPED);
    assert_int_equal(stat(r.last, &info), 0);
    config.optimizer = OPTIMIZER_ADAM; /* two slots, for which room is always taken */
    int64_t file = checkpoint_bytes(&config, SHAPES_CLASSES);
    assert_true(file >= info.st_size);
    int64_t largest = checkpoint_bytes(&config, 100);
    assert_in_range(largest - file, 3 * LAST_LAYER_BYTES, 3 * LAST_LAYER_BYTES + PADDING);
    assert_int_equal(checkpoint_bytes(&config, 0), largest);
    int64_t memory = trainer_memory_bytes(&config, SHAPES_CLASSES, &kernels_blas, 1);
    int64_t most = trainer_memory_bytes(&config, 100, &kernels_blas, 1);
    assert_in_range(most - memory, 4 * LAST_LAYER_BYTES, 4 * LAST_LAYER_BYTES + SPARE_BYTES);
    assert_int_equal(trainer_memory_bytes(&config, 0, &kernels_blas, 1), most);
    recorder_end(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_stops_in_one_validation_keep_the_checkpoint_before),
        cmocka_unit_test(a_damaged_or_foreign_checkpoint_is_refused),
        cmocka_unit_test(a_fork_with_other_test_images_begins_its_best_and_its_plateau_anew),
        cmocka_unit_test(a_checkpoint_goes_on_under_any_kernels_of_its_arithmetic),
        cmocka_unit_test(avx2_and_avx512_finish_each_others_runs),
        cmocka_unit_test(what_is_needed_follows_the_number_of_classes),
        cmocka_unit_test(bf16_goes_on_to_the_same_bits_and_f32_does_not_go_on_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
