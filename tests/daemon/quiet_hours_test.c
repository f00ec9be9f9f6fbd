/* Quiet hours: what is read, and the clock on the wall, also where summer time begins and ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "core/base/time_text.h"
#include "daemon/config/quiet_hours.h"

static struct quiet_hours parse(const char *text) {
    struct quiet_hours quiet;
    struct error error;
    if (quiet_hours_parse(text, &quiet, &error) != STATUS_OK) {
        fail_msg("%s: %s", text, error.message);
    }
    return quiet;
}

static int64_t at(const char *text) {
    int64_t ms = 0;
    assert_true(time_parse(text, &ms));
    return ms;
}

static void expect_change(const struct quiet_hours *quiet, const char *now, const char *then) {
    char text[TIME_TEXT_SIZE];
    assert_string_equal(time_format(quiet_hours_change(quiet, at(now)), text), then);
}

/* Central Europe, by the rule itself: no data base of time zones is needed. */
static int in_central_europe(void **state) {
    (void)state;
    assert_int_equal(setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1), 0);
    tzset();
    return 0;
}

static void windows_are_read(void **state) {
    (void)state;
    struct quiet_hours quiet = parse("Mon-Fri 08:00-18:00,Sat 09:30-24:00 , 23:00-00:00");
    assert_int_equal(quiet.n, 3);
    assert_int_equal(quiet.windows[0].days, 0x3e);
    assert_int_equal(quiet.windows[0].from_min, 480);
    assert_int_equal(quiet.windows[0].until_min, 1080);
    assert_int_equal(quiet.windows[1].days, 0x40);
    assert_int_equal(quiet.windows[1].until_min, 1440);
    assert_int_equal(quiet.windows[2].days, 0x7f);
    assert_int_equal(quiet.windows[2].until_min, 1440);
    quiet = parse("Fri-Mon 08:00-09:00"); /* over the end of the week */
    assert_int_equal(quiet.windows[0].days, 0x63);
    assert_int_equal(parse("").n, 0);
}

static void what_is_no_window_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "Mon",
        "08:00",
        "mon 08:00-09:00",
        "Mon-08:00-09:00",
        "08:00-08:00",
        "8:00-9:00",
        "08:00-25:00",
        "08:60-09:00",
        "24:00-08:00",
        "Mon 08:00-09:00 x",
        "08:00 09:00",
        "Mon-Xyz 1:00-2:00",
        "08:00-09:00,,",
        "-08:00-09:00",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct quiet_hours quiet = {.n = 7};
        struct error error;
        if (quiet_hours_parse(texts[i], &quiet, &error) != STATUS_INVALID) {
            fail_msg("'%s' was taken", texts[i]);
        }
        assert_int_equal(quiet.n, 7);
    }
}

static void a_window_begins_and_ends_by_the_local_clock(void **state) {
    (void)state;
    struct quiet_hours quiet = parse("Mon-Fri 08:00-18:00");
    /* A Thursday in winter, one hour ahead of UTC. */
    assert_false(quiet_hours_hold(&quiet, at("2026-11-26T06:59:59.999Z")));
    assert_true(quiet_hours_hold(&quiet, at("2026-11-26T07:00:00Z")));
    assert_true(quiet_hours_hold(&quiet, at("2026-11-26T16:59:59Z")));
    assert_false(quiet_hours_hold(&quiet, at("2026-11-26T17:00:00Z")));
    assert_false(quiet_hours_hold(&quiet, at("2026-11-28T10:00:00Z"))); /* Saturday */
    expect_change(&quiet, "2026-11-26T07:00:00Z", "2026-11-26T17:00:00.000Z");
    expect_change(&quiet, "2026-11-27T17:00:00Z", "2026-11-30T07:00:00.000Z"); /* the weekend */
    struct quiet_hours always = parse("00:00-24:00");
    assert_int_equal(quiet_hours_change(&always, at("2026-11-26T07:00:00Z")), 0);
}

static void a_window_over_midnight_belongs_to_the_day_on_which_it_begins(void **state) {
    (void)state;
    struct quiet_hours quiet = parse("Fri 22:00-06:00");
    assert_true(quiet_hours_hold(&quiet, at("2026-11-27T21:00:00Z")));
    assert_true(quiet_hours_hold(&quiet, at("2026-11-28T04:59:59Z")));
    assert_false(quiet_hours_hold(&quiet, at("2026-11-28T05:00:00Z")));
    assert_false(quiet_hours_hold(&quiet, at("2026-11-27T04:00:00Z"))); /* the night before */
    expect_change(&quiet, "2026-11-28T05:00:00Z", "2026-12-04T21:00:00.000Z");
}

static void the_clock_on_the_wall_counts_over_the_change_of_summer_time(void **state) {
    (void)state;
    struct quiet_hours quiet = parse("08:00-18:00");
    /* The same hours of the day are other hours of UTC before and after. */
    expect_change(&quiet, "2026-03-28T12:00:00Z", "2026-03-28T17:00:00.000Z");
    expect_change(&quiet, "2026-03-28T17:00:00Z", "2026-03-29T06:00:00.000Z");
    expect_change(&quiet, "2026-10-24T16:00:00Z", "2026-10-25T07:00:00.000Z");
    /* In spring 02:00 to 03:00 is not there: a window over it is an hour shorter, one in it is
     * none. */
    struct quiet_hours night = parse("Sun 01:00-05:00");
    expect_change(&night, "2026-03-28T12:00:00Z", "2026-03-29T00:00:00.000Z");
    expect_change(&night, "2026-03-29T00:00:00Z", "2026-03-29T03:00:00.000Z");
    struct quiet_hours gone = parse("Sun 02:00-02:30");
    expect_change(&gone, "2026-03-28T12:00:00Z", "2026-04-05T00:00:00.000Z");
    /* In autumn it is there twice: a window over it is an hour longer, one in it comes twice. */
    expect_change(&night, "2026-10-24T12:00:00Z", "2026-10-24T23:00:00.000Z");
    expect_change(&night, "2026-10-24T23:00:00Z", "2026-10-25T04:00:00.000Z");
    expect_change(&gone, "2026-10-24T12:00:00Z", "2026-10-25T00:00:00.000Z");
    expect_change(&gone, "2026-10-25T00:00:00Z", "2026-10-25T00:30:00.000Z");
    expect_change(&gone, "2026-10-25T00:30:00Z", "2026-10-25T01:00:00.000Z");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_read),
        cmocka_unit_test(what_is_no_window_is_refused),
        cmocka_unit_test(a_window_begins_and_ends_by_the_local_clock),
        cmocka_unit_test(a_window_over_midnight_belongs_to_the_day_on_which_it_begins),
        cmocka_unit_test(the_clock_on_the_wall_counts_over_the_change_of_summer_time),
    };
    return cmocka_run_group_tests(tests, in_central_europe, NULL);
}
