/* What systemd hears of us. Without systemd every function does nothing.
 *
 * Layer: daemon. Thread rule: one thread.
 */
#ifndef CUTOUTD_DAEMON_MAIN_NOTIFY_H
#define CUTOUTD_DAEMON_MAIN_NOTIFY_H

void notify_ready(const char *address);
void notify_stopping(void);
void notify_alive(void);

/* The line that `systemctl status` shows. */
void notify_status(const char *text);

/* Seconds between two calls of notify_alive: half of what the unit allows; `otherwise` when nothing
 * watches. */
double notify_interval_s(double otherwise);

#endif
