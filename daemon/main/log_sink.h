/* Where log lines go: to the journal with their fields where it reads stderr, otherwise to stderr,
 * as text with the time or as JSON.
 *
 * Layer: daemon/main. Thread rule: install once before threads start, close once after them; log_*
 * from any thread in between.
 *
 * No log_* call waits for stderr or the journal: lines go into a buffer of LOG_SINK_BYTES, which a
 * thread writes. While nobody reads and the buffer is full, lines are dropped; as soon as there is
 * room again, a line says how many.
 */
#ifndef CUTOUTD_DAEMON_MAIN_LOG_SINK_H
#define CUTOUTD_DAEMON_MAIN_LOG_SINK_H

#include "core/base/log.h"
#include "daemon/config/config.h"

enum { LOG_SINK_BYTES = 256 << 10 };

struct log_sink_options {
    enum log_level max_level;
    enum log_format format;
    const char *journal; /* path of its socket; NULL: systemd's */
};

/* Signals that the caller has blocked are blocked in the writing thread. */
void log_sink_install(const struct log_sink_options *options);

/* Waits until everything is written, for at most a second. Lines may come afterwards as well. */
void log_sink_close(void);

#endif
