/* Where log lines go: stderr, with the time on a terminal or in a file, with the journal's priority
 * marks under systemd.
 *
 * Layer: daemon. Thread rule: install once before threads start, close once after them; log_* from
 * any thread in between.
 *
 * No log_* call waits for stderr: lines go into a buffer of LOG_SINK_BYTES, which a thread writes.
 * While nobody reads stderr and the buffer is full, lines are dropped; as soon as there is room
 * again, a line says how many.
 */
#ifndef CUTOUTD_DAEMON_MAIN_LOG_SINK_H
#define CUTOUTD_DAEMON_MAIN_LOG_SINK_H

#include <stdint.h>

#include "core/base/log.h"

enum { LOG_SINK_BYTES = 256 << 10, LOG_SINK_STAMP_SIZE = 48 };

/* Signals that the caller has blocked are blocked in the writing thread. */
void log_sink_install(enum log_level max_level);

/* Waits until everything is written, for at most a second. Lines may come afterwards as well. */
void log_sink_close(void);

/* "2026-10-25T02:30:00.250+01:00": local time with its offset, so that no hour comes twice (ISO
 * 8601). Returns ret_stamp. */
const char *log_sink_stamp(int64_t unix_ms, char ret_stamp[LOG_SINK_STAMP_SIZE]);

#endif
