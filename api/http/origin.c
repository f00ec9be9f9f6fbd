/* Layer: api. */
#include "api/http/origin.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "core/base/host.h"

/* "https://lab.example:8443": host and port, the scheme's own when none is given. False: it is
 * something else, such as "null". */
static bool read_origin(const char *origin, char ret_host[HOST_SIZE], int *ret_port,
                        int *ret_default) {
    bool https = strncasecmp(origin, "https://", 8) == 0;
    if (!https && strncasecmp(origin, "http://", 7) != 0) {
        return false;
    }
    const char *authority = origin + (https ? 8 : 7);
    *ret_default = https ? 443 : 80;
    if (!host_split(authority, strlen(authority), ret_host, ret_port)) {
        return false;
    }
    *ret_port = *ret_port < 0 ? *ret_default : *ret_port;
    return true;
}

/* The page is the daemon's own, or of a host that the admin has listed. */
static bool is_own(const struct origin *origin, const char *host, int port) {
    char its_host[HOST_SIZE];
    int its_port = 0;
    int otherwise = 0;
    if (!read_origin(origin->origin, its_host, &its_port, &otherwise)) {
        return false;
    }
    return host_is_listed(its_host, origin->allowed_hosts) ||
           (strcmp(its_host, host) == 0 && its_port == (port < 0 ? otherwise : port));
}

const char *origin_problem(const struct origin *origin) {
    char host[HOST_SIZE] = "";
    int port = -1;
    /* HTTP/1.0 may have none; browsers always have one. */
    if (origin->host && !host_split(origin->host, strlen(origin->host), host, &port)) {
        return "This Host is no name and no address.";
    }
    if (origin->check_host && origin->host && !host_is_loopback(host) &&
        !host_is_listed(host, origin->allowed_hosts)) {
        return "The daemon does not know itself by this Host; allowed_hosts in its config names "
               "more "
               "than loopback ones.";
    }
    if (!origin->changes) {
        return NULL;
    }
    const char *site = origin->fetch_site;
    bool foreign = site && (strcasecmp(site, "cross-site") == 0 ||
                            (!origin->origin && strcasecmp(site, "same-site") == 0));
    if (foreign || (origin->origin && !is_own(origin, host, port))) {
        return "This comes from a page of another origin, which may change nothing here; "
               "allowed_hosts in the daemon's config names hosts whose pages may.";
    }
    return NULL;
}

/* Whether `type` is `wanted` with or without parameters; a charset must be UTF-8. */
static bool is_type(const char *type, const char *wanted) {
    size_t n = strcspn(type, "; \t");
    if (n != strlen(wanted) || strncasecmp(type, wanted, n) != 0) {
        return false;
    }
    const char *charset = strcasestr(type + n, "charset=");
    charset = charset ? charset + strlen("charset=") : "utf-8";
    charset += *charset == '"';
    return strncasecmp(charset, "utf-8", 5) == 0 && strcspn(charset, "\"; \t") == 5;
}

bool body_type_is_taken(const struct body_type *type) {
    if (type->encoding && strcasecmp(type->encoding, "identity") != 0) {
        return false;
    }
    const char *content = type->content_type;
    if (!content || is_type(content, "application/x-www-form-urlencoded")) {
        return !type->from_browser;
    }
    if (type->own) {
        return is_type(content, type->own);
    }
    return is_type(content, "application/json") || is_type(content, "application/merge-patch+json");
}
