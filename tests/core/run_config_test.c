/* Presets, checks, schedules and the arithmetic of epochs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/config/run_config.h"

static struct run_config preset(const char *name) {
    const struct run_preset *found = run_preset_find(name);
    assert_non_null(found);
    return found->config;
}

static void presets_are_those_of_the_sources(void **state) {
    (void)state;
    size_t count = 0;
    const struct run_preset *presets = run_presets(&count);
    assert_int_equal(count, 5);
    assert_string_equal(presets[0].name, "notebook-q3");
    for (size_t i = 0; i < count; i++) {
        struct error error = {0};
        assert_string_equal(presets[i].config.preset, presets[i].name);
        assert_ptr_equal(run_preset_find(presets[i].name), &presets[i]);
        assert_int_equal(run_config_check(&presets[i].config, &error), STATUS_OK);
        assert_int_equal(presets[i].config.depth, 44);
        assert_false(presets[i].config.lr_plateau);
        assert_true(strlen(presets[i].description) > 20);
    }
    assert_null(run_preset_find("notebook-q4"));
}

static void notebook_q3_has_its_values(void **state) {
    (void)state;
    struct run_config c = preset("notebook-q3");
    assert_int_equal(c.epochs, 50);
    assert_int_equal(c.batch_size, 64);
    assert_int_equal(c.m, 2);
    assert_int_equal(c.copies, COPIES_INDEPENDENT);
    assert_int_equal(c.cutout_size, 12);
    assert_int_equal(c.cutout_squares, 1);
    assert_true(c.shift == 0 && !c.flip && c.crop_pad == 0);
    assert_int_equal(c.normalise, NORMALISE_PIXEL_MEAN);
    assert_int_equal(c.optimizer, OPTIMIZER_RMSPROP);
    assert_true(c.drop_last);
    assert_true(c.l2 == 1e-4 && !c.l2_dense);
    assert_true(run_schedule_lr(&c, 79) == 1e-3 && run_schedule_lr(&c, 80) == 1e-4);
}

static void notebook_q2_has_its_values(void **state) {
    (void)state;
    struct run_config c = preset("notebook-q2");
    assert_int_equal(c.epochs, 100);
    assert_int_equal(c.m, 1);
    assert_int_equal(c.cutout_size, 0);
    assert_true(c.shift == 0.1 && c.flip && c.crop_pad == 0);
    assert_int_equal(c.optimizer, OPTIMIZER_ADAM);
    assert_false(c.drop_last);
    assert_true(c.l2 == 1e-4 && !c.l2_dense);
    assert_true(run_schedule_lr(&c, 0) == 1e-3 && run_schedule_lr(&c, 99) == 1e-4);
}

static void paper_has_its_values(void **state) {
    (void)state;
    struct run_config c = preset("paper");
    assert_int_equal(c.epochs, 100);
    assert_int_equal(c.m, 2);
    assert_int_equal(c.cutout_size, 16);
    assert_true(c.shift == 0 && c.flip && c.crop_pad == 4);
    assert_int_equal(c.normalise, NORMALISE_CHANNEL);
    assert_int_equal(c.optimizer, OPTIMIZER_SGD);
    assert_true(c.momentum == 0.9 && !c.nesterov && c.drop_last);
    assert_true(c.l2 == 0.5e-4 && c.l2_dense);
    static const struct {
        int epoch;
        double lr;
    } expected[] = {{0, .1},     {80, .1},    {81, .01},    {121, .01},
                    {122, .001}, {163, .001}, {164, .0001}, {1000, .0001}};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_true(run_schedule_lr(&c, expected[i].epoch) == expected[i].lr);
    }
    assert_non_null(strstr(run_preset_find("paper")->description, "shortcut"));
    assert_int_equal(c.shortcut, SHORTCUT_CONV_BN);
    assert_int_equal(c.last_gamma, LAST_GAMMA_ZERO);
    assert_true(!c.conv_bias && c.bn_epsilon == 1e-5 && c.bn_momentum == 0.9);
}

static void paper_v1_is_paper_with_the_network_of_the_others(void **state) {
    (void)state;
    struct run_config c = preset("paper-v1");
    struct run_config other = preset("notebook-q3");
    assert_int_equal(c.shortcut, SHORTCUT_CONV);
    assert_int_equal(c.last_gamma, LAST_GAMMA_ONE);
    assert_true(c.conv_bias && c.bn_epsilon == 1e-3 && c.bn_momentum == 0.99);
    assert_true(other.conv_bias && other.bn_epsilon == 1e-3 && other.bn_momentum == 0.99);
    other = preset("paper");
    assert_true(c.lr == other.lr && c.l2 == other.l2 && c.epochs == other.epochs && c.m == other.m);
    assert_string_equal(run_preset_of_older("paper"), "paper-v1");
    assert_string_equal(run_preset_of_older("notebook-q2"), "notebook-q2");
}

static void keras_example_has_its_values(void **state) {
    (void)state;
    struct run_config c = preset("keras-example");
    assert_int_equal(c.epochs, 200);
    assert_int_equal(c.batch_size, 32);
    assert_int_equal(c.m, 1);
    assert_int_equal(c.cutout_size, 0);
    assert_true(c.shift == 0.1 && c.flip && !c.drop_last);
    assert_int_equal(c.optimizer, OPTIMIZER_ADAM);
    static const struct {
        int epoch;
        double lr;
    } expected[] = {{0, 1e-3},   {80, 1e-3},  {81, 1e-4},  {120, 1e-4}, {121, 1e-5},
                    {160, 1e-5}, {161, 1e-6}, {180, 1e-6}, {181, 5e-7}};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_true(run_schedule_lr(&c, expected[i].epoch) == expected[i].lr);
    }
}

static void steps_and_images_of_an_epoch(void **state) {
    (void)state;
    struct run_config c = preset("notebook-q2");
    assert_int_equal(run_steps_per_epoch(&c, 50000), 782);
    assert_int_equal(run_images_per_epoch(&c, 50000), 50000);
    c = preset("notebook-q3");
    c.m = 32;
    assert_int_equal(run_steps_per_epoch(&c, 50000), 781);
    assert_int_equal(run_images_per_epoch(&c, 50000), 781 * 64 * 32);
    assert_int_equal(run_steps_per_epoch(&c, 64), 1);
    assert_int_equal(run_steps_per_epoch(&c, 63), 0);
    c.drop_last = false;
    assert_int_equal(run_steps_per_epoch(&c, 63), 1);
    c.m = 1024;
    assert_true(run_images_per_epoch(&c, 10000000) == 10240000000LL);
}

static void a_batch_of_unique_images_has_all_their_copies(void **state) {
    (void)state;
    struct run_config c = preset("notebook-q3");
    c.m = 8;
    assert_int_equal(run_batch_images(&c), 512);
    c.unique_per_batch = true;
    assert_int_equal(run_batch_sources(&c), 8);
    assert_int_equal(run_batch_images(&c), 64);
    assert_int_equal(run_steps_per_epoch(&c, 50000), 6250);
    assert_int_equal(run_images_per_epoch(&c, 50000), 400000);
    assert_int_equal(run_images_per_epoch(&c, 50007), 400000);
}

static void a_linear_schedule_rises_and_falls(void **state) {
    (void)state;
    struct run_config c = preset("paper");
    c.lr_schedule = LR_SCHEDULE_LINEAR;
    c.epochs = 5;
    c.lr_warmup = 0.4; /* 8 of 20 steps */
    assert_true(fabs(run_step_lr(&c, 0, 0, 4) - 0.1 / 8) < 1e-15);
    assert_true(run_step_lr(&c, 1, 3, 4) == 0.1 && run_step_lr(&c, 2, 0, 4) == 0.1);
    assert_true(fabs(run_step_lr(&c, 4, 3, 4) - 0.1 / 12) < 1e-15);
    c.lr_warmup = 0;
    assert_true(run_step_lr(&c, 0, 0, 4) == 0.1);
    assert_true(fabs(run_step_lr(&c, 2, 2, 4) - 0.05) < 1e-15);
    c.lr_schedule = LR_SCHEDULE_STEPS;
    assert_true(run_step_lr(&c, 81, 3, 4) == 0.01);
}

