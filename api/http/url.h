/* The target of a request, decoded: path and query arguments.
 *
 * Layer: api. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_API_HTTP_URL_H
#define CUTOUTD_API_HTTP_URL_H

#include "core/base/error.h"

/* Longer paths and queries are refused (414), so all of it fits in place. */
enum {
    URL_AUTHORITY_SIZE = 264,
    URL_PATH_SIZE = 512,
    URL_QUERY_SIZE = 2048,
    URL_MAX_ARGUMENTS = 16
};

struct url_argument {
    const char *name;  /* into url.query */
    const char *value; /* "" when there was no '=' */
};

struct url {
    char authority[URL_AUTHORITY_SIZE]; /* of an absolute target, "lab:8080"; "": it had none */
    char path[URL_PATH_SIZE];           /* decoded; starts with '/' */
    char query[URL_QUERY_SIZE];         /* decoded pieces, each ended by NUL; see arguments */
    int n_arguments;
    struct url_argument arguments[URL_MAX_ARGUMENTS];
};

/* Takes the target of a request line ("/api/v1/runs?limit=5", as it came) apart, also one
 * with scheme and authority ("http://lab:8080/..": RFC 9112, 3.2.2).
 *
 * STATUS_MALFORMED: it does not begin with '/' or "http://", or a percent sign is not followed by
 * two hexadecimal digits, or an encoded slash stands in the path, or the decoded text is none that
 * people may give (core/base/text.h), or there are too many arguments. STATUS_TOO_LARGE: too long.
 * On failure *ret_url must not be read. */
enum status url_parse(const char *target, struct url *ret_url, struct error *error);

/* The value of the argument `name`, or NULL when it was not given. */
const char *url_argument(const struct url *url, const char *name);

#endif
