/* The rows of the fields of a run, and what checkpoints say of a run by them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/config/run_fields.h"

static const struct run_config_field *field_of(const char *name) {
    size_t n = 0;
    const struct run_config_field *fields = run_config_fields(&n);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(fields[i].name, name) == 0) {
            return &fields[i];
        }
    }
    fail_msg("no field %s", name);
    return NULL;
}

/* Written by the first release: checkpoints of that day must still be taken. */
static void fingerprints_are_those_of_the_first_release(void **state) {
    (void)state;
    static const char *const expected[] = {
        "kernels=avx2 winograd=1 dataset=cifar10 train_images=0 normalise=pixel_mean "
        "depth=44 batch_size=64 m=2 copies=independent cutout=1x12 shift=0 flip=0 "
        "crop_pad=0 drop_last=1 optimizer=rmsprop momentum=0 nesterov=0 l2=0.0001 "
        "l2_dense=0 seed=1 lr=0.001 plateau=0 test_images=0 schedule= 80:0.0001",
        "kernels=avx2 winograd=1 dataset=cifar10 train_images=0 normalise=pixel_mean "
        "depth=44 batch_size=64 m=1 copies=independent cutout=1x0 "
        "shift=0.10000000000000001 flip=1 crop_pad=0 drop_last=0 optimizer=adam "
        "momentum=0 nesterov=0 l2=0.0001 l2_dense=0 seed=1 lr=0.001 plateau=0 "
        "test_images=0 schedule= 80:0.0001",
        "kernels=avx2 winograd=1 dataset=cifar10 train_images=0 normalise=channel "
        "depth=44 batch_size=64 m=2 copies=independent cutout=1x16 shift=0 flip=1 "
        "crop_pad=4 drop_last=1 optimizer=sgd momentum=0.90000000000000002 nesterov=0 "
        "l2=5.0000000000000002e-05 l2_dense=1 seed=1 lr=0.10000000000000001 plateau=0 "
        "test_images=0 schedule= 81:0.01 122:0.001 164:0.0001",
        "kernels=avx2 winograd=1 dataset=cifar10 train_images=0 normalise=pixel_mean "
        "depth=44 batch_size=32 m=1 copies=independent cutout=1x0 "
        "shift=0.10000000000000001 flip=1 crop_pad=0 drop_last=0 optimizer=adam "
        "momentum=0 nesterov=0 l2=0.0001 l2_dense=0 seed=1 lr=0.001 plateau=0 "
        "test_images=0 schedule= 81:0.0001 121:1.0000000000000001e-05 "
        "161:9.9999999999999995e-07 181:4.9999999999999998e-07",
    };
    char text[RUN_FINGERPRINT_SIZE];
    static const char *const presets[] = {"notebook-q3", "notebook-q2", "paper-v1",
                                          "keras-example"};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        run_config_fingerprint(&run_preset_find(presets[i])->config, "avx2", true, text);
        assert_string_equal(text, expected[i]);
    }
    struct run_config c = run_preset_find("paper-v1")->config;
    (void)snprintf(c.dataset, sizeof(c.dataset), "shapes");
    c.lr_schedule = LR_SCHEDULE_COSINE;
    c.nesterov = true;
    c.copies = COPIES_ALIASED;
    c.seed = 9007199254740991;
    c.lr = 0.0123;
    c.shift = 0.1;
    c.cutout_squares = 32;
    c.lr_plateau = true;
    c.train_images = 100;
    c.test_images = 7;
    c.epochs = 30;
    run_config_fingerprint(&c, "blas", false, text);
    assert_string_equal(
        text, "kernels=blas winograd=0 dataset=shapes train_images=100 normalise=channel "
              "depth=44 batch_size=64 m=2 copies=aliased cutout=32x16 "
              "shift=0.10000000000000001 flip=1 crop_pad=4 drop_last=1 optimizer=sgd "
              "momentum=0.90000000000000002 nesterov=1 l2=5.0000000000000002e-05 l2_dense=1 "
              "seed=9007199254740991 lr=0.0123 plateau=1 test_images=7 schedule= cosine over "
              "30 epochs");
}

