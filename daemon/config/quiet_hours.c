/* Layer: daemon. Thread rule: see the header. */
#include "daemon/config/quiet_hours.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { DAY_MIN = 24 * 60, WEEK = 7 };

static const int64_t MINUTE_MS = 60 * 1000;

/* ---- reading ---- */

static const char *const day_names[WEEK] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

/* -1: none begins here. */
static int read_day(const char **text) {
    for (int day = 0; day < WEEK; day++) {
        if (strncmp(*text, day_names[day], 3) == 0) {
            *text += 3;
            return day;
        }
    }
    return -1;
}

/* "Mon", "Mon-Fri"; nothing: every day. */
static bool read_days(const char **text, unsigned *ret_days) {
    int first = read_day(text);
    if (first < 0) {
        *ret_days = (1u << WEEK) - 1;
        return true;
    }
    int last = first;
    if (**text == '-') {
        ++*text;
        last = read_day(text);
    }
    if (last < 0 || **text != ' ') {
        return false;
    }
    *ret_days = 0;
    for (int day = first;; day = (day + 1) % WEEK) {
        *ret_days |= 1u << day;
        if (day == last) {
            return true;
        }
    }
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* "08:00"; -1: it is none. */
static int read_clock(const char **text) {
    const char *t = *text;
    if (!is_digit(t[0]) || !is_digit(t[1]) || t[2] != ':' || !is_digit(t[3]) || !is_digit(t[4])) {
        return -1;
    }
    int hour = 10 * (t[0] - '0') + (t[1] - '0');
    int minute = 10 * (t[3] - '0') + (t[4] - '0');
    *text += 5;
    return minute < 60 && hour * 60 + minute <= DAY_MIN ? hour * 60 + minute : -1;
}

static void skip_blanks(const char **text) {
    *text += strspn(*text, " \t");
}

static bool read_window(const char **text, struct quiet_window *window) {
    if (!read_days(text, &window->days)) {
        return false;
    }
    skip_blanks(text);
    window->from_min = read_clock(text);
    if (window->from_min < 0 || window->from_min == DAY_MIN || **text != '-') {
        return false;
    }
    ++*text;
    window->until_min = read_clock(text);
    if (window->until_min < 0 || window->until_min == window->from_min) {
        return false;
    }
    window->until_min = window->until_min == 0 ? DAY_MIN : window->until_min;
    skip_blanks(text);
    return **text == '\0' || **text == ',';
}

enum status quiet_hours_parse(const char *text, struct quiet_hours *ret, struct error *error) {
    struct quiet_hours quiet = {.n = 0};
    skip_blanks(&text);
    while (*text) {
        const char *begin = text;
        if (quiet.n == QUIET_MOST_WINDOWS) {
            return error_set(error, STATUS_INVALID, "there may be %d windows", QUIET_MOST_WINDOWS);
        }
        if (!read_window(&text, &quiet.windows[quiet.n])) {
            return error_set(error, STATUS_INVALID,
                             "'%.*s' should be a window such as Mon-Fri 08:00-18:00, with days as "
                             "Mon Tue Wed Thu Fri Sat Sun",
                             (int)strcspn(begin, ","), begin);
        }
        quiet.n++;
        text += *text == ',';
        skip_blanks(&text);
    }
    *ret = quiet;
    return STATUS_OK;
}

/* ---- looking at the clock ---- */

static bool holds(const struct quiet_window *window, int day, int minute) {
    bool today = window->days & (1u << day);
    bool yesterday = window->days & (1u << ((day + WEEK - 1) % WEEK));
    if (window->until_min > window->from_min) {
        return today && minute >= window->from_min && minute < window->until_min;
    }
    return (today && minute >= window->from_min) || (yesterday && minute < window->until_min);
}

bool quiet_hours_hold(const struct quiet_hours *quiet, int64_t now_ms) {
    time_t now = (time_t)(now_ms / 1000);
    struct tm local;
    if (quiet->n == 0 || !localtime_r(&now, &local)) {
        return false;
    }
    for (int i = 0; i < quiet->n; i++) {
        if (holds(&quiet->windows[i], local.tm_wday, local.tm_hour * 60 + local.tm_min)) {
            return true;
        }
    }
    return false;
}

/* Minute by minute: what the clock on the wall does between them is the time zone's affair. */
int64_t quiet_hours_change(const struct quiet_hours *quiet, int64_t now_ms) {
    if (quiet->n == 0) {
        return 0;
    }
    bool now = quiet_hours_hold(quiet, now_ms);
    int64_t at_ms = (now_ms / MINUTE_MS + 1) * MINUTE_MS;
    for (int i = 0; i < (WEEK + 1) * DAY_MIN; i++, at_ms += MINUTE_MS) {
        if (quiet_hours_hold(quiet, at_ms) != now) {
            return at_ms;
        }
    }
    return 0;
}
