/* Where log lines go: stderr, with the time on a terminal or in a file, with the journal's priority
 * marks under systemd.
 *
 * Layer: daemon. Thread rule: install once before threads start.
 */
#ifndef CUTOUTD_DAEMON_MAIN_LOG_SINK_H
#define CUTOUTD_DAEMON_MAIN_LOG_SINK_H

#include "core/base/log.h"

void log_sink_install(enum log_level max_level);

#endif
