/* What systemd hears of us, and what it hands over. Without systemd every function does nothing.
 *
 * Layer: daemon/main. Thread rule: one thread.
 */
#ifndef CUTOUTD_DAEMON_MAIN_NOTIFY_H
#define CUTOUTD_DAEMON_MAIN_NOTIFY_H

/* `status` is the line that `systemctl status` shows, in all of them. */
void notify_ready(const char *status);
void notify_stopping(const char *status);
void notify_status(const char *status);

/* The settings are read again; notify_ready says when that is done. */
void notify_reloading(void);

/* It may take so long from now until the process ends. */
void notify_more_time(double seconds);

void notify_alive(void);

/* Seconds that the unit allows between two calls of notify_alive; 0: nothing watches. */
double notify_watchdog_s(void);

/* Sockets that systemd opened for us: files *ret_first, *ret_first + 1, ...; returns how many. They
 * are the caller's, and are not handed to children. Once, before threads. */
int notify_sockets(int *ret_first);

#endif
