/* Whether a request may come from where it comes from: defence against pages in browsers, which can
 * send requests to this machine in the name of whoever looks at them (api/README.md, "Who is
 * trusted with what").
 *
 * Layer: api. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_API_HTTP_ORIGIN_H
#define CUTOUTD_API_HTTP_ORIGIN_H

#include <stdbool.h>

/* Headers; NULL: absent. */
struct origin {
    const char *host; /* "localhost:8080": the header, or that of an absolute target */
    const char *origin;
    const char *fetch_site;
    bool check_host;           /* only names of this machine, or listed ones */
    bool changes;              /* the request may change something */
    const char *allowed_hosts; /* as host_is_listed takes it */
};

/* Why it is refused, as a sentence, or NULL. */
const char *origin_problem(const struct origin *origin);

struct body_type {
    const char *content_type; /* NULL: absent */
    const char *encoding;     /* Content-Encoding; NULL: absent */
    const char *own;   /* what the route takes instead of JSON ("text/markdown"); NULL: JSON */
    bool from_browser; /* the request has a Sec-Fetch-* header */
};

/* Whether a body of this type is taken: JSON, respectively the route's own type, or, outside
 * browsers, what `curl -d` calls its bodies or nothing at all. */
bool body_type_is_taken(const struct body_type *type);

#endif
