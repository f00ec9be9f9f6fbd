/* The plan of the network and its layer table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "core/config/run_fields.h"
#include "core/nn/summary.h"

static struct resnet plan_of(int depth) {
    static struct resnet net;
    assert_int_equal(resnet_plan(depth, &net, NULL), STATUS_OK);
    return net;
}

static void depth_44_has_the_notebooks_parameters(void **state) {
    (void)state;
    static struct summary summary;
    struct resnet net = plan_of(44);
    summary_make(&net, &summary);
    assert_int_equal(summary.total, 665994);
    assert_int_equal(summary.trainable, 662826);
    assert_int_equal(summary.non_trainable, 3168);
    assert_int_equal(net.n_convs, 45);
    assert_int_equal(net.n_bns, 43);
    assert_int_equal(net.n_blocks, 21);
}

static void depth_20_has_the_known_parameters(void **state) {
    (void)state;
    static struct summary summary;
    struct resnet net = plan_of(20);
    summary_make(&net, &summary);
    assert_int_equal(summary.total, 274442);
}

static const struct summary_row *row_of(const struct summary *summary, const char *name) {
    for (int i = 0; i < summary->n_rows; i++) {
        if (!strcmp(summary->rows[i].name, name)) {
            return &summary->rows[i];
        }
    }
    fail_msg("no layer %s", name);
    return NULL;
}

static void layers_have_the_known_sizes(void **state) {
    (void)state;
    static struct summary summary;
    struct resnet net = plan_of(44);
    summary_make(&net, &summary);
    assert_int_equal(row_of(&summary, "conv2d")->parameters, 448);
    assert_int_equal(row_of(&summary, "conv2d_1")->parameters, 2320);
    assert_int_equal(row_of(&summary, "conv2d_15")->parameters, 4640);
    assert_int_equal(row_of(&summary, "conv2d_16")->parameters, 9248);
    assert_int_equal(row_of(&summary, "conv2d_17")->parameters, 544);
    assert_int_equal(row_of(&summary, "conv2d_30")->parameters, 18496);
    assert_int_equal(row_of(&summary, "conv2d_31")->parameters, 36928);
    assert_int_equal(row_of(&summary, "conv2d_32")->parameters, 2112);
    assert_int_equal(row_of(&summary, "batch_normalization")->parameters, 64);
    assert_int_equal(row_of(&summary, "dense")->parameters, 650);
    assert_int_equal(row_of(&summary, "conv2d_44")->output[0], 8);
    assert_int_equal(row_of(&summary, "conv2d_44")->output[2], 64);
}

static void the_dense_layer_has_as_many_outputs_as_there_are_classes(void **state) {
    (void)state;
    static struct resnet net;
    static struct summary summary;
    struct run_config config = {.depth = 44};
    run_config_set_older(&config);
    assert_int_equal(resnet_plan_of(&config, 100, &net, NULL), STATUS_OK);
    summary_make(&net, &summary);
    assert_int_equal(summary.total, 665994 + 90 * 65);
    assert_int_equal(summary.rows[summary.n_rows - 1].output[0], 100);
    assert_int_equal(resnet_plan_of(&config, 2, &net, NULL), STATUS_OK);
    assert_int_equal(resnet_plan_of(&config, 1, &net, NULL), STATUS_INVALID);
    assert_int_equal(resnet_plan_of(&config, 101, &net, NULL), STATUS_INVALID);
}

static void every_legal_depth_is_planned_and_fits(void **state) {
    (void)state;
    static struct resnet net;
    static struct summary summary;
    for (int depth = -5; depth <= 200; depth++) {
        bool legal = depth >= 8 && depth <= 110 && depth % 6 == 2;
        struct error error;
        enum status status = resnet_plan(depth, &net, &error);
        assert_int_equal(status, legal ? STATUS_OK : STATUS_INVALID);
        if (legal) {
            summary_make(&net, &summary);
            assert_true(summary.n_rows <= SUMMARY_MAX_ROWS);
            assert_int_equal(summary.total, summary.trainable + summary.non_trainable);
        }
    }
}

/* He-normal: the variance of the truncated normal is 2 / fan_in, nothing lies beyond two sigma. */
static void kernels_start_he_normal(void **state) {
    (void)state;
    struct resnet net = plan_of(44);
    float *params = calloc(net.n_params, sizeof(*params));
    float *moving = calloc(net.n_moving, sizeof(*moving));
    assert_true(params && moving);
    resnet_init(&net, 1, params, moving);
    const struct tensor *t = &net.tensors[net.convs[44].kernel];
    double fan_in = 9.0 * 64.0;
    double sum = 0.0;
    double sum_squares = 0.0;
    for (size_t i = 0; i < t->n; i++) {
        double w = (double)params[t->offset + i];
        assert_true(fabs(w) <= 2.0 * sqrt(2.0 / fan_in) / 0.87962566 + 1e-7);
        sum += w;
        sum_squares += w * w;
    }
    double n = (double)t->n;
    /* Five standard errors of the mean and of the variance of 36,864 numbers. */
    assert_true(fabs(sum / n) < 5.0 * sqrt(2.0 / fan_in / n));
    assert_true(fabs(sum_squares / n / (2.0 / fan_in) - 1.0) < 5.0 * sqrt(2.0 / n));
    assert_true(params[net.tensors[net.bns[3].gamma].offset] == 1.0F);
    assert_true(moving[net.tensors[net.bns[3].moving_variance].offset] == 1.0F);
    assert_true(moving[net.tensors[net.bns[3].moving_mean].offset] == 0.0F);
    free(params);
    free(moving);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(depth_44_has_the_notebooks_parameters),
        cmocka_unit_test(depth_20_has_the_known_parameters),
        cmocka_unit_test(layers_have_the_known_sizes),
        cmocka_unit_test(the_dense_layer_has_as_many_outputs_as_there_are_classes),
        cmocka_unit_test(every_legal_depth_is_planned_and_fits),
        cmocka_unit_test(kernels_start_he_normal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
