/* One line a message, to a sink that the composition root installs.
 *
 * Layer: core/base, but used by daemon/ and api/ only: core/ itself reports through return values
 * and callbacks. Thread rule: log_* and log_set_level may be called from any thread; log_install
 * once, before threads.
 */
#ifndef CUTOUTD_CORE_BASE_LOG_H
#define CUTOUTD_CORE_BASE_LOG_H

#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* What a line is about, beside its words: to search by. A zeroed one names nothing. */
struct log_subject {
    int64_t run_id; /* 0: none, as the next */
    int64_t sweep_id;
    const char *owner; /* NULL or "": none, as the next */
    const char *request_id;
    const char *peer; /* where a request came from: an address, or "unix" */
};

/* Receives a whole line without its newline. */
typedef void log_sink(void *user, enum log_level level, const struct log_subject *subject,
                      const char *line);

/* Lines above `max_level` are dropped. A NULL sink (also the initial state) drops everything. */
void log_install(log_sink *sink, void *user, enum log_level max_level);

/* From now on. */
void log_set_level(enum log_level max_level);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

void log_about(const struct log_subject *subject, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
