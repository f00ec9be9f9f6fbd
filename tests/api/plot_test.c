/* Plots, read as SVG: ticks people would draw, labels beside the axes, text that stays text. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/api/plot_fixture.h"

static struct plot_ticks ticks_of(double low, double high, bool log, double length, bool coarse,
                                  bool whole) {
    const struct plot_axis axis = {.low = low, .high = high, .log = log, .from = 0, .to = length};
    struct plot_ticks ticks;
    plot_axis_ticks(&axis, 18, coarse, whole, &ticks);
    return ticks;
}

/* As they are written, with blanks between. */
static const char *words_of(const struct plot_ticks *ticks) {
    static char words[512];
    char text[PLOT_TICK_SIZE];
    words[0] = '\0';
    for (int i = 0; i < ticks->n; i++) {
        strcat(strcat(words, i ? " " : ""), plot_tick_text(ticks, ticks->values[i], text));
    }
    return words;
}

static void assert_ticks(struct plot_ticks ticks, const char *expected) {
    assert_string_equal(words_of(&ticks), expected);
}

static void ticks_are_1_2_5_times_a_power_of_ten_with_equal_decimals(void **state) {
    (void)state;
    assert_ticks(ticks_of(0, 50, false, 100, false, false), "0 10 20 30 40 50");
    assert_ticks(ticks_of(0.895, 0.945, false, 60, false, false), "0.90 0.92 0.94");
    assert_ticks(ticks_of(0, 0.57, false, 60, false, false), "0.0 0.2 0.4");
    assert_ticks(ticks_of(-30, 30, false, 60, false, false), "\u221220 0 20");
    assert_ticks(ticks_of(0, 4000, false, 60, false, false), "0 2,000 4,000");
    assert_ticks(ticks_of(0, 3, false, 200, false, true), "0 1 2 3");
    assert_ticks(ticks_of(3.2, 3.8, false, 60, false, true), "3.2 3.4 3.6 3.8");
}

static void the_smallest_axis_keeps_its_ticks(void **state) {
    (void)state;
    for (int length = 20; length < 60; length++) {
        assert_true(ticks_of(0, 97, false, length, false, false).n >= 3);
        assert_true(ticks_of(4.3, 88, true, length, false, false).n >= 2);
        assert_true(ticks_of(6.5, 9.4, true, length, false, false).n >= 2);
        assert_true(ticks_of(0, 1, false, length, false, true).n >= 2);
    }
}

static void log_ticks_keep_their_distance_and_6_10_20_longest(void **state) {
    (void)state;
    assert_ticks(ticks_of(4.5, 44, true, 400, false, false), "5 6 7 8 10 15 20 30 40");
    assert_ticks(ticks_of(4.5, 44, true, 90, false, false), "6 10 20 40");
    assert_ticks(ticks_of(0.9, 110, true, 200, true, false), "1 3 10 30 100");
    assert_ticks(ticks_of(0.045, 0.44, true, 90, false, false), "0.06 0.10 0.20 0.40");
    assert_ticks(ticks_of(0.009, 300, true, 400, true, false),
                 "0.01 0.03 0.1 0.3 1 3 10 30 100 300");
}

/* The picture as a text that ends with NUL; owned by the caller. */
static char *svg_of(const struct plot *plot) {
    struct error error = {.message = ""};
    char *bytes = NULL;
    size_t n = 0;
    if (plot_draw(plot, FIGURE_SVG, &bytes, &n, &error) != STATUS_OK) {
        fail_msg("%s", error.message);
    }
    char *text = strndup(bytes, n);
    assert_non_null(text);
    free(bytes);
    return text;
}

static int count(const char *text, const char *part) {
    int n = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part)) {
        n++;
    }
    return n;
}

/* The attribute of the element that begins at `element`. */
static double number_at(const char *element, const char *attribute) {
    const char *at = strstr(element, attribute);
    assert_non_null(at);
    return strtod(at + strlen(attribute), NULL);
}

