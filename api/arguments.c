/* Layer: api. */
#include "api/arguments.h"

#include <inttypes.h>
#include <string.h>

static bool was_before(const struct url *url, int index) {
    for (int i = 0; i < index; i++) {
        if (strcmp(url->arguments[i].name, url->arguments[index].name) == 0) {
            return true;
        }
    }
    return false;
}

bool arguments_check(const struct request *request, struct reply *reply, const char *once,
                     const char *often) {
    for (int i = 0; i < request->url.n_arguments; i++) {
        const char *name = request->url.arguments[i].name;
        bool single = once && list_contains(once, name);
        if (!single && !(often && list_contains(often, name))) {
            reply_bad_argument(reply, request, name, "The arguments here are: %s%s%s.",
                               often ? often : "", often && once ? ", " : "",
                               once     ? once
                               : !often ? "none"
                                        : "");
            return false;
        }
        if (single && was_before(&request->url, i)) {
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
