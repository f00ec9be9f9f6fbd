/* Comparisons against numbers worked out by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/cleanup.h"
#include "daemon/compare/compare.h"

enum { MAX_RUNS = 8, MAX_EPOCHS = 8 };

/* Runs whose validation errors are given in percent of 100 test images. */
struct input {
    int n;
    char config[MAX_RUNS][1024];
    struct run_row rows[MAX_RUNS];
    struct epoch_row epochs[MAX_RUNS][MAX_EPOCHS];
    struct epoch_list lists[MAX_RUNS];
    struct compare_run runs[MAX_RUNS];
};

static void add_run(struct input *in, const char *fields, int seed, int n_epochs, const int *wrong,
                    double seconds_per_epoch) {
    int i = in->n++;
    (void)snprintf(in->config[i], sizeof(in->config[i]), "{%s,\"seed\":%d,\"name\":\"n%d\"}",
                   fields, seed, i);
    in->rows[i] = (struct run_row){.id = i + 1,
                                   .config_json = in->config[i],
                                   .seed = (uint64_t)seed,
                                   .steps_per_epoch = n_epochs ? 10 : 0,
                                   .images_per_epoch = n_epochs ? 640 : 0};
    for (int e = 0; e < n_epochs; e++) {
        in->epochs[i][e] = (struct epoch_row){.report.epoch = e + 1,
                                              .report.train_loss = 2.0 - e,
                                              .report.train_accuracy = 0.25 * (e + 1),
                                              .report.val_loss = 1.0,
                                              .report.val_wrong = wrong[e],
                                              .report.val_total = 100,
                                              .report.seconds = seconds_per_epoch,
                                              .report.images = 640,
                                              .report.steps = 10};
    }
    in->lists[i] = (struct epoch_list){in->epochs[i], (size_t)n_epochs};
    in->runs[i] = (struct compare_run){&in->rows[i], &in->lists[i]};
}

static struct compare_request by_m(void) {
    return (struct compare_request){.target = 0.2, .n_fields = 1, .fields = {"m"}};
}

static struct comparison compare(const struct input *in, const struct compare_request *request) {
    struct comparison c = {0};
    struct error error;
    if (compare_make(request, in->runs, (size_t)in->n, &c, &error) != STATUS_OK) {
        fail_msg("%s", error.message);
    }
    return c;
}

static void assert_near(double a, double b) {
    if (!(fabs(a - b) < 1e-12)) {
        fail_msg("%.17g is not %.17g", a, b);
    }
}

/* m=4 (listed first) and m=2 with seeds 1 and 2, three epochs each. */
static void add_sweep(struct input *in) {
    add_run(in, "\"m\":4", 1, 3, (const int[]){40, 20, 10}, 2.0);
    add_run(in, "\"m\":4", 2, 3, (const int[]){50, 30, 20}, 4.0);
    add_run(in, "\"m\":2", 1, 3, (const int[]){60, 40, 30}, 1.0);
    add_run(in, "\"m\":2", 2, 3, (const int[]){50, 30, 20}, 1.0);
}

static void seeds_of_a_value_are_one_curve_in_order_of_the_value(void **state) {
    (void)state;
    static struct input in;
    in.n = 0;
    add_sweep(&in);
    struct compare_request request = by_m();
    struct comparison c = compare(&in, &request);
    assert_int_equal(c.n_groups, 2);
    assert_string_equal(c.groups[0].label, "m=2");
    assert_string_equal(c.groups[0].values[0], "2");
    assert_int_equal(c.groups[0].n_runs, 2);
    assert_int_equal(c.groups[0].runs[0], 2);
    assert_string_equal(c.groups[1].label, "m=4");
    const struct compare_point *p = &c.groups[0].points[0];
    assert_int_equal(c.groups[0].n_points, 3);
    assert_near(p->x, 1);
    assert_near(p->value.mean, 0.55);
    assert_near(p->value.std, 0.1 / sqrt(2)); /* (.6, .5): sqrt(2 * .05^2 / 1) */
    assert_near(p->value.min, 0.5);
    assert_near(p->value.max, 0.6);
    assert_int_equal(p->value.n, 2);
    assert_near(c.groups[0].best.mean, 0.25);
    assert_near(c.groups[1].best.mean, 0.15);
    comparison_clear(&c);
}

