/* One request as the handlers see it, free of the HTTP library.
 *
 * Layer: api. Thread rule: belongs to the thread that serves it.
 */
#ifndef CUTOUTD_API_HTTP_REQUEST_H
#define CUTOUTD_API_HTTP_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "api/http/request_id.h"
#include "api/http/url.h"
#include "core/base/decimal.h"
#include "daemon/config/tokens.h"

enum {
    REQUEST_MAX_BODY_BYTES = 64 * 1024,
    REQUEST_HEADER_SIZE = 256,
    REQUEST_PREFIX_SIZE = 128,
    REQUEST_BASE_SIZE = 512,
    REQUEST_MAX_PARAMETERS = 2
};

struct idempotency_mark;

struct request {
    char id[REQUEST_ID_SIZE];
    char method[16];
    struct url url;
    int route; /* place in the table of routes + 1; 0: of none */
    bool slow; /* the threads for what takes long serve it */
    /* What stood in the place of each {name} of the route's pattern; into url.path. */
    int n_parameters;
    char parameters[REQUEST_MAX_PARAMETERS][64];
    /* The headers that some handler reads; "" when absent or longer than fits. */
    char accept[REQUEST_HEADER_SIZE];
    char accept_encoding[REQUEST_HEADER_SIZE];
    char if_none_match[REQUEST_HEADER_SIZE];
    char if_match[REQUEST_HEADER_SIZE]; /* too long: one that matches nothing */
    char range[REQUEST_HEADER_SIZE];
    char if_range[REQUEST_HEADER_SIZE];
    char last_event_id[REQUEST_HEADER_SIZE];
    char authorization[REQUEST_HEADER_SIZE];
    /* Who asks: the name of the token, "" without one, and what it allows. */
    char owner[TOKEN_NAME_SIZE];
    enum scope scope;
    char peer[64];                    /* "10.1.2.3", "unix" by a path, "" when it is not known */
    struct token_grant grant;         /* with tokens, when scope is not SCOPE_NONE */
    char prefix[REQUEST_PREFIX_SIZE]; /* of the path at a proxy, "/cutoutd"; "": none */
    char base[REQUEST_BASE_SIZE];     /* what paths are appended to where the request came from,
                                       * "https://lab.example/cutoutd"; "": not known */
    /* Of an Idempotency-Key; NULL without one. Creating handlers hand it to the store. */
    char idempotency_key[REQUEST_HEADER_SIZE];
    const struct idempotency_mark *idempotency;
    const char *body; /* n_body bytes, not ended by NUL; borrowed */
    size_t n_body;
};

/* Whether Accept gives the first media type more weight than the other. */
bool request_prefers(const struct request *request, const char *type, const char *other);

/* The format to answer in: ?format=csv, or what Accept likes best among the names in `allowed`
 * ("json, csv"; json csv ndjson sse text), with its q-values; without either the first of them.
 * STATUS_MALFORMED: ?format= is none of them. */
enum status request_format(const struct request *request, const char *allowed, char ret_format[8],
                           struct error *error);

/* Whether `word` is one of the names in the list "json, csv". */
bool list_contains(const char *list, const char *word);

/* A method that is none of HTTP's becomes "?": it is repeated nowhere, and no route has it. */
void request_set_method(struct request *request, const char *method);

/* GET and HEAD. */
bool request_only_reads(const struct request *request);

/* Whether the one who asks may change what belongs to `owner`, the run or sweep `id` (what: "run",
 * "sweep"). STATUS_FORBIDDEN. */
enum status request_check_owner(const struct request *request, const char *owner, const char *what,
                                int64_t id, struct error *error);

/* Whether If-None-Match has this tag ("W/\"...\""); weak and strong forms compare alike (RFC 9110,
 * 8.8.3). */
bool request_has_tag(const struct request *request, const char *weak_tag);

/* Whether If-Match lists this strong tag ("\"...\""). */
bool request_matches(const struct request *request, const char *strong_tag);

/* The number of the run or sweep that the path names. STATUS_NOT_FOUND: it is none ("there is no
 * run x"). */
enum status request_read_id(const struct request *request, const char *what, int64_t *ret_id,
                            struct error *error);

#endif
