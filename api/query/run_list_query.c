/* Layer: api. */
#include "api/query/run_list_query.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/query/arguments.h"

/* Cursors: hexadecimal of "-best 17 r0x1.8p-4": the order, the id, the type and the sort key. */

static const char key_types[] = {
    [RUN_KEY_NULL] = 'n', [RUN_KEY_INTEGER] = 'i', [RUN_KEY_REAL] = 'r', [RUN_KEY_TEXT] = 't'};

static void key_text(const struct run_cursor *cursor, char text[RUN_TITLE_SIZE]) {
    switch (cursor->type) {
    case RUN_KEY_INTEGER:
        (void)snprintf(text, RUN_TITLE_SIZE, "%" PRId64, cursor->integer);
        break;
    case RUN_KEY_REAL:
        (void)snprintf(text, RUN_TITLE_SIZE, "%a", cursor->real);
        break;
    case RUN_KEY_TEXT:
        (void)snprintf(text, RUN_TITLE_SIZE, "%s", cursor->text);
        break;
    case RUN_KEY_NULL:
        text[0] = '\0';
        break;
    }
}

/* "-best " */
static void order_text(const struct run_query *query, char text[32]) {
    (void)snprintf(text, 32, "%s%s ", query->ascending ? "" : "-", run_sort_name(query->sort));
}

void run_list_cursor_write(const struct run_query *query, const struct run_row *row,
                           char ret_text[CURSOR_TEXT_SIZE]) {
    struct run_cursor cursor;
    char order[32];
    char key[RUN_TITLE_SIZE];
    char plain[CURSOR_TEXT_SIZE / 2];
    run_cursor_at(query->sort, row, &cursor);
    order_text(query, order);
    key_text(&cursor, key);
    (void)snprintf(plain, sizeof(plain), "%s%" PRId64 " %c%s", order, cursor.id,
                   key_types[cursor.type], key);
    size_t used = 0;
    for (const char *c = plain; *c; c++) {
        used += (size_t)snprintf(ret_text + used, CURSOR_TEXT_SIZE - used, "%02x",
                                 (unsigned)(unsigned char)*c);
    }
}

static bool decode_hex(const char *text, char plain[CURSOR_TEXT_SIZE / 2]) {
    size_t n = strlen(text);
    if (n % 2 != 0 || n / 2 >= CURSOR_TEXT_SIZE / 2 || strspn(text, "0123456789abcdef") != n) {
        return false;
    }
    for (size_t i = 0; i < n / 2; i++) {
        const char pair[3] = {text[2 * i], text[2 * i + 1], '\0'};
        plain[i] = (char)strtoul(pair, NULL, 16);
        if (plain[i] == '\0') {
            return false;
        }
    }
    plain[n / 2] = '\0';
    return true;
}

static bool read_key(const char *text, struct run_cursor *cursor) {
    char *end = NULL;
    switch (*text++) {
    case 'n':
        cursor->type = RUN_KEY_NULL;
        return *text == '\0';
    case 'i':
        cursor->type = RUN_KEY_INTEGER;
        return text_to_integer(text, INT64_MAX, &cursor->integer);
    case 'r':
        cursor->type = RUN_KEY_REAL;
        cursor->real = strtod(text, &end);
        return end != text && *end == '\0';
    case 't':
        cursor->type = RUN_KEY_TEXT;
        return snprintf(cursor->text, sizeof(cursor->text), "%s", text) < (int)sizeof(cursor->text);
    default:
        return false;
    }
}

/* false: it is none, or one of another order. */
static bool read_cursor(const char *text, struct run_query *query) {
    char plain[CURSOR_TEXT_SIZE / 2];
    char order[32];
    order_text(query, order);
    size_t n_order = strlen(order);
    if (!decode_hex(text, plain) || strncmp(plain, order, n_order) != 0) {
        return false;
    }
    char *id = plain + n_order;
    char *space = strchr(id, ' ');
    if (!space) {
        return false;
    }
    *space = '\0';
    query->after.set = true;
    return text_to_id(id, INT64_MAX, &query->after.id) && read_key(space + 1, &query->after);
}

/* Filters */

enum { MOST_TEXT_BYTES = 200 };

/* The largest value of a field that is a number. */
static int64_t largest(enum run_field field) {
    bool wide =
        field == RUN_FIELD_SEED || field == RUN_FIELD_SWEEP || field == RUN_FIELD_FORKED_FROM;
    return wide ? INT64_MAX : 99999;
}

static bool read_number(const char *text, size_t n, int64_t most, int64_t *ret_value) {
    char number[24];
    return n < sizeof(number) &&
           (memcpy(number, text, n), number[n] = '\0', text_to_count(number, most, ret_value));
}

/* One value of a condition. false: it is none. */
static bool read_value(enum run_field field, const char *text, size_t n, struct run_value *value) {
    *value = (struct run_value){.text = text, .n_text = n};
    if (field == RUN_FIELD_STATE) {
        char name[16];
        enum run_state state;
        (void)snprintf(name, sizeof(name), "%.*s", (int)n, text);
        return n < sizeof(name) && run_state_from_name(name, &state);
    }
    if (field == RUN_FIELD_TEXT) {
        return n > 0 && n <= MOST_TEXT_BYTES;
    }
    if (field == RUN_FIELD_LABEL) {
        const char *colon = memchr(text, ':', n);
        if (!colon || colon == text) {
            return false;
        }
        value->key = text;
        value->n_key = (size_t)(colon - text);
        value->text = colon + 1;
        value->n_text = n - value->n_key - 1;
        return true;
    }
    return run_field_is_text(field) || read_number(text, n, largest(field), &value->number);
}

