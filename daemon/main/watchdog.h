/* When systemd's watchdog is fed: only while everything that must get on does.
 *
 * Layer: daemon/main. Thread rule: one thread.
 */
#ifndef CUTOUTD_DAEMON_MAIN_WATCHDOG_H
#define CUTOUTD_DAEMON_MAIN_WATCHDOG_H

#include <stdbool.h>

enum watched { WATCHED_RUNS, WATCHED_SCHEDULER, WATCHED_WRITER, WATCHED_HTTP, WATCHED_COUNT };

struct watchdog {
    double patience_s[WATCHED_COUNT];
    bool told[WATCHED_COUNT]; /* it stands still, and the log says so */
};

/* limit_s: what the unit allows between two feedings. A run may take ten minutes for a step; the
 * others a minute, and at most half of limit_s. */
void watchdog_init(struct watchdog *watchdog, double limit_s);

/* stalled_s: for how long each part has not moved. Whether the watchdog is to be fed; the log says
 * once what keeps it from that, and when it is over. */
bool watchdog_look(struct watchdog *watchdog, const double stalled_s[WATCHED_COUNT]);

#endif