static void numbers_are_ordered_as_numbers(void **state) {
    (void)state;
    static struct input in;
    in.n = 0;
    add_run(&in, "\"m\":16", 1, 1, (const int[]){1}, 1);
    add_run(&in, "\"m\":2", 1, 1, (const int[]){1}, 1);
    add_run(&in, "\"m\":8", 1, 1, (const int[]){1}, 1);
    struct compare_request request = by_m();
    struct comparison c = compare(&in, &request);
    assert_string_equal(c.groups[0].label, "m=2");
    assert_string_equal(c.groups[1].label, "m=8");
    assert_string_equal(c.groups[2].label, "m=16");
    comparison_clear(&c);
}

static void the_target_is_reached_at_the_first_epoch_at_or_below_it(void **state) {
    (void)state;
    static struct input in;
    in.n = 0;
    add_sweep(&in);
    struct compare_request request = by_m();
    struct comparison c = compare(&in, &request);
    const struct compare_target *m2 = &c.groups[0].to_target; /* only seed 2, at epoch 3 */
    assert_int_equal(m2->n_reached, 1);
    assert_near(m2->epochs.mean, 3);
    assert_true(isnan(m2->epochs.std));
    assert_near(m2->images.mean, 1920);
    assert_near(m2->seconds.mean, 3);
    const struct compare_target *m4 = &c.groups[1].to_target; /* epochs 2 and 3 */
    assert_int_equal(m4->n_reached, 2);
    assert_near(m4->epochs.mean, 2.5);
    assert_near(m4->epochs.std, sqrt(0.5));
    assert_near(m4->images.mean, 1600);
    assert_near(m4->seconds.mean, (2 * 2.0 + 3 * 4.0) / 2);
    comparison_clear(&c);

    request.target = 0.05;
    c = compare(&in, &request);
    assert_int_equal(c.groups[1].to_target.n_reached, 0);
    assert_true(isnan(c.groups[1].to_target.epochs.mean));
    comparison_clear(&c);
}

static void accuracy_counts_upwards(void **state) {
    (void)state;
    static struct input in;
    in.n = 0;
    add_sweep(&in);
    struct compare_request request = by_m();
    request.metric = COMPARE_TRAIN_ACCURACY;
    request.target = 0.5;
    struct comparison c = compare(&in, &request);
    assert_near(c.groups[0].best.mean, 0.75);
    assert_near(c.groups[0].to_target.epochs.mean, 2);
    comparison_clear(&c);
}

/* Of runs that have no such number there is none, not the plain error. */
static void other_validation_errors_are_metrics_of_their_own(void **state) {
    (void)state;
    static struct input in;
    in.n = 0;
    add_sweep(&in);
    struct compare_request request = by_m();
    request.metric = COMPARE_VAL_ERROR_EMA;
    struct comparison c = compare(&in, &request);
    assert_true(isnan(c.groups[0].best.mean));
    comparison_clear(&c);
    for (int i = 0; i < in.n; i++) {
        for (size_t k = 0; k < in.lists[i].n; k++) {
            struct epoch_report *r = &in.epochs[i][k].report;
            r->ema_wrong = 7;
            r->tta_wrong = 9;
            r->ema_total = r->tta_total = 100;
        }
    }
    c = compare(&in, &request);
    assert_near(c.groups[0].best.mean, 0.07);
    comparison_clear(&c);
    request.metric = COMPARE_VAL_ERROR_TTA;
    request.target = 0.09;
    c = compare(&in, &request);
    assert_near(c.groups[0].best.mean, 0.09);
    assert_near(c.groups[0].to_target.epochs.mean, 1);
    comparison_clear(&c);
}

static void time_and_speed_are_those_of_a_run(void **state) {
    (void)state;
    static struct input in;
    in.n = 0;
    add_sweep(&in);
    struct compare_request request = by_m();
    struct comparison c = compare(&in, &request);
    assert_near(c.groups[1].total_seconds.mean, 9); /* 6 and 12 */
    assert_near(c.groups[1].seconds_per_epoch.mean, 3);
    assert_near(c.groups[1].images_per_second.mean, (320.0 + 160.0) / 2);
    comparison_clear(&c);
}