/* Another value of the field. */
static void change(const struct run_config_field *field, struct run_config *config) {
    double value = run_config_number(field, config);
    switch (field->type) {
    case RUN_CONFIG_PRESET:
    case RUN_CONFIG_DATASET:
        ((char *)config + field->offset)[0] ^= 1;
        break;
    case RUN_CONFIG_STOP:
        config->stop.patience += 1;
        break;
    case RUN_CONFIG_SCHEDULE:
        config->lr_steps[0].lr *= 2;
        break;
    case RUN_CONFIG_INT:
    case RUN_CONFIG_DEPTH:
    case RUN_CONFIG_BOOL:
    case RUN_CONFIG_NUMBER:
    case RUN_CONFIG_SEED:
    case RUN_CONFIG_CHOICE:
    case RUN_CONFIG_SWITCH:
        run_config_set_number(field, config,
                              value == field->least ? fmin(value + 1, field->most) : field->least);
        assert_true(run_config_number(field, config) != value);
        break;
    }
}

static void the_fingerprint_says_each_field_that_changes_the_bits_and_no_other(void **state) {
    (void)state;
    size_t n = 0;
    const struct run_config_field *fields = run_config_fields(&n);
    char before[RUN_FINGERPRINT_SIZE];
    char after[RUN_FINGERPRINT_SIZE];
    for (size_t i = 0; i < n; i++) {
        struct run_config config = run_preset_find("paper")->config;
        run_config_fingerprint(&config, "ref", false, before);
        change(&fields[i], &config);
        run_config_fingerprint(&config, "ref", false, after);
        if ((strcmp(before, after) != 0) != fields[i].arithmetic) {
            fail_msg("%s: %s", fields[i].name, after);
        }
    }
}

static void later_fields_are_said_only_where_they_differ_from_older_runs(void **state) {
    (void)state;
    struct run_config config = run_preset_find("notebook-q3")->config;
    char text[RUN_FINGERPRINT_SIZE];
    run_config_fingerprint(&config, "ref", false, text);
    assert_null(strstr(text, "grad_clip"));
    config.grad_clip = 0.5;
    run_config_fingerprint(&config, "ref", false, text);
    const char *end = " 80:0.0001 grad_clip=0.5";
    assert_string_equal(text + strlen(text) - strlen(end), end);
    config.stop = (struct run_stop){.val_error = 0.06, .patience = 3};
    run_config_set_older(&config);
    assert_true(config.grad_clip == 0);
    assert_true(config.stop.val_error == 0 && config.stop.patience == 0);
}

/* All that is in the line comes back; what is not in it is zero, and epochs never are. */
static void a_fingerprint_is_read_back(void **state) {
    (void)state;
    size_t n_presets = 0;
    const struct run_preset *presets = run_presets(&n_presets);
    size_t n = 0;
    const struct run_config_field *fields = run_config_fields(&n);
    for (size_t p = 0; p < n_presets; p++) {
        for (size_t i = 0; i <= n; i++) {
            struct run_config config = presets[p].config;
            struct run_config back;
            char text[RUN_FINGERPRINT_SIZE];
            char again[RUN_FINGERPRINT_SIZE];
            if (i < n && fields[i].type != RUN_CONFIG_SCHEDULE) {
                change(&fields[i], &config);
            }
            config.momentum = fmin(config.momentum, 0.9999);
            config.lr_schedule = LR_SCHEDULE_STEPS;
            config.n_lr_steps = 0;
            run_config_fingerprint(&config, "avx2", p % 2 == 0, text);
            struct error error;
            if (run_config_from_fingerprint(text, &back, &error) != STATUS_OK) {
                fail_msg("%s: %s", text, error.message);
            }
            run_config_fingerprint(&back, "avx2", p % 2 == 0, again);
            assert_string_equal(again, text);
            assert_int_equal(back.conv_algorithm, p % 2 == 0 ? CONV_WINOGRAD : CONV_DIRECT);
            assert_int_equal(back.epochs, 0);
        }
    }
}

