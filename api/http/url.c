/* Layer: api. */
#include "api/http/url.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "core/base/host.h"
#include "core/base/text.h"

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Decodes n_bytes of `source` into `target` (n_bytes + 1 bytes at least) and ends it with NUL. */
static enum status decode(const char *source, size_t n_bytes, bool in_path, char *target,
                          struct error *error) {
    size_t n_decoded = 0;
    for (size_t i = 0; i < n_bytes; i++) {
        char c = source[i];
        bool encoded = c == '%';
        if (encoded) {
            int high = i + 1 < n_bytes ? hex_digit(source[i + 1]) : -1;
            int low = i + 2 < n_bytes ? hex_digit(source[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return error_set(error, STATUS_MALFORMED,
                                 "a percent sign in the URL must be followed by two hexadecimal "
                                 "digits");
            }
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && !in_path) {
            c = ' ';
        }
        if (encoded && c == '/' && in_path) {
            return error_set(error, STATUS_MALFORMED,
                             "an encoded slash in the path names no resource");
        }
        target[n_decoded++] = c;
    }
    target[n_decoded] = '\0';
    return text_is_plain(target, n_decoded)
               ? STATUS_OK
               : error_set(error, STATUS_MALFORMED, "the decoded URL must be " TEXT_PLAIN_RULE);
}

/* One "name=value" of the query, into `room`, which moves on behind what was written. */
static enum status decode_argument(const char *piece, size_t n_bytes, char **room, struct url *url,
                                   struct error *error) {
    if (url->n_arguments == URL_MAX_ARGUMENTS) {
        return error_set(error, STATUS_MALFORMED, "the query has more than %d arguments",
                         URL_MAX_ARGUMENTS);
    }
    const char *equals = memchr(piece, '=', n_bytes);
    size_t n_name = equals ? (size_t)(equals - piece) : n_bytes;
    struct url_argument *argument = &url->arguments[url->n_arguments++];
    argument->name = *room;
    TRY(decode(piece, n_name, false, *room, error));
    *room += strlen(*room) + 1;
    argument->value = *room;
    if (equals) {
        TRY(decode(equals + 1, n_bytes - n_name - 1, false, *room, error));
    } else {
        **room = '\0';
    }
    *room += strlen(*room) + 1;
    return STATUS_OK;
}

/* Skips scheme and authority of an absolute target. */
static enum status take_authority(const char **target, struct url *url, struct error *error) {
    const char *text = *target;
    size_t n_scheme = strncasecmp(text, "http://", 7) == 0    ? 7
                      : strncasecmp(text, "https://", 8) == 0 ? 8
                                                              : 0;
    url->authority[0] = '\0';
    if (n_scheme == 0) {
        return text[0] == '/' ? STATUS_OK
                              : error_set(error, STATUS_MALFORMED,
                                          "the request's target must begin with '/' or http://");
    }
    char host[HOST_SIZE];
    int port = -1;
    size_t n = strcspn(text + n_scheme, "/?");
    if (n >= sizeof(url->authority) || !host_split(text + n_scheme, n, host, &port)) {
        return error_set(error, STATUS_MALFORMED, "the request's target names no host");
    }
    memcpy(url->authority, text + n_scheme, n);
    url->authority[n] = '\0';
    *target = text + n_scheme + n;
    return STATUS_OK;
}

enum status url_parse(const char *target, struct url *ret_url, struct error *error) {
    ret_url->n_arguments = 0;
    TRY(take_authority(&target, ret_url, error));
    size_t n_path = strcspn(target, "?");
    const char *query = target[n_path] == '?' ? target + n_path + 1 : "";
    size_t n_query = strlen(query);
    /* An argument without '=' needs one byte more than it takes in the query. */
    if (n_path >= URL_PATH_SIZE || n_query + URL_MAX_ARGUMENTS + 2 >= URL_QUERY_SIZE) {
        return error_set(error, STATUS_TOO_LARGE, "the URL is too long");
    }
    /* "http://lab?x" has none. */
    TRY(decode(n_path ? target : "/", n_path ? n_path : 1, true, ret_url->path, error));
    char *room = ret_url->query;
    while (*query) {
        size_t n_bytes = strcspn(query, "&");
        if (n_bytes > 0) {
            TRY(decode_argument(query, n_bytes, &room, ret_url, error));
        }
        query += n_bytes;
        query += *query == '&';
    }
    return STATUS_OK;
}

const char *url_argument(const struct url *url, const char *name) {
    for (int i = 0; i < url->n_arguments; i++) {
        if (strcmp(url->arguments[i].name, name) == 0) {
            return url->arguments[i].value;
        }
    }
    return NULL;
}