static void curves_run_along_steps_images_and_mean_seconds(void **state) {
    (void)state;
    static struct input in;
    in.n = 0;
    add_sweep(&in);
    struct compare_request request = by_m();
    request.x = COMPARE_STEP;
    struct comparison c = compare(&in, &request);
    assert_near(c.groups[0].points[2].x, 30);
    comparison_clear(&c);
    request.x = COMPARE_IMAGES;
    c = compare(&in, &request);
    assert_near(c.groups[0].points[2].x, 1920);
    comparison_clear(&c);
    request.x = COMPARE_SECONDS;
    c = compare(&in, &request);
    assert_near(c.groups[1].points[1].x, 6); /* 2 + 2 and 4 + 4 */
    assert_near(c.groups[1].points[1].value.mean, 0.25);
    comparison_clear(&c);
}

/* A fork went on with sixteen times as many images from its second epoch on. */
static void each_epoch_counts_with_its_own_images_and_steps(void **state) {
    (void)state;
    static struct input in;
    in.n = 0;
    add_run(&in, "\"m\":16", 1, 3, (const int[]){40, 20, 10}, 1.0);
    in.rows[0].images_per_epoch = 8000;
    in.rows[0].steps_per_epoch = 160;
    const int64_t images[] = {500, 8000, 8000};
    for (int e = 0; e < 3; e++) {
        in.epochs[0][e].report.images = images[e];
        in.epochs[0][e].report.steps = e ? 160 : 10;
        in.epochs[0][e].report.seconds = e ? 16 : 1;
    }
    struct compare_request request = by_m();
    request.x = COMPARE_IMAGES;
    struct comparison c = compare(&in, &request);
    assert_near(c.groups[0].points[0].x, 500);
    assert_near(c.groups[0].points[2].x, 16500);
    assert_near(c.groups[0].to_target.images.mean, 8500);
    assert_near(c.groups[0].images_per_second.mean, 500);
    comparison_clear(&c);
    request.x = COMPARE_STEP;
    c = compare(&in, &request);
    assert_near(c.groups[0].points[1].x, 170);
    comparison_clear(&c);
    /* What nobody knows is not made up, and nothing behind it either. */
    in.epochs[0][1].report.images = 0;
    request.x = COMPARE_IMAGES;
    c = compare(&in, &request);
    assert_near(c.groups[0].points[0].x, 500);
    assert_true(isnan(c.groups[0].points[1].x));
    assert_true(isnan(c.groups[0].points[2].x));
    assert_true(isnan(c.groups[0].images_per_second.mean));
    comparison_clear(&c);
}

static void differences_are_paired_by_seed(void **state) {
    (void)state;
    static struct input in;
    in.n = 0;
    add_sweep(&in);
    add_run(&in, "\"m\":4", 3, 1, (const int[]){1}, 1); /* no m=2 has this seed */
    struct compare_request request = by_m();
    request.baseline = "2";
    struct comparison c = compare(&in, &request);
    assert_int_equal(c.baseline, 0);
    /* Seed 1: .10 - .30, seed 2: .20 - .20. */
    assert_near(c.groups[1].difference.mean, -0.1);
    assert_near(c.groups[1].difference.std, 0.2 / sqrt(2));
    assert_int_equal(c.groups[1].difference.n, 2);
    assert_near(c.groups[0].difference.mean, 0);
    comparison_clear(&c);

    request.baseline = "m=4";
    c = compare(&in, &request);
    assert_int_equal(c.baseline, 1);
    comparison_clear(&c);

    struct error error;
    request.baseline = "3";
    assert_int_equal(compare_make(&request, in.runs, (size_t)in.n, &c, &error), STATUS_NOT_FOUND);
    assert_non_null(strstr(error.message, "m=2, m=4"));
}

static void shorter_runs_leave_the_mean_and_the_curve_goes_only_forward(void **state) {
    (void)state;
    static struct input in;
    in.n = 0;
    add_run(&in, "\"m\":2", 1, 1, (const int[]){40}, 9.0);
    add_run(&in, "\"m\":2", 2, 3, (const int[]){60, 50, 40}, 1.0);
    struct compare_request request = by_m();
    request.x = COMPARE_SECONDS;
    struct comparison c = compare(&in, &request);
    const struct compare_point *p = c.groups[0].points;
    assert_int_equal(c.groups[0].n_points, 3);
    assert_int_equal(p[0].value.n, 2);
    assert_int_equal(p[1].value.n, 1);
    assert_near(p[1].value.mean, 0.5);
    assert_true(isnan(p[1].value.std));
    assert_near(p[0].x, 5);
    assert_near(p[1].x, 6);
    assert_near(p[2].x, 7);
    comparison_clear(&c);
}

