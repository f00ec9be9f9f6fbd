/* Layer: core/base. */
#include "core/base/time_text.h"

#include <stdio.h>
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
