/* Layer: core/base. */
#include "core/base/time_text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

const char *time_format(int64_t unix_ms, char ret_text[TIME_TEXT_SIZE]) {
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm tm;
    char date[24] = "";
    if (gmtime_r(&seconds, &tm)) {
        (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    }
    (void)snprintf(ret_text, TIME_TEXT_SIZE, "%s.%03dZ", date, (int)(unix_ms % 1000));
    return ret_text;
}

/* Digits of a number up to `most`, moving along. */
static bool take_number(const char **text, int n_digits, int most, int *ret_number) {
    int number = 0;
    for (int i = 0; i < n_digits; i++, (*text)++) {
        if (**text < '0' || **text > '9') {
            return false;
        }
        number = 10 * number + (**text - '0');
    }
    *ret_number = number;
    return number <= most;
}

static bool take(const char **text, const char *letters) {
    bool found = **text && strchr(letters, **text);
    *text += found;
    return found;
}

/* ".25" as 250; what is finer than milliseconds is dropped. */
static bool take_fraction(const char **text, int *ret_ms) {
    *ret_ms = 0;
    if (!take(text, ".")) {
        return true;
    }
    int unit = 100;
    const char *begin = *text;
    for (; **text >= '0' && **text <= '9'; (*text)++, unit /= 10) {
        *ret_ms += unit * (**text - '0');
    }
    return *text > begin;
}

/* "Z", "+01:00". */
static bool take_zone(const char **text, int *ret_minutes) {
    int hours = 0;
    int minutes = 0;
    int sign = **text == '-' ? -1 : 1;
    *ret_minutes = 0;
    if (take(text, "Zz")) {
        return true;
    }
    if (!take(text, "+-") || !take_number(text, 2, 23, &hours) || !take(text, ":") ||
        !take_number(text, 2, 59, &minutes)) {
        return false;
    }
    *ret_minutes = sign * (60 * hours + minutes);
    return true;
}

bool time_parse(const char *text, int64_t *ret_unix_ms) {
    struct tm tm = {.tm_isdst = 0};
    int ms = 0;
    int zone = 0;
    bool good = take_number(&text, 4, 9999, &tm.tm_year) && take(&text, "-") &&
                take_number(&text, 2, 12, &tm.tm_mon) && take(&text, "-") &&
                take_number(&text, 2, 31, &tm.tm_mday) && take(&text, "Tt") &&
                take_number(&text, 2, 23, &tm.tm_hour) && take(&text, ":") &&
                take_number(&text, 2, 59, &tm.tm_min) && take(&text, ":") &&
                take_number(&text, 2, 60, &tm.tm_sec) && take_fraction(&text, &ms) &&
                take_zone(&text, &zone) && *text == '\0' && tm.tm_mon > 0 && tm.tm_mday > 0;
    if (!good) {
        return false;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    tm.tm_sec -= tm.tm_sec == 60; /* a leap second: the one before */
    const int day = tm.tm_mday;
    const int64_t seconds = timegm(&tm) - 60 * (int64_t)zone;
    if (tm.tm_mday != day || seconds < 0) { /* the 31st of a shorter month rolls over */
        return false;
    }
    *ret_unix_ms = seconds * 1000 + ms;
    return true;
}

const char *duration_format(double seconds, char ret_text[DURATION_SIZE]) {
    if (!(seconds >= 0 && seconds < 1e9)) {
        (void)snprintf(ret_text, DURATION_SIZE, "-:--");
        return ret_text;
    }
    long whole = (long)(seconds + 0.5);
    long minutes = whole / 60;
    if (whole < 3600) {
        (void)snprintf(ret_text, DURATION_SIZE, "%ld:%02ld", minutes, whole % 60);
    } else if (whole < 4L * 86400) {
        (void)snprintf(ret_text, DURATION_SIZE, "%ld:%02ld:%02ld", minutes / 60, minutes % 60,
                       whole % 60);
    } else {
        (void)snprintf(ret_text, DURATION_SIZE, "%ld days", whole / 86400);
    }
    return ret_text;
}