/* Where the clip of the curves ends on the right. */
static double right_of_axes(const char *svg) {
    const char *clip = strstr(svg, "<clipPath");
    assert_non_null(clip);
    return number_at(clip, " x=\"") + number_at(clip, " width=\"");
}

/* The text element whose text begins like this. */
static const char *text_element(const char *svg, const char *text) {
    for (const char *at = strstr(svg, "<text"); at; at = strstr(at + 1, "<text")) {
        const char *content = strchr(at, '>') + 1;
        if (strncmp(content, text, strlen(text)) == 0) {
            return at;
        }
    }
    return NULL;
}

static void labels_stand_beside_the_axes(void **state) {
    (void)state;
    struct plot_series series[40];
    char labels[40][24];
    for (int n = 1; n <= 40; n += 13) {
        for (int i = 0; i < n; i++) {
            (void)snprintf(labels[i], sizeof(labels[i]), "group %02d", i);
            series[i] = series_of(labels[i], falling, 4);
        }
        struct plot plot = plot_of(series, (size_t)n);
        for (int width = 150; width <= 600; width += 150) {
            plot.width = width;
            char *svg = svg_of(&plot);
            const char *first = text_element(svg, "grou");
            assert_non_null(first);
            assert_true(number_at(first, " x=\"") > right_of_axes(svg));
            assert_true(right_of_axes(svg) > 0.5 * width);
            free(svg);
        }
    }
}

static void svg_text_is_text_and_users_text_no_markup(void **state) {
    (void)state;
    const struct plot_series series = series_of("<b>&amp;", falling, 4);
    struct plot plot = plot_of(&series, 1);
    plot.width = 490;
    plot.title = "<script>alert(1)</script> & \u8a9e";
    char *svg = svg_of(&plot);
    assert_non_null(text_element(svg, "&lt;script&gt;alert(1)&lt;/script&gt; &amp; \u8a9e"));
    assert_non_null(text_element(svg, "&lt;b&gt;&amp;amp;"));
    assert_non_null(text_element(svg, "validation error"));
    assert_null(strstr(svg, "<script"));
    free(svg);
}

static void what_does_not_fit_is_cut_with_a_sign(void **state) {
    (void)state;
    char name[600] = "";
    for (int i = 0; i < 60; i++) {
        strcat(name, "\u8a9e ab ");
    }
    const struct plot_series series = series_of(name, falling, 4);
    struct plot plot = plot_of(&series, 1);
    plot.title = name;
    char *svg = svg_of(&plot);
    for (int i = 0; i < 2; i++) {
        const char *element = text_element(i ? strstr(svg, "<clipPath") : svg, "\u8a9e ab");
        assert_non_null(element);
        char *content = strndup(element, strcspn(element, "\n"));
        assert_non_null(strstr(content, "\u2026</text>"));
        assert_true(strlen(content) < 300);
        free(content);
    }
    free(svg);
}

static void a_target_far_away_does_not_squash_the_curves(void **state) {
    (void)state;
    const struct plot_series series = series_of("M 2", falling, 4);
    struct plot plot = plot_of(&series, 1);
    plot.y_scale = PLOT_LINEAR;
    plot.target = 40;
    char *svg = svg_of(&plot);
    assert_non_null(text_element(svg, "target 40\u00a0\u2191"));
    assert_non_null(text_element(svg, "0.4"));
    free(svg);
    plot.y_scale = PLOT_LOG;
    plot.target = 0.0001;
    svg = svg_of(&plot);
    assert_non_null(text_element(svg, "target 0.0001\u00a0\u2193"));
    free(svg);
    plot.target = 0.1;
    svg = svg_of(&plot);
    assert_non_null(text_element(svg, "target 0.1<"));
    free(svg);
}

static void a_run_without_epochs_is_not_there(void **state) {
    (void)state;
    const struct plot_series series[] = {series_of("nothing yet", NULL, 0),
                                         series_of("M 2", falling, 4)};
    struct plot plot = plot_of(series, 2);
    char *svg = svg_of(&plot);
    assert_null(strstr(svg, "nothing yet"));
    assert_int_equal(count(svg, "font-weight"), 1);
    free(svg);
    plot.n_series = 1;
    svg = svg_of(&plot);
    assert_non_null(text_element(svg, "No epoch is finished yet."));
    free(svg);
}

