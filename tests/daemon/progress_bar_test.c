/* What is drawn when, with a clock and a stream of the test's own. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/time_text.h"
#include "daemon/main/train/progress_bar.h"

static double now_s;

static double test_monotonic_s(void *user) {
    (void)user;
    return now_s;
}

static const struct clock test_clock = {.monotonic_s = test_monotonic_s};

static const struct step_report step = {
    .epoch = 3,
    .epochs = 50,
    .step = 390,
    .steps_per_epoch = 781,
    .loss = 1.23456,
    .accuracy = .5678,
    .lr = 1e-3,
    .images_per_second = 1234.4,
    .eta_seconds = 3723,
};

static const struct epoch_report epoch = {
    .epoch = 3,
    .train_loss = 1.25,
    .train_accuracy = .5,
    .val_loss = 1.5,
    .val_accuracy = .75,
    .val_wrong = 500,
    .val_total = 2000,
    .lr = 1e-3,
    .seconds = 61,
    .images_per_second = 1800,
    .best = true,
};

static char text[8192];

/* Leaves in `text` what `draw` prints. */
static void draw_into_text(bool is_terminal, void (*draw)(struct progress_bar *bar)) {
    memset(text, 0, sizeof(text));
    FILE *out = fmemopen(text, sizeof(text) - 1, "w");
    assert_non_null(out);
    struct progress_bar bar;
    now_s = 100;
    progress_bar_begin(&bar, out, is_terminal, &test_clock);
    draw(&bar);
    assert_int_equal(fclose(out), 0);
}

static void one_step(struct progress_bar *bar) {
    progress_bar_step(bar, &step);
}

static void a_step_draws_one_line_of_80_columns(void **state) {
    (void)state;
    draw_into_text(true, one_step);
    assert_string_equal(text,
                        "\repoch 3/50 [===>    ] 390/781  loss 1.2346  acc 0.5678  1234 img/s "
                        " ETA 1:02:03\x1b[K");
}

static void fifty_steps_over_a_second(struct progress_bar *bar) {
    for (int i = 0; i < 50; i++, now_s += 1.0 / 64) {
        progress_bar_step(bar, &step);
    }
}

static void it_is_redrawn_at_most_ten_times_a_second(void **state) {
    (void)state;
    draw_into_text(true, fifty_steps_over_a_second);
    int n_drawn = 0;
    for (const char *c = text; *c; c++) {
        n_drawn += *c == '\r';
    }
    assert_in_range(n_drawn, 6, 8); /* 50/64 of a second */
}

static void step_and_epoch(struct progress_bar *bar) {
    progress_bar_step(bar, &step);
    progress_bar_epoch(bar, &epoch, 50);
    progress_bar_clear(bar); /* nothing is left to clear */
}

#define EPOCH_LINE                                                                                 \
    "epoch 3/50  loss 1.2500  acc 0.5000  val_loss 1.5000  val_error 0.2500 (500 of 2000) best  "  \
    "lr 0.001  1:01  1800 img/s\n"

static void without_a_terminal_there_is_one_plain_line_an_epoch(void **state) {
    (void)state;
    draw_into_text(false, step_and_epoch);
    assert_string_equal(text, EPOCH_LINE);
}

static void in_a_terminal_the_epochs_line_takes_the_bars_place(void **state) {
    (void)state;
    draw_into_text(true, step_and_epoch);
    static const char end[] = "ETA 1:02:03\x1b[K\r\x1b[K" EPOCH_LINE;
    assert_string_equal(text + strlen(text) - strlen(end), end);
}

static void durations_read_well(void **state) {
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } known[] = {
        {0, "0:00"},        {7.4, "0:07"},         {59.6, "1:00"},        {3599, "59:59"},
        {3600, "1:00:00"},  {86400, "24:00:00"},   {4 * 86400, "4 days"}, {-1, "-:--"},
        {HUGE_VAL, "-:--"}, {(double)NAN, "-:--"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        char duration[DURATION_SIZE];
        assert_string_equal(duration_format(known[i].seconds, duration), known[i].text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_draws_one_line_of_80_columns),
        cmocka_unit_test(it_is_redrawn_at_most_ten_times_a_second),
        cmocka_unit_test(without_a_terminal_there_is_one_plain_line_an_epoch),
        cmocka_unit_test(in_a_terminal_the_epochs_line_takes_the_bars_place),
        cmocka_unit_test(durations_read_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
