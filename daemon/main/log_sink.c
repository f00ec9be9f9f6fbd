/* Layer: daemon. One write a line, so that lines of several threads never mix. */
#include "daemon/main/log_sink.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void write_line(const char *prefix, const char *line) {
    char text[2304];
    int n = snprintf(text, sizeof(text), "%s%s\n", prefix, line);
    size_t length = n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1;
    ssize_t written = write(STDERR_FILENO, text, length);
    (void)written; /* there is nowhere to report a failing log */
}

static void to_journal(void *user, enum log_level level, const char *line) {
    (void)user;
    static const char *const priorities[] = {"<3>", "<4>", "<6>", "<7>"};
    write_line(priorities[level], line);
}

static void to_stderr(void *user, enum log_level level, const char *line) {
    (void)user;
    static const char *const names[] = {"error: ", "warning: ", "", "debug: "};
    struct timespec now;
    struct tm local;
    char stamp[32];
    char prefix[64];
    clock_gettime(CLOCK_REALTIME, &now);
    (void)localtime_r(&now.tv_sec, &local);
    (void)strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &local);
    (void)snprintf(prefix, sizeof(prefix), "%s.%03ld %s", stamp, now.tv_nsec / 1000000,
                   names[level]);
    write_line(prefix, line);
}

void log_sink_install(enum log_level max_level) {
    bool journal = getenv("JOURNAL_STREAM") != NULL && !isatty(STDERR_FILENO);
    log_install(journal ? to_journal : to_stderr, NULL, max_level);
}