static void cosine_falls_from_lr_towards_zero(void **state) {
    (void)state;
    struct run_config c = preset("paper");
    c.lr_schedule = LR_SCHEDULE_COSINE; /* the preset's steps no longer count */
    assert_true(run_schedule_lr(&c, 0) == 0.1);
    assert_true(fabs(run_schedule_lr(&c, 25) - 0.05 * (1 + sqrt(0.5))) < 1e-15);
    assert_true(fabs(run_schedule_lr(&c, 50) - 0.05) < 1e-15);
    assert_true(run_schedule_lr(&c, 99) > 0 && run_schedule_lr(&c, 99) < 1e-4);
}

static void names_are_those_of_the_rows(void **state) {
    (void)state;
    enum conv_algorithm found = CONV_AUTO;
    assert_string_equal(copies_name(COPIES_INDEPENDENT), "independent");
    assert_string_equal(copies_name(COPIES_ALIASED), "aliased");
    assert_string_equal(optimizer_name(OPTIMIZER_ADAM), "adam");
    assert_string_equal(optimizer_name(OPTIMIZER_RMSPROP), "rmsprop");
    assert_string_equal(optimizer_name(OPTIMIZER_SGD), "sgd");
    assert_string_equal(normalise_name(NORMALISE_PIXEL_MEAN), "pixel_mean");
    assert_string_equal(normalise_name(NORMALISE_CHANNEL), "channel");
    assert_true(conv_algorithm_from_name("winograd", &found));
    assert_int_equal(found, CONV_WINOGRAD);
    assert_false(conv_algorithm_from_name("winogradx", &found));
    assert_int_equal(found, CONV_WINOGRAD);
}

