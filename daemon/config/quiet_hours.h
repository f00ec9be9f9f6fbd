/* Hours of the week in which nothing trains: "Mon-Fri 08:00-18:00, Sat 09:00-12:00".
 *
 * Layer: daemon. Thread rule: pure functions but for the time zone of the process (tzset).
 *
 * Times are those of the clock on the wall: where summer time begins or ends, a window is an hour
 * shorter or longer if the change falls into it. A window that ends no later than it begins ends on
 * the next day: "Fri 22:00-06:00" ends on Saturday. Without days it is every day; 24:00 is
 * midnight.
 */
#ifndef CUTOUTD_DAEMON_CONFIG_QUIET_HOURS_H
#define CUTOUTD_DAEMON_CONFIG_QUIET_HOURS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"

enum { QUIET_MOST_WINDOWS = 16 };

struct quiet_window {
    unsigned days; /* on which it begins: bits 1u << 0 (Sunday) to 1u << 6 */
    int from_min;  /* minutes since midnight, 0 .. 1439 */
    int until_min; /* 1 .. 1440; not above from_min: of the next day */
};

struct quiet_hours {
    int n;
    struct quiet_window windows[QUIET_MOST_WINDOWS];
};

/* Windows separated by commas; "": none. STATUS_INVALID. *ret is written on success only. */
enum status quiet_hours_parse(const char *text, struct quiet_hours *ret, struct error *error);

/* Whether this moment (Unix time) is in a window. */
bool quiet_hours_hold(const struct quiet_hours *quiet, int64_t now_ms);

/* The next moment, a whole minute, at which the above changes; 0: within the next eight days it
 * does not. */
int64_t quiet_hours_change(const struct quiet_hours *quiet, int64_t now_ms);

#endif
