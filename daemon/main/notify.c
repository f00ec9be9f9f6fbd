/* Layer: daemon/main. */
#include "daemon/main/notify.h"

#include <stdint.h>
#include <systemd/sd-daemon.h>
#include <time.h>

void notify_ready(const char *status) {
    (void)sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void notify_stopping(const char *status) {
    (void)sd_notifyf(0, "STOPPING=1\nSTATUS=%s", status);
}

void notify_status(const char *status) {
    (void)sd_notifyf(0, "STATUS=%s", status);
}

void notify_reloading(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
                     (unsigned long long)now.tv_sec * 1000000ULL +
                         (unsigned long long)now.tv_nsec / 1000ULL);
}

void notify_more_time(double seconds) {
    (void)sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%llu", (unsigned long long)(seconds * 1e6));
}

void notify_alive(void) {
    (void)sd_notify(0, "WATCHDOG=1");
}

double notify_watchdog_s(void) {
    uint64_t limit_us = 0;
    return sd_watchdog_enabled(0, &limit_us) > 0 ? (double)limit_us * 1e-6 : 0.0;
}

int notify_sockets(int *ret_first) {
    int n = sd_listen_fds(1);
    *ret_first = SD_LISTEN_FDS_START;
    return n > 0 ? n : 0;
}