static void a_diverged_run_counts_where_it_has_numbers(void **state) {
    (void)state;
    static struct input in;
    in.n = 0;
    add_run(&in, "\"m\":2", 1, 2, (const int[]){40, 90}, 1.0);
    add_run(&in, "\"m\":2", 2, 2, (const int[]){60, 50}, 1.0);
    in.epochs[0][1].report.train_loss = (double)NAN;
    in.rows[0].diverged = true;
    struct compare_request request = by_m();
    request.metric = COMPARE_TRAIN_LOSS;
    struct comparison c = compare(&in, &request);
    assert_int_equal(c.groups[0].n_diverged, 1);
    assert_int_equal(c.groups[0].points[1].value.n, 1);
    assert_near(c.groups[0].points[1].value.mean, 1.0);
    assert_near(c.groups[0].best.mean, (2.0 + 1.0) / 2);
    comparison_clear(&c);
    in.epochs[1][1].report.train_loss = (double)INFINITY;
    c = compare(&in, &request);
    assert_int_equal(c.groups[0].points[1].value.n, 0);
    assert_true(isnan(c.groups[0].points[1].value.mean));
    comparison_clear(&c);
}

static void runs_without_epochs_are_groups_without_points(void **state) {
    (void)state;
    static struct input in;
    in.n = 0;
    add_run(&in, "\"m\":2", 1, 0, NULL, 0);
    struct compare_request request = by_m();
    request.x = COMPARE_IMAGES;
    struct comparison c = compare(&in, &request);
    assert_int_equal(c.n_groups, 1);
    assert_int_equal(c.groups[0].n_points, 0);
    assert_int_equal(c.groups[0].best.n, 0);
    assert_true(isnan(c.groups[0].best.mean));
    assert_int_equal(c.groups[0].total_seconds.n, 0);
    comparison_clear(&c);
    in.n = 0;
    c = compare(&in, &request);
    assert_int_equal(c.n_groups, 0);
    comparison_clear(&c);
}

static void several_fields_make_a_key(void **state) {
    (void)state;
    static struct input in;
    in.n = 0;
    add_run(&in, "\"m\":2,\"copies\":\"independent\"", 1, 1, (const int[]){1}, 1);
    add_run(&in, "\"m\":2,\"copies\":\"aliased\"", 1, 1, (const int[]){2}, 1);
    struct compare_request request = {
        .target = (double)NAN, .n_fields = 2, .fields = {"m", "copies"}};
    struct comparison c = compare(&in, &request);
    assert_int_equal(c.n_groups, 2);
    assert_string_equal(c.groups[0].label, "m=2 copies=aliased");
    assert_string_equal(c.groups[0].values[1], "\"aliased\"");
    comparison_clear(&c);
    request = (struct compare_request){.target = (double)NAN, .each_run = true, .baseline = "2"};
    c = compare(&in, &request);
    assert_int_equal(c.n_groups, 2);
    assert_int_equal(c.baseline, 1);
    assert_int_equal(c.groups[0].runs[0], 0);
    comparison_clear(&c);
}

/* What to group the first n runs by. */
static void find_fields(const struct input *in, size_t n, struct compare_request *request) {
    CLEANUP(config_diff_clear) struct config_diff diff = {.first = NULL};
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(config_diff_add(&diff, in->rows[i].config_json, NULL), STATUS_OK);
    }
    compare_find_fields(&diff, request);
}

static void runs_are_grouped_by_what_differs(void **state) {
    (void)state;
    static struct input in;
    in.n = 0;
    add_run(&in, "\"m\":2,\"lr\":0.1", 1, 0, NULL, 0);
    add_run(&in, "\"m\":4,\"lr\":0.1", 2, 0, NULL, 0);
    struct compare_request request = by_m();
    find_fields(&in, 2, &request);
    assert_int_equal(request.n_fields, 1);
    assert_string_equal(request.fields[0], "m");
    find_fields(&in, 1, &request);
    assert_int_equal(request.n_fields, 0);
    assert_false(request.each_run);
    struct comparison c = compare(&in, &request);
    assert_int_equal(c.n_groups, 1);
    assert_string_equal(c.groups[0].label, "all runs");
    comparison_clear(&c);
}

