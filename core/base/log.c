/* Layer: core/base. Sink and user are written once by log_install, before any thread starts. */
#include "core/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static log_sink *the_sink;
static void *the_user;
static atomic_int the_max_level;

void log_install(log_sink *sink, void *user, enum log_level max_level) {
    the_sink = sink;
    the_user = user;
    log_set_level(max_level);
}

void log_set_level(enum log_level max_level) {
    atomic_store(&the_max_level, (int)max_level);
}

static void emit(const struct log_subject *subject, enum log_level level, const char *format,
                 va_list arguments) __attribute__((format(printf, 3, 0)));

static void emit(const struct log_subject *subject, enum log_level level, const char *format,
                 va_list arguments) {
    if (!the_sink || (int)level > atomic_load_explicit(&the_max_level, memory_order_relaxed)) {
        return;
    }
    char line[2048];
    (void)vsnprintf(line, sizeof(line), format, arguments);
    /* A message never breaks into two journal entries. */
    for (char *c = line; *c; c++) {
        if (*c == '\n' || *c == '\r') {
            *c = ' ';
        }
    }
    the_sink(the_user, level, subject, line);
}

static const struct log_subject nothing;

#define DEFINE_LOG(name, level)                                                                    \
    void name(const char *format, ...) {                                                           \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        emit(&nothing, level, format, arguments);                                                  \
        va_end(arguments);                                                                         \
    }

DEFINE_LOG(log_error, LOG_LEVEL_ERROR)
DEFINE_LOG(log_warning, LOG_LEVEL_WARNING)
DEFINE_LOG(log_info, LOG_LEVEL_INFO)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG)

void log_about(const struct log_subject *subject, enum log_level level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    emit(subject, level, format, arguments);
    va_end(arguments);
}
