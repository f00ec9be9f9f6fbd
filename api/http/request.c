/* Layer: api. */
#include "api/http/request.h"

#include <stdio.h>
#include <string.h>

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

enum status request_format(const struct request *request, const char *allowed, char ret_format[8],
                           struct error *error) {
    const char *wanted = url_argument(&request->url, "format");
    if (wanted) {
        if (!list_contains(allowed, wanted)) {
            return error_set(error, STATUS_MALFORMED, "format must be one of %s", allowed);
        }
    } else {
        bool json_too =
            strstr(request->accept, "/json") != NULL || strstr(request->accept, "+json") != NULL;
        bool lines = strstr(request->accept, "ndjson") && list_contains(allowed, "ndjson");
        bool csv = strstr(request->accept, "text/csv") && list_contains(allowed, "csv");
        bool text = strstr(request->accept, "text/plain") && list_contains(allowed, "text");
        wanted = json_too ? "json" : lines ? "ndjson" : csv ? "csv" : text ? "text" : "json";
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