/* Longer than any room for a value was: two experiments, not one group. */
static void long_values_that_differ_make_two_groups(void **state) {
    (void)state;
    static struct input in;
    in.n = 0;
    for (int run = 0; run < 3; run++) {
        char fields[800] = "\"m\":2,\"lr_schedule\":[";
        for (int i = 0; i < 16; i++) {
            size_t used = strlen(fields);
            (void)snprintf(fields + used, sizeof(fields) - used, "%s{\"epoch\":%d,\"lr\":0.%015d}",
                           i ? "," : "", 10000 + i, i == 15 && run == 2 ? 123456789 : 987654321);
        }
        strcat(fields, "]");
        add_run(&in, fields, run, 1, (const int[]){run + 1}, 1);
    }
    struct compare_request request = {.target = (double)NAN};
    find_fields(&in, 3, &request);
    assert_int_equal(request.n_fields, 1);
    assert_string_equal(request.fields[0], "lr_schedule");
    struct comparison c = compare(&in, &request);
    assert_int_equal(c.n_groups, 2);
    assert_int_equal(c.groups[0].n_runs + c.groups[1].n_runs, 3);
    assert_string_not_equal(c.groups[0].label, c.groups[1].label);
    assert_true(strlen(c.groups[0].values[0]) > 512);
    assert_int_equal(strncmp(c.groups[0].values[0], "[{\"epoch\":10000,", 16), 0);
    comparison_clear(&c);
}

/* Stored before a field was there, a run means by it what it did. */
static void an_older_run_is_compared_by_what_it_means(void **state) {
    (void)state;
    static struct input in;
    in.n = 0;
    add_run(&in, "\"m\":2", 1, 1, (const int[]){1}, 1);
    add_run(&in, "\"m\":2,\"grad_clip\":0", 2, 1, (const int[]){1}, 1);
    struct compare_request request = {.target = (double)NAN};
    find_fields(&in, 2, &request);
    assert_int_equal(request.n_fields, 0);
    add_run(&in, "\"m\":2,\"grad_clip\":1", 3, 1, (const int[]){1}, 1);
    find_fields(&in, 3, &request);
    assert_int_equal(request.n_fields, 1);
    struct comparison c = compare(&in, &request);
    assert_int_equal(c.n_groups, 2);
    assert_string_equal(c.groups[0].label, "grad_clip=0");
    assert_int_equal(c.groups[0].n_runs, 2);
    comparison_clear(&c);
}

static void metrics_and_axes_have_names(void **state) {
    (void)state;
    for (int i = 0; i < COMPARE_METRIC_COUNT; i++) {
        enum compare_metric metric = COMPARE_METRIC_COUNT;
        assert_true(compare_metric_from_name(compare_metric_name((enum compare_metric)i), &metric));
        assert_int_equal(metric, i);
    }
    for (int i = 0; i < COMPARE_X_COUNT; i++) {
        enum compare_x x = COMPARE_X_COUNT;
        assert_true(compare_x_from_name(compare_x_name((enum compare_x)i), &x));
        assert_int_equal(x, i);
    }
    enum compare_x x = COMPARE_STEP;
    assert_false(compare_x_from_name("hours", &x));
    assert_int_equal(x, COMPARE_STEP);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_of_a_value_are_one_curve_in_order_of_the_value),
        cmocka_unit_test(numbers_are_ordered_as_numbers),
        cmocka_unit_test(the_target_is_reached_at_the_first_epoch_at_or_below_it),
        cmocka_unit_test(accuracy_counts_upwards),
        cmocka_unit_test(other_validation_errors_are_metrics_of_their_own),
        cmocka_unit_test(time_and_speed_are_those_of_a_run),
        cmocka_unit_test(curves_run_along_steps_images_and_mean_seconds),
        cmocka_unit_test(each_epoch_counts_with_its_own_images_and_steps),
        cmocka_unit_test(differences_are_paired_by_seed),
        cmocka_unit_test(shorter_runs_leave_the_mean_and_the_curve_goes_only_forward),
        cmocka_unit_test(a_diverged_run_counts_where_it_has_numbers),
        cmocka_unit_test(runs_without_epochs_are_groups_without_points),
        cmocka_unit_test(several_fields_make_a_key),
        cmocka_unit_test(runs_are_grouped_by_what_differs),
        cmocka_unit_test(long_values_that_differ_make_two_groups),
        cmocka_unit_test(an_older_run_is_compared_by_what_it_means),
        cmocka_unit_test(metrics_and_axes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
