/* Layer: core/base. The three statics are written once by log_install, before any thread starts. */
#include "core/base/log.h"

#include <stdarg.h>
#include <stdio.h>

static log_sink *the_sink;
static void *the_user;
static enum log_level the_max_level;

void log_install(log_sink *sink, void *user, enum log_level max_level) {
    the_sink = sink;
    the_user = user;
    the_max_level = max_level;
}

static void emit(enum log_level level, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

static void emit(enum log_level level, const char *format, va_list arguments) {
    if (!the_sink || level > the_max_level) {
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
    the_sink(the_user, level, line);
}

#define DEFINE_LOG(name, level)                                                                    \
    void name(const char *format, ...) {                                                           \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        emit(level, format, arguments);                                                            \
        va_end(arguments);                                                                         \
    }

DEFINE_LOG(log_error, LOG_LEVEL_ERROR)
DEFINE_LOG(log_warning, LOG_LEVEL_WARNING)
DEFINE_LOG(log_info, LOG_LEVEL_INFO)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG)