/* One field is set to a bad value; the check must say INVALID and begin with the field's name. */
#define REFUSED(field, bad) REFUSED_AS(#field, c.field = (bad))
#define REFUSED_AS(name, change)                                                                   \
    do {                                                                                           \
        struct run_config c = preset("notebook-q3");                                               \
        struct error error = {0};                                                                  \
        change;                                                                                    \
        assert_int_equal(run_config_check(&c, &error), STATUS_INVALID);                            \
        assert_int_equal(error.code, STATUS_INVALID);                                              \
        if (strncmp(error.message, name ": ", strlen(name ": ")) != 0) {                           \
            fail_msg("'%s' should be about " name, error.message);                                 \
        }                                                                                          \
    } while (0)
#define ACCEPTED(field, good)                                                                      \
    do {                                                                                           \
        struct run_config c = preset("notebook-q3");                                               \
        struct error error = {0};                                                                  \
        c.field = (good);                                                                          \
        if (run_config_check(&c, &error) != STATUS_OK) {                                           \
            fail_msg("%s", error.message);                                                         \
        }                                                                                          \
    } while (0)

static void integers_out_of_range_are_refused(void **state) {
    (void)state;
    REFUSED_AS("preset", c.preset[0] = '\0');
    REFUSED_AS("dataset", c.dataset[0] = '\0');
    REFUSED_AS("dataset", memset(c.dataset, 'x', sizeof(c.dataset)));
    REFUSED(depth, 2);
    REFUSED(depth, 45);
    REFUSED(depth, 116);
    ACCEPTED(depth, 8);
    ACCEPTED(depth, 110);
    REFUSED(epochs, 0);
    REFUSED(epochs, 100001);
    REFUSED(batch_size, 0);
    REFUSED(batch_size, 65537);
    ACCEPTED(batch_size, 65536);
    REFUSED(m, 0);
    REFUSED(m, 1025);
    ACCEPTED(m, 1024);
    REFUSED(cutout_size, -1);
    REFUSED(cutout_size, 65);
    ACCEPTED(cutout_size, 0);
    REFUSED(cutout_squares, 0);
    REFUSED(cutout_squares, RUN_MAX_SQUARES + 1);
    REFUSED(crop_pad, -1);
    REFUSED(crop_pad, 17);
    ACCEPTED(crop_pad, 16);
    REFUSED(train_images, -1);
    REFUSED(train_images, 63); /* less than a batch, and drop_last */
    ACCEPTED(train_images, 64);
    REFUSED(test_images, -1);
    ACCEPTED(test_images, 1);
}

