/* Layer: daemon. */
#include "daemon/main/notify.h"

#include <stdint.h>
#include <systemd/sd-daemon.h>

void notify_ready(const char *address) {
    (void)sd_notifyf(0, "READY=1\nSTATUS=serving on %s", address);
}

void notify_stopping(void) {
    (void)sd_notify(0, "STOPPING=1\nSTATUS=writing checkpoints");
}

void notify_alive(void) {
    (void)sd_notify(0, "WATCHDOG=1");
}

void notify_status(const char *text) {
    (void)sd_notifyf(0, "STATUS=%s", text);
}

double notify_interval_s(double otherwise) {
    uint64_t limit_us = 0;
    if (sd_watchdog_enabled(0, &limit_us) <= 0 || limit_us == 0) {
        return otherwise;
    }
    double half = (double)limit_us * 0.5e-6;
    return half < otherwise ? half : otherwise;
}
