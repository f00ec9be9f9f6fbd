/* Layer: daemon/main. */
#include "daemon/main/watchdog.h"

#include "core/base/log.h"

static const double RUN_PATIENCE_S = 600.0;
static const double PATIENCE_S = 60.0;

static const char *const names[WATCHED_COUNT] = {
    [WATCHED_RUNS] = "a run",
    [WATCHED_SCHEDULER] = "the scheduler",
    [WATCHED_WRITER] = "the writer of the database",
    [WATCHED_HTTP] = "HTTP",
};

void watchdog_init(struct watchdog *watchdog, double limit_s) {
    for (int i = 0; i < WATCHED_COUNT; i++) {
        watchdog->told[i] = false;
        watchdog->patience_s[i] = limit_s / 2.0 < PATIENCE_S ? limit_s / 2.0 : PATIENCE_S;
    }
    watchdog->patience_s[WATCHED_RUNS] = RUN_PATIENCE_S;
}

bool watchdog_look(struct watchdog *watchdog, const double stalled_s[WATCHED_COUNT]) {
    bool fed = true;
    for (int i = 0; i < WATCHED_COUNT; i++) {
        bool stalled = stalled_s[i] > watchdog->patience_s[i];
        if (stalled && !watchdog->told[i]) {
            log_error("%s has not moved for %.0f seconds: the watchdog is not fed, systemd will "
                      "restart the daemon",
                      names[i], stalled_s[i]);
        } else if (!stalled && watchdog->told[i]) {
            log_warning("%s moves again", names[i]);
        }
        watchdog->told[i] = stalled;
        fed = fed && !stalled;
    }
    return fed;
}