static void refuse_value(const struct request *request, struct reply *reply, enum run_field field) {
    const char *name = run_field_name(field);
    if (field == RUN_FIELD_STATE) {
        reply_bad_argument(reply, request, name,
                           "state must be some of queued, held, running, paused, succeeded, "
                           "failed, canceled, with commas in between.");
    } else if (field == RUN_FIELD_LABEL) {
        reply_bad_argument(
            reply, request, name,
            "label must be key:value, or several with commas in between; a comma that "
            "belongs to a value has a backslash in front of it.");
    } else if (field == RUN_FIELD_TEXT) {
        reply_bad_argument(reply, request, name, "text must have 1 to %d bytes.", MOST_TEXT_BYTES);
    } else {
        reply_bad_argument(reply, request, name,
                           "%s must be whole numbers from 0 to %" PRId64
                           ", with commas in between.",
                           name, largest(field));
    }
}

/* Up to the next comma without a backslash in front of it. */
static size_t escaped_length(const char *text) {
    size_t n = 0;
    while (text[n] && text[n] != ',') {
        n += text[n] == '\\' && text[n + 1] ? 2 : 1;
    }
    return n;
}

/* Without the backslashes that stand in front of another character. false: there is no room. */
static bool unescape(struct run_query *query, const char **text, size_t *n) {
    char *target = query->unescaped + query->n_unescaped;
    if (!memchr(*text, '\\', *n)) {
        return true;
    }
    if (*n > sizeof(query->unescaped) - query->n_unescaped) {
        return false;
    }
    size_t used = 0;
    for (size_t i = 0; i < *n; i++) {
        i += (*text)[i] == '\\' && i + 1 < *n;
        target[used++] = (*text)[i];
    }
    query->n_unescaped += used;
    *text = target;
    *n = used;
    return true;
}

/* "4,8,16"; a comma that belongs to a value has a backslash in front of it. */
static bool read_condition(const struct request *request, struct reply *reply, enum run_field field,
                           const char *text, struct run_query *query) {
    bool room = run_query_begin_condition(query, field);
    bool more = true;
    while (room && more) {
        bool whole = field == RUN_FIELD_TEXT; /* one value, commas and backslashes included */
        size_t n = whole ? strlen(text) : escaped_length(text);
        const char *plain = text;
        size_t n_plain = n;
        struct run_value value;
        if ((!whole && !unescape(query, &plain, &n_plain)) ||
            !read_value(field, plain, n_plain, &value)) {
            refuse_value(request, reply, field);
            return false;
        }
        room = run_query_add_value(query, &value);
        more = text[n] == ',';
        text += n + more;
    }
    if (!room) {
        reply_bad_argument(reply, request, run_field_name(field),
                           "A query may have at most %d conditions and %d values.",
                           RUN_QUERY_MAX_CONDITIONS, RUN_QUERY_MAX_VALUES);
    }
    return room;
}

static bool read_filters(const struct request *request, struct reply *reply,
                         struct run_query *query) {
    for (int i = 0; i < request->url.n_arguments; i++) {
        const struct url_argument *argument = &request->url.arguments[i];
        for (int field = 0; field < RUN_FIELD_COUNT; field++) {
            if (strcmp(argument->name, run_field_name((enum run_field)field)) == 0 &&
                !read_condition(request, reply, (enum run_field)field, argument->value, query)) {
                return false;
            }
        }
    }
    return true;
}

static bool read_sort(const struct request *request, struct reply *reply, struct run_query *query) {
    const char *text = url_argument(&request->url, "sort");
    if (!text) {
        return true;
    }
    query->ascending = text[0] != '-';
    const char *name = text + !query->ascending;
    for (int sort = 0; sort < RUN_SORT_COUNT; sort++) {
        if (strcmp(name, run_sort_name((enum run_sort)sort)) == 0) {
            query->sort = (enum run_sort)sort;
            return true;
        }
    }
    reply_bad_argument(reply, request, "sort",
                       "sort must be one of id, created, updated, finished, priority, name, state, "
                       "m, cutout_size, seed, best, best_epoch, last, mean_last_5, train_seconds; "
                       "with - in front for the greatest first.");
    return false;
}

bool run_list_query_read(const struct request *request, struct reply *reply,
                         struct run_query *ret_query) {
    *ret_query = (struct run_query){0};
    int64_t limit = LIST_LIMIT_DEFAULT;
    if (!read_filters(request, reply, ret_query) || !read_sort(request, reply, ret_query) ||
        !arguments_read_limit(request, reply, LIST_LIMIT_MOST, &limit)) {
        return false;
    }
    const char *cursor = url_argument(&request->url, "cursor");
    if (cursor && cursor[0] && !read_cursor(cursor, ret_query)) {
        reply_bad_argument(reply, request, "cursor",
                           "cursor must be the next_cursor of a list with the same sort.");
        return false;
    }
    ret_query->limit = (int)limit;
    return true;
}
