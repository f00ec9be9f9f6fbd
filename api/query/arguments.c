/* Layer: api. */
#include "api/query/arguments.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/decimal.h"

static bool was_before(const struct url *url, int index) {
    for (int i = 0; i < index; i++) {
        if (strcmp(url->arguments[i].name, url->arguments[index].name) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether `name` is in "state*, limit"; *ret_often: a star stands behind it. */
static bool is_known(const char *known, const char *name, bool *ret_often) {
    size_t length = strlen(name);
    while (*known && length > 0) {
        size_t n = strcspn(known, "*,");
        *ret_often = known[n] == '*';
        if (n == length && strncmp(known, name, n) == 0) {
            return true;
        }
        known += n;
        known += strspn(known, "*, ");
    }
    return false;
}

static void refuse_unknown(const struct request *request, struct reply *reply, const char *known,
                           const char *name) {
    char names[256];
    size_t n = 0;
    for (; *known && n + 1 < sizeof(names); known++) {
        if (*known != '*') {
            names[n++] = *known;
        }
    }
    names[n] = '\0';
    reply_bad_argument(reply, request, name, "The arguments here are: %s.", n ? names : "none");
}

bool arguments_check(const struct request *request, struct reply *reply, const char *known) {
    if (strcmp(known, "*") == 0) {
        return true;
    }
    for (int i = 0; i < request->url.n_arguments; i++) {
        const char *name = request->url.arguments[i].name;
        bool often = false;
        if (!is_known(known, name, &often)) {
            refuse_unknown(request, reply, known, name);
            return false;
        }
        if (!often && was_before(&request->url, i)) {
            reply_bad_argument(reply, request, name, "%s may be given once.", name);
            return false;
        }
    }
    return true;
}

bool arguments_read_count(const struct request *request, struct reply *reply, const char *name,
                          int64_t most, int64_t *value) {
    const char *text = url_argument(&request->url, name);
    if (text && !text_to_count(text, most, value)) {
        reply_bad_argument(reply, request, name, "%s must be a whole number from 0 to %" PRId64 ".",
                           name, most);
        return false;
    }
    return true;
}

bool arguments_read_limit(const struct request *request, struct reply *reply, int64_t most,
                          int64_t *value) {
    const char *text = url_argument(&request->url, "limit");
    if (text && !text_to_id(text, most, value)) {
        reply_bad_argument(reply, request, "limit",
                           "limit must be a whole number from 1 to %" PRId64 ".", most);
        return false;
    }
    return true;
}

bool arguments_read_flag(const struct request *request, struct reply *reply, const char *name,
                         bool *value) {
    const char *text = url_argument(&request->url, name);
    if (text && strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
        reply_bad_argument(reply, request, name, "%s must be true or false.", name);
        return false;
    }
    *value = text ? strcmp(text, "true") == 0 : *value;
    return true;
}

bool arguments_read_page(const struct request *request, struct reply *reply, int64_t *ret_limit,
                         int64_t *ret_below) {
    const char *cursor = url_argument(&request->url, "cursor");
    *ret_limit = LIST_LIMIT_DEFAULT;
    *ret_below = INT64_MAX;
    if (!arguments_read_limit(request, reply, LIST_LIMIT_MOST, ret_limit)) {
        return false;
    }
    if (cursor && !text_to_id(cursor, INT64_MAX, ret_below)) {
        reply_bad_argument(reply, request, "cursor", "cursor must be a next_cursor of an answer.");
        return false;
    }
    return true;
}

const char *arguments_cursor(int64_t last_id, char ret_text[ID_CURSOR_SIZE]) {
    (void)snprintf(ret_text, ID_CURSOR_SIZE, "%" PRId64, last_id);
    return ret_text;
}
