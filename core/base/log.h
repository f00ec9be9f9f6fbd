/* One line a message, to a sink that the composition root installs.
 *
 * Layer: core/base, but used by daemon/ and api/ only: core/ itself reports through return values
 * and callbacks. Thread rule: log_* may be called from any thread; log_install once, before
 * threads.
 */
#ifndef CUTOUTD_CORE_BASE_LOG_H
#define CUTOUTD_CORE_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Receives a whole line without its newline. */
typedef void log_sink(void *user, enum log_level level, const char *line);

/* Lines above `max_level` are dropped. A NULL sink (also the initial state) drops everything. */
void log_install(log_sink *sink, void *user, enum log_level max_level);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