/* A dot is drawn over the frame, not within the clip of the curves. */
static void a_run_of_one_epoch_is_a_whole_dot(void **state) {
    (void)state;
    const struct plot_series series = series_of("M 2", falling, 1);
    struct plot plot = plot_of(&series, 1);
    plot.target = (double)NAN;
    char *svg = svg_of(&plot);
    const char *end_of_clip = strstr(svg, "</g>");
    const char *dot = strstr(svg, "<circle");
    assert_true(end_of_clip && dot > end_of_clip);
    double x = number_at(dot, "cx=\"");
    assert_true(x <= right_of_axes(svg) && x >= number_at(strstr(svg, "<clipPath"), " x=\""));
    free(svg);
}

static void band_and_n_are_explained(void **state) {
    (void)state;
    const struct plot_series series = series_of("M 2", falling, 4);
    struct plot plot = plot_of(&series, 1);
    plot.width = 490;
    char *svg = svg_of(&plot);
    assert_non_null(
        text_element(svg, "Band: mean \u00b1 1 sd of the runs; n = 2; \u25cb fewer runs"));
    free(svg);
}

/* The smallest picture has two ticks on each axis. */
static void a_small_picture_keeps_its_ticks(void **state) {
    (void)state;
    const struct plot_series series = series_of("M 2", falling, 4);
    struct plot plot = plot_of(&series, 1);
    plot.width = PLOT_MIN_WIDTH;
    plot.height = PLOT_MIN_HEIGHT;
    plot.title = "a title";
    char *svg = svg_of(&plot);
    assert_true(count(svg, "text-anchor=\"middle\"") >= 2);
    assert_true(count(svg, "text-anchor=\"end\"") >= 3); /* and the name of the x axis */
    free(svg);
}

static void zoom_shows_this_part_alone(void **state) {
    (void)state;
    const struct plot_series series = series_of("M 2", falling, 4);
    struct plot plot = plot_of(&series, 1);
    static const double part[4] = {10, 20, 0.31, 0.39};
    memcpy(plot.zoom, part, sizeof(part));
    char *svg = svg_of(&plot);
    assert_non_null(text_element(svg, "15<"));
    assert_non_null(text_element(svg, "0.35"));
    assert_null(text_element(svg, "0.4"));
    free(svg);
    /* Between two points, behind the last one, of one kind of axis or the other. */
    static const double parts[][4] = {{1.2, 1.8, (double)NAN, (double)NAN},
                                      {50, 60, (double)NAN, (double)NAN},
                                      {1e-9, 1e-8, 1e-12, 1e-11},
                                      {-5, -4, -3, -2},
                                      {1e300, 1e301, 1e-300, 1e300},
                                      {0, 5e-324, (double)NAN, (double)NAN},
                                      {0, 5e-324, 0, 5e-324},
                                      {0, 1e-50, 0, 1e-50},
                                      {-1e308, 1e308, -1e308, 1e308}};
    for (size_t i = 0; i < 3 * sizeof(parts) / sizeof(parts[0]); i++) {
        memcpy(plot.zoom, parts[i / 3], sizeof(parts[0]));
        plot.y_scale = (enum plot_scale)(i % 3);
        plot.x_log = i % 2 == 1;
        plot.x_is_count = i % 2 == 0;
        free(svg_of(&plot));
    }
}

/* Curves of n groups, the last of which is the best. */
static char *svg_of_many(size_t n, double width, double height) {
    static struct plot_series series[60];
    static char labels[60][32];
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(labels[i], sizeof(labels[i]), "group %02zu", i);
        series[i] = series_of(labels[i], falling, 4);
        series[i].best = 0.5 - 0.001 * (double)i;
    }
    struct plot plot = plot_of(series, n);
    plot.width = width;
    plot.height = height;
    return svg_of(&plot);
}

