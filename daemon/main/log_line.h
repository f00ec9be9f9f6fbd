/* A line of the log as it is written.
 *
 * Layer: daemon/main. Thread rule: pure functions.
 */
#ifndef CUTOUTD_DAEMON_MAIN_LOG_LINE_H
#define CUTOUTD_DAEMON_MAIN_LOG_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/log.h"

enum { LOG_LINE_SIZE = 4096, LOG_LINE_STAMP_SIZE = 48 };

enum log_line_form {
    LOG_LINE_TEXT,        /* 2026-10-25T02:30:00.250+01:00 warning: words */
    LOG_LINE_MARKED,      /* <4>words, for a stderr that the journal reads */
    LOG_LINE_JSON,        /* {"time":..,"level":..,"message":..} and what the line is about */
    LOG_LINE_MARKED_JSON, /* <4>{..}, likewise */
    LOG_LINE_JOURNAL,     /* fields of the journal's own protocol, MESSAGE as the last */
};

struct log_line {
    int64_t unix_ms;
    enum log_level level;
    const struct log_subject *subject;
    const char *words;
};

/* With a newline at its end; what does not fit is cut between characters. Returns the bytes. */
size_t log_line_format(enum log_line_form form, const struct log_line *line,
                       char text[LOG_LINE_SIZE]);

/* Of a line in the journal's form its words with the mark of its priority, in place. Returns the
 * bytes. */
size_t log_line_remark(char *text, size_t n_bytes);

/* "2026-10-25T02:30:00.250+01:00": local time with its offset, so that no hour comes twice (ISO
 * 8601). Returns ret_stamp. */
const char *log_line_stamp(int64_t unix_ms, char ret_stamp[LOG_LINE_STAMP_SIZE]);

#endif
