/* Layer: api. */
#include "api/http/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool list_contains(const char *list, const char *word) {
    size_t length = strlen(word);
    while (length > 0 && *list) {
        size_t n = strcspn(list, ",");
        if (n == length && strncmp(list, word, n) == 0) {
            return true;
        }
        list += n;
        list += strspn(list, ", ");
    }
    return false;
}

static const struct {
    const char *name;
    const char *type;
} formats[] = {
    {"json", "application/json"}, {"csv", "text/csv"},    {"ndjson", "application/x-ndjson"},
    {"sse", "text/event-stream"}, {"text", "text/plain"}, {"ndjson", "application/ndjson"},
};

/* How well the media range [0, n) fits the type: 3 the type itself, 2 "text" with any subtype, 1
 * anything, 0 not. */
static int fit_of(const char *range, size_t n, const char *type) {
    size_t n_major = strcspn(type, "/") + 1;
    if (n == strlen(type) && strncasecmp(range, type, n) == 0) {
        return 3;
    }
    if (n == n_major + 1 && strncasecmp(range, type, n_major) == 0 && range[n_major] == '*') {
        return 2;
    }
    return n == 3 && strncmp(range, "*/*", 3) == 0;
}

/* The weight behind a media range: "; q=0.5" among its parameters. 1 when there is none. */
static double weight_of(const char *parameters, size_t n) {
    for (size_t i = 0; i + 2 < n; i++) {
        if (parameters[i] == ';') {
            size_t at = i + 1 + strspn(parameters + i + 1, " \t");
            if (at + 2 < n && (parameters[at] == 'q' || parameters[at] == 'Q') &&
                parameters[at + 1] == '=') {
                return strtod(parameters + at + 2, NULL);
            }
        }
    }
    return 1;
}

/* The weight that Accept gives the type, by the range that fits it best (RFC 9110, 12.5.1). */
static double quality_of(const char *accept, const char *type) {
    double quality = 0;
    int best_fit = 0;
    while (*accept) {
        accept += strspn(accept, " \t,");
        size_t n_item = strcspn(accept, ",");
        size_t n_range = strcspn(accept, ",; \t");
        int fit = fit_of(accept, n_range, type);
        if (fit > best_fit) {
            best_fit = fit;
            quality = weight_of(accept + n_range, n_item - n_range);
        }
        accept += n_item;
    }
    return quality;
}

bool request_prefers(const struct request *request, const char *type, const char *other) {
    return quality_of(request->accept, type) > quality_of(request->accept, other);
}

/* The format of the list "json, csv" that Accept likes best; among equals, and when it likes none,
 * the first of the list. */
static const char *preferred(const char *accept, const char *allowed) {
    const char *found = NULL;
    const char *first = NULL;
    double best = 0;
    for (const char *name = allowed; *name; name += strspn(name, ", ")) {
        size_t n = strcspn(name, ",");
        for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
            if (strlen(formats[i].name) != n || strncmp(formats[i].name, name, n) != 0) {
                continue;
            }
            first = first ? first : formats[i].name;
            double quality = quality_of(accept, formats[i].type);
            if (quality > best) {
                best = quality;
                found = formats[i].name;
            }
        }
        name += n;
    }
    return found ? found : first;
}

enum status request_format(const struct request *request, const char *allowed, char ret_format[8],
                           struct error *error) {
    const char *wanted = url_argument(&request->url, "format");
    if (wanted) {
        if (!list_contains(allowed, wanted)) {
            return error_set(error, STATUS_MALFORMED, "format must be one of %s", allowed);
        }
    } else {
        wanted = preferred(request->accept, allowed);
    }
    (void)snprintf(ret_format, 8, "%s", wanted);
    return STATUS_OK;
}

void request_set_method(struct request *request, const char *method) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ-";
    size_t n = strlen(method);
    bool good = n > 0 && n < sizeof(request->method) && strspn(method, letters) == n;
    (void)snprintf(request->method, sizeof(request->method), "%s", good ? method : "?");
}

bool request_only_reads(const struct request *request) {
    return strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
}

bool request_has_tag(const struct request *request, const char *weak_tag) {
    const char *list = request->if_none_match;
    return strcmp(list, "*") == 0 || (list[0] && strstr(list, weak_tag + 2) != NULL);
}

bool request_matches(const struct request *request, const char *strong_tag) {
    for (const char *item = request->if_match; *item;) {
        size_t n = strcspn(item, ",");
        size_t trimmed = n;
        while (trimmed > 0 && item[trimmed - 1] == ' ') {
            trimmed--;
        }
        if (trimmed == strlen(strong_tag) && strncmp(item, strong_tag, trimmed) == 0) {
            return true;
        }
        item += n;
        item += strspn(item, ", ");
    }
    return false;
}

enum status request_read_id(const struct request *request, const char *what, int64_t *ret_id,
                            struct error *error) {
    const char *text = request->parameters[0];
    return text_to_id(text, INT64_MAX, ret_id)
               ? STATUS_OK
               : error_set(error, STATUS_NOT_FOUND, "there is no %s %s", what, text);
}

enum status request_check_owner(const struct request *request, const char *owner, const char *what,
                                int64_t id, struct error *error) {
    if (request->scope == SCOPE_ADMIN || strcmp(owner, request->owner) == 0) {
        return STATUS_OK;
    }
    return error_set(error, STATUS_FORBIDDEN,
                     "%s %lld belongs to %s: only that token, or one of scope admin, may change it",
                     what, (long long)id, owner[0] ? owner : "nobody (it came without a token)");
}