static void many_curves_are_grey_but_for_the_best_three(void **state) {
    (void)state;
    char *svg = svg_of_many(12, 490, 300);
    assert_int_equal(count(svg, "stroke=\"#5f666c\""), 0);
    free(svg);
    svg = svg_of_many(13, 490, 300);
    assert_int_equal(count(svg, "font-weight"), 3);
    assert_int_equal(count(svg, ">group "), 13);
    for (int i = 10; i < 13; i++) {
        char label[32];
        (void)snprintf(label, sizeof(label), "group %d", i);
        assert_non_null(strstr(text_element(svg, label), "font-weight"));
    }
    assert_non_null(strstr(svg, "In colour the best three"));
    free(svg);
}

static void groups_that_are_left_out_are_told(void **state) {
    (void)state;
    static const double sizes[][2] = {{490, 300}, {720, 420}, {900, 200}, {1200, 900}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *svg = svg_of_many(57, sizes[i][0], sizes[i][1]);
        const char *more = strstr(svg, " more not named");
        int named = count(svg, ">group ");
        assert_non_null(text_element(svg, "The best 32 of 57 groups"));
        assert_null(text_element(svg, "group 24")); /* the 25 worst */
        assert_non_null(text_element(svg, "group 56"));
        assert_int_equal(named + (more ? atoi(more - 2) : 0), 32);
        free(svg);
    }
    char *svg = svg_of_many(57, PLOT_MIN_WIDTH, PLOT_MIN_HEIGHT);
    assert_non_null(strstr(svg, "best 32 of 57"));
    free(svg);
}

/* Rungs outside of the zoom are not there, and their numbers do not lie on each other. */
static void rungs_say_how_many_went_on_and_who_paused(void **state) {
    (void)state;
    static const struct plot_rung rungs[] = {{1, 6, 2}, {1.01, 5, 3}, {4, 2, 1}};
    struct plot_point points[] = {
        {1, 0.5, 0.02, 2, false}, {2, 0.4, 0.02, 2, true}, {4, 0.2, 0.01, 1, false}};
    const struct plot_series series = series_of("M 2", points, 3);
    struct plot plot = plot_of(&series, 1);
    plot.width = 490;
    plot.rungs = rungs;
    plot.n_rungs = 3;
    char *svg = svg_of(&plot);
    assert_non_null(text_element(svg, "2 of 6<"));
    assert_null(text_element(svg, "3 of 5<"));
    assert_int_equal(count(svg, "stroke-dasharray=\"1 2.5\""), 3);
    assert_non_null(strstr(svg, "\u2016 runs paused here"));
    free(svg);
    points[1].paused = false;
    plot.zoom[0] = 2;
    plot.zoom[1] = 5;
    svg = svg_of(&plot);
    assert_null(text_element(svg, "2 of 6<"));
    assert_non_null(text_element(svg, "1 of 2<"));
    assert_null(strstr(svg, "\u2016"));
    free(svg);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_are_1_2_5_times_a_power_of_ten_with_equal_decimals),
        cmocka_unit_test(the_smallest_axis_keeps_its_ticks),
        cmocka_unit_test(log_ticks_keep_their_distance_and_6_10_20_longest),
        cmocka_unit_test(labels_stand_beside_the_axes),
        cmocka_unit_test(svg_text_is_text_and_users_text_no_markup),
        cmocka_unit_test(what_does_not_fit_is_cut_with_a_sign),
        cmocka_unit_test(a_target_far_away_does_not_squash_the_curves),
        cmocka_unit_test(a_run_without_epochs_is_not_there),
        cmocka_unit_test(a_run_of_one_epoch_is_a_whole_dot),
        cmocka_unit_test(band_and_n_are_explained),
        cmocka_unit_test(a_small_picture_keeps_its_ticks),
        cmocka_unit_test(zoom_shows_this_part_alone),
        cmocka_unit_test(many_curves_are_grey_but_for_the_best_three),
        cmocka_unit_test(groups_that_are_left_out_are_told),
        cmocka_unit_test(rungs_say_how_many_went_on_and_who_paused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
