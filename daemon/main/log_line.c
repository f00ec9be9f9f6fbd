/* Layer: daemon/main. */
#include "daemon/main/log_line.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/text.h"
#include "core/base/time_text.h"

static const int priorities[] = {3, 4, 6, 7}; /* syslog's, of each level */

/* A text that is never longer than its room: it ends before the first piece that does not fit. */
struct buffer {
    char *text;
    size_t n;
    size_t room;
};

static void put_bytes(struct buffer *b, const char *bytes, size_t n) {
    if (n > b->room - b->n) {
        b->room = b->n;
        return;
    }
    memcpy(b->text + b->n, bytes, n);
    b->n += n;
}

static void put(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct buffer *b, const char *format, ...) {
    char piece[256];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(piece, sizeof(piece), format, arguments);
    va_end(arguments);
    if (n > 0 && n < (int)sizeof(piece)) {
        put_bytes(b, piece, (size_t)n);
    }
}

const char *log_line_stamp(int64_t unix_ms, char ret_stamp[LOG_LINE_STAMP_SIZE]) {
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm local;
    char day_and_time[24];
    (void)localtime_r(&seconds, &local);
    (void)strftime(day_and_time, sizeof(day_and_time), "%Y-%m-%dT%H:%M:%S", &local);
    long minutes = labs(local.tm_gmtoff / 60);
    (void)snprintf(ret_stamp, LOG_LINE_STAMP_SIZE, "%s.%03d%c%02ld:%02ld", day_and_time,
                   (int)(unix_ms % 1000), local.tm_gmtoff < 0 ? '-' : '+', minutes / 60 % 100,
                   minutes % 60);
    return ret_stamp;
}

/* ---- what it is about ---- */

struct field {
    const char *name;
    const char *value; /* "": it is not known */
};

enum { N_FIELDS = 5, NUMBER_SIZE = 24 };

struct fields {
    struct field items[N_FIELDS];
    char numbers[2][NUMBER_SIZE];
};

static const char *number_text(int64_t id, char text[NUMBER_SIZE]) {
    (void)snprintf(text, NUMBER_SIZE, "%lld", (long long)id);
    return id > 0 ? text : "";
}

static const char *or_empty(const char *text) {
    return text ? text : "";
}

static void name_fields(const struct log_subject *subject, struct fields *f) {
    f->items[0] = (struct field){"run_id", number_text(subject->run_id, f->numbers[0])};
    f->items[1] = (struct field){"sweep_id", number_text(subject->sweep_id, f->numbers[1])};
    f->items[2] = (struct field){"owner", or_empty(subject->owner)};
    f->items[3] = (struct field){"request_id", or_empty(subject->request_id)};
    f->items[4] = (struct field){"peer", or_empty(subject->peer)};
}

/* ---- forms ---- */

static void put_json_character(struct buffer *b, const char *c, size_t n) {
    static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
    if (n == 0) {
        put_bytes(b, replacement, sizeof(replacement) - 1);
    } else if (*c == '"' || *c == '\\') {
        const char escaped[2] = {'\\', *c};
        put_bytes(b, escaped, 2);
    } else if ((unsigned char)*c < 0x20) {
        put(b, "\\u%04x", (unsigned)*c);
    } else {
        put_bytes(b, c, n);
    }
}

static void put_json_text(struct buffer *b, const char *text) {
    for (size_t left = strlen(text); left > 0;) {
        size_t n = utf8_sequence_length(text, left);
        put_json_character(b, text, n);
        text += n > 0 ? n : 1;
        left -= n > 0 ? n : 1;
    }
}

/* The words come last, and get the room that the rest leaves: whatever is cut, it is JSON. */
static void put_json(struct buffer *b, const struct log_line *line, const struct fields *f) {
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    char time[TIME_TEXT_SIZE];
    put(b, "{\"time\":\"%s\",\"level\":\"%s\"", time_format(line->unix_ms, time),
        levels[line->level]);
    for (int i = 0; i < N_FIELDS; i++) {
        if (f->items[i].value[0]) {
            put(b, ",\"%s\":\"", f->items[i].name);
            put_json_text(b, f->items[i].value);
            put(b, "\"");
        }
    }
    put(b, ",\"message\":\"");
    size_t room = b->room;
    b->room -= 2; /* of the end */
    put_json_text(b, line->words);
    b->room = room;
    put(b, "\"}");
}

static void put_journal(struct buffer *b, const struct log_line *line, const struct fields *f) {
    put(b, "PRIORITY=%d\nSYSLOG_IDENTIFIER=cutoutd\n", priorities[line->level]);
    for (int i = 0; i < N_FIELDS; i++) {
        if (f->items[i].value[0]) {
            for (const char *c = f->items[i].name; *c; c++) {
                const char upper = (char)(*c == '_' ? '_' : *c - 'a' + 'A');
                put_bytes(b, &upper, 1);
            }
            put(b, "=%s\n", f->items[i].value);
        }
    }
    put(b, "MESSAGE=");
}

static void put_words(struct buffer *b, const char *words) {
    put_bytes(b, words, text_cut(words, strlen(words), b->room - b->n));
}

size_t log_line_format(enum log_line_form form, const struct log_line *line,
                       char text[LOG_LINE_SIZE]) {
    static const char *const names[] = {"error: ", "warning: ", "", "debug: "};
    struct buffer b = {.text = text, .room = LOG_LINE_SIZE - 1}; /* but for the newline */
    char stamp[LOG_LINE_STAMP_SIZE];
    struct fields fields;
    name_fields(line->subject, &fields);
    switch (form) {
    case LOG_LINE_TEXT:
        put(&b, "%s %s", log_line_stamp(line->unix_ms, stamp), names[line->level]);
        put_words(&b, line->words);
        break;
    case LOG_LINE_MARKED:
        put(&b, "<%d>", priorities[line->level]);
        put_words(&b, line->words);
        break;
    case LOG_LINE_MARKED_JSON:
        put(&b, "<%d>", priorities[line->level]);
        put_json(&b, line, &fields);
        break;
    case LOG_LINE_JSON:
        put_json(&b, line, &fields);
        break;
    case LOG_LINE_JOURNAL:
        put_journal(&b, line, &fields);
        put_words(&b, line->words);
        break;
    }
    text[b.n] = '\n';
    return b.n + 1;
}

size_t log_line_remark(char *text, size_t n_bytes) {
    static const char before[] = "\nMESSAGE=";
    static const size_t priority_at = 9; /* behind "PRIORITY=" */
    const char *words = memmem(text, n_bytes, before, sizeof(before) - 1);
    if (!words) {
        return 0;
    }
    words += sizeof(before) - 1;
    size_t n = n_bytes - (size_t)(words - text);
    text[0] = '<';
    text[1] = text[priority_at];
    text[2] = '>';
    memmove(text + 3, words, n);
    return n + 3;
}