static void a_fingerprint_that_makes_no_sense_is_refused(void **state) {
    (void)state;
    struct run_config config;
    struct error error;
    assert_int_equal(run_config_from_fingerprint("depth=44 wings=2", &config, &error),
                     STATUS_UNSUPPORTED);
    assert_non_null(strstr(error.message, "wings"));
    static const char *const wrong[] = {"",
                                        "schedule= 3:4",
                                        "depth=many",
                                        "depth=44 depth=-1",
                                        "depth=44 m=2.0x",
                                        "depth=44 normalise=red"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(run_config_from_fingerprint(wrong[i], &config, &error), STATUS_CORRUPT);
    }
}

static void the_longest_fingerprint_has_room(void **state) {
    (void)state;
    size_t n = 0;
    const struct run_config_field *fields = run_config_fields(&n);
    struct run_config config = run_preset_find("paper")->config;
    memset(config.dataset, 'x', sizeof(config.dataset) - 1);
    for (size_t i = 0; i < n; i++) {
        if (fields[i].type == RUN_CONFIG_NUMBER) {
            run_config_set_number(&fields[i], &config, 1.2345678901234567e-100);
        }
    }
    config.grad_clip = 1.2345678901234567e-300;
    config.n_lr_steps = RUN_MAX_LR_STEPS;
    for (int i = 0; i < RUN_MAX_LR_STEPS; i++) {
        config.lr_steps[i] = (struct lr_step){99000 + i, 1.2345678901234567e-12};
    }
    char text[RUN_FINGERPRINT_SIZE];
    run_config_fingerprint(&config, "a-kernel-variant-with-a-long-name", true, text);
    assert_non_null(strstr(text, " 99015:1.2345678901234567e-12"));
    assert_non_null(strstr(text, " grad_clip=1.23456789012345"));
    assert_true(strlen(text) < RUN_FINGERPRINT_SIZE - 512);
}

static void rows_are_whole(void **state) {
    (void)state;
    size_t n = 0;
    const struct run_config_field *fields = run_config_fields(&n);
    struct run_config config = run_presets(&(size_t){0})->config;
    for (size_t i = 0; i < n; i++) {
        assert_true(strlen(fields[i].help) > 3 &&
                    fields[i].help[strlen(fields[i].help) - 1] == '.');
        assert_true(strlen(fields[i].name) < 32);
        assert_true(fields[i].least <= fields[i].most);
        assert_true(fields[i].type != RUN_CONFIG_CHOICE || fields[i].n_words > 1);
        if (fields[i].later) {
            assert_true(fields[i].older >= fields[i].least && fields[i].older <= fields[i].most);
        }
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(fields[i].name, fields[k].name);
            assert_true(fields[i].offset > 0);
        }
    }
    const struct run_config_field *seed = field_of("seed");
    run_config_set_number(seed, &config, seed->most);
    assert_true(config.seed == 9007199254740991);
    const struct run_config_field *copies = field_of("copies");
    run_config_set_number(copies, &config, COPIES_ALIASED);
    assert_int_equal(config.copies, COPIES_ALIASED);
    assert_true(run_config_number(copies, &config) == COPIES_ALIASED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fingerprints_are_those_of_the_first_release),
        cmocka_unit_test(the_fingerprint_says_each_field_that_changes_the_bits_and_no_other),
        cmocka_unit_test(later_fields_are_said_only_where_they_differ_from_older_runs),
        cmocka_unit_test(a_fingerprint_is_read_back),
        cmocka_unit_test(a_fingerprint_that_makes_no_sense_is_refused),
        cmocka_unit_test(the_longest_fingerprint_has_room),
        cmocka_unit_test(rows_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