static void reals_out_of_range_are_refused(void **state) {
    (void)state;
    REFUSED(shift, -0.1);
    REFUSED(shift, 1.1);
    REFUSED(shift, (double)NAN);
    ACCEPTED(shift, 1.0);
    REFUSED(lr, 0.0);
    REFUSED(lr, -1.0);
    REFUSED(lr, (double)NAN);
    REFUSED(lr, (double)INFINITY);
    REFUSED(momentum, -0.1);
    REFUSED(momentum, 1.0);
    REFUSED(momentum, (double)NAN);
    REFUSED(l2, -1e-9);
    REFUSED(l2, 2.0);
    REFUSED(l2, (double)NAN);
    REFUSED(grad_clip, -1.0);
    REFUSED(grad_clip, (double)INFINITY);
    REFUSED(grad_clip, (double)NAN);
    ACCEPTED(grad_clip, 1e300);
    REFUSED_AS("stop", c.stop.val_error = 1.1);
    REFUSED_AS("stop", c.stop.val_error = (double)NAN);
    REFUSED_AS("stop", c.stop.patience = -1);
    REFUSED_AS("stop", c.stop.max_seconds = -1);
    REFUSED_AS("stop", c.stop.max_seconds = (double)INFINITY);
    ACCEPTED(stop.val_error, 0.06);
    REFUSED(bn_epsilon, 0.0);
    REFUSED(bn_momentum, 1.0);
    ACCEPTED(bn_momentum, 0.0);
    ACCEPTED(l2, 0.0);
}

static void bad_schedules_and_enums_are_refused(void **state) {
    (void)state;
    REFUSED_AS("lr_schedule", c.n_lr_steps = -1);
    REFUSED_AS("lr_schedule", c.n_lr_steps = RUN_MAX_LR_STEPS + 1);
    REFUSED_AS("lr_schedule", c.lr_steps[0].epoch = -1);
    REFUSED_AS("lr_schedule", (c.n_lr_steps = 2, c.lr_steps[1] = c.lr_steps[0]));
    REFUSED_AS("lr_schedule", c.lr_steps[0].lr = 0);
    REFUSED_AS("lr_schedule", c.lr_steps[0].lr = (double)NAN);
    ACCEPTED(n_lr_steps, 0);
    REFUSED(copies, (enum copies)2);
    REFUSED(copies, (enum copies) - 1);
    REFUSED(optimizer, (enum optimizer_kind)3);
    REFUSED(normalise, (enum normalise_kind)2);
    REFUSED(lr_schedule, (enum lr_schedule_kind)3);
    REFUSED_AS("lr_schedule", c.lr_warmup = 1);
    REFUSED(flip, (enum flip)3);
    REFUSED(mix, (enum mix)4);
    REFUSED(mix_alpha, 0.0);
    REFUSED(tta, (enum tta)2);
    REFUSED(ema, 1.0);
    REFUSED(label_smoothing, 1.0);
    REFUSED(backward_share, 0.0);
    REFUSED_AS("unique_per_batch", (c.unique_per_batch = true, c.m = 3));
    REFUSED(conv_algorithm, (enum conv_algorithm)3);
    REFUSED(shortcut, (enum shortcut)2);
    REFUSED(last_gamma, (enum last_gamma)2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_are_those_of_the_sources),
        cmocka_unit_test(notebook_q3_has_its_values),
        cmocka_unit_test(notebook_q2_has_its_values),
        cmocka_unit_test(paper_has_its_values),
        cmocka_unit_test(paper_v1_is_paper_with_the_network_of_the_others),
        cmocka_unit_test(keras_example_has_its_values),
        cmocka_unit_test(steps_and_images_of_an_epoch),
        cmocka_unit_test(a_batch_of_unique_images_has_all_their_copies),
        cmocka_unit_test(a_linear_schedule_rises_and_falls),
        cmocka_unit_test(cosine_falls_from_lr_towards_zero),
        cmocka_unit_test(names_are_those_of_the_rows),
        cmocka_unit_test(integers_out_of_range_are_refused),
        cmocka_unit_test(reals_out_of_range_are_refused),
        cmocka_unit_test(bad_schedules_and_enums_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
