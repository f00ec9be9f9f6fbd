/* The answer to one request, and how errors are put into words.
 *
 * Layer: api. Thread rule: belongs to the thread that serves the request.
 *
 * Errors are RFC 9457 `application/problem+json`. Which status becomes which HTTP code is said in
 * one place, the table of reply.c; codes that belong to HTTP alone (405, 414, 431) are given as
 * they are.
 */
#ifndef CUTOUTD_API_HTTP_REPLY_H
#define CUTOUTD_API_HTTP_REPLY_H

#include "api/http/request.h"
#include "daemon/spec/json_write.h"
#include "daemon/spec/run_spec.h"
#include "daemon/store/query/watch.h"

#define CONTENT_JSON "application/json"
#define CONTENT_CSV "text/csv; charset=utf-8"
#define CONTENT_TEXT "text/plain; charset=utf-8"
#define CONTENT_MARKDOWN "text/markdown; charset=utf-8"
#define CONTENT_PROBLEM "application/problem+json"
#define CONTENT_BYTES "application/octet-stream"
#define CONTENT_EVENTS "text/event-stream"
#define CONTENT_HTML "text/html; charset=utf-8"

#define CONTENT_NDJSON "application/x-ndjson"

/* Events of what is watched. */
struct reply_stream {
    bool open;
    bool ndjson; /* or server-sent events */
    struct watch watch;
    int64_t since; /* the last id that the client has seen; 0: all; -1: from now, with a snapshot */
    char prefix[REQUEST_PREFIX_SIZE]; /* of links, as in struct request */
};

/* A part of an open file. */
struct reply_file {
    bool open;
    int fd; /* owned by the reply */
    uint64_t first;
    uint64_t n_bytes;
};

struct reply {
    int http_status;
    const char *content_type; /* static */
    char *body;               /* owned by the reply; NULL with n_body 0: none */
    size_t n_body;
    /* Headers; "" or 0: not sent. */
    char location[64];
    char etag[96]; /* as for_ever not sent with a refusal or a failure (reply_is_of_address) */
    char allow[64];
    char content_range[80];
    char content_disposition[96];
    const char *authenticate;    /* static; what a 401 asks for */
    char *link;                  /* owned by the reply */
    const char *security_policy; /* static; Content-Security-Policy */
    bool for_ever;        /* what is at this address never changes: may be cached without asking */
    const char *encoding; /* static; of a body that is packed: "gzip", "br" */
    int retry_after_s;
    bool replayed;              /* the stored answer to an Idempotency-Key */
    bool stored;                /* already, in the transaction of what it tells about */
    bool leave_to_slow;         /* no answer yet: the threads for what takes long give it */
    bool close;                 /* the connection cannot be used any further */
    struct reply_file file;     /* with file.open instead of a body */
    struct reply_stream stream; /* likewise */
};

/* The HTTP status code that says the same to a client. */
int http_code(enum status status);

/* Whether the answer is of what its address stands for, not of a refusal or a failure: only then
 * its `etag` and `for_ever` are sent. */
bool reply_is_of_address(const struct reply *reply);

/* Asks for the threads for what takes long, unless the request is there already: true when the
 * handler shall return and will be called again by one of them. */
bool reply_leave_to_slow(struct reply *reply, const struct request *request);

/* Frees body and link, closes the file. */
void reply_clear(struct reply *reply);

/* Takes over what the writer holds. When its memory ran out the reply is a problem instead. */
void reply_json(struct reply *reply, const struct request *request, int http_status,
                struct json_writer *writer);

/* Takes over `text` (from malloc; NULL: memory ran out). */
void reply_text(struct reply *reply, const struct request *request, int http_status,
                const char *content_type, char *text);

/* The same for bytes (from malloc; NULL: memory ran out). content_type: static. */
void reply_bytes(struct reply *reply, const struct request *request, const char *content_type,
                 char *bytes, size_t n_bytes);

/* In the place of the prefix of links in an answer that is kept for whoever asks again, by another
 * proxy perhaps. No text in JSON has this character, which would be escaped. */
#define LINK_PREFIX_MARK "\x01"

/* Puts the prefix of the request in place of each mark in the body. */
void reply_put_link_prefix(struct reply *reply, const struct request *request);

/* A copy of a short static text. */
void reply_plain(struct reply *reply, const struct request *request, int http_status,
                 const char *text);

/* Gives the finished 200 reply a weak ETag, a digest of its body. When the client has that already
 * (If-None-Match) the reply becomes 304 without a body. */
void reply_tag(struct reply *reply, const struct request *request);

/* For an answer that is not made when the client has it: a weak ETag of the `state` of what it is
 * about and of the program that makes it, whose version and `commit` (NULL: unknown) say how. When
 * the client has that already the reply becomes 304 and the answer is true. */
bool reply_tag_state(struct reply *reply, const struct request *request, const char *commit,
                     const char *state);

/* The last thing done to a reply: a body of 1 KiB or more becomes gzip for a client that takes it,
 * unless it is packed already (pictures) or its ETag is strong. */
void reply_compress(struct reply *reply, const struct request *request);

/* Link: the request's own target with this cursor, rel="next". */
void reply_link_next(struct reply *reply, const struct request *request, const char *cursor);

/* Ends a list: `writer` stands in the array "items" of its object. Answers 200 with next_cursor
 * (cursor NULL: this is the last page), the link to the next page and a tag. */
void reply_page(struct reply *reply, const struct request *request, struct json_writer *writer,
                const char *cursor);

/* A problem with the status and message of *error (reply_detail). */
void reply_error(struct reply *reply, const struct request *request, const struct error *error);

/* The same with a message of its own. */
void reply_problem(struct reply *reply, const struct request *request, enum status status,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A problem that only HTTP knows. kind: "method-not-allowed"; title: "Method not allowed". */
void reply_http_problem(struct reply *reply, const struct request *request, int http_status,
                        const char *kind, const char *title, const char *detail);

/* A refused query argument: 400 with one error that names it. */
void reply_bad_argument(struct reply *reply, const struct request *request, const char *argument,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));

/* What a client is told of a failure. Messages of failures that are not the client's (5xx) go to
 * the log, and the client learns the kind only. */
void reply_detail(const struct request *request, const struct error *error, char *detail,
                  size_t size);

/* A problem as the member `key` of another answer; the caller ends it with json_write_end('}'). */
void problem_write_begin(struct json_writer *writer, const char *key, const struct request *request,
                         enum status status, const char *detail);

/* Begins a problem that the caller adds members to and ends with json_write_end('}') and
 * reply_problem_end. */
void reply_problem_begin(struct json_writer *writer, const struct request *request,
                         enum status status, const char *detail);
void reply_problem_end(struct reply *reply, const struct request *request, enum status status,
                       struct json_writer *writer);

/* A problem of a document with all that is wrong with it. what: "run"; status: STATUS_INVALID, or
 * STATUS_MALFORMED when it is no such document at all; of one that the daemon is to blame for, only
 * that. */
void reply_field_errors(struct reply *reply, const struct request *request, enum status status,
                        const char *what, const struct field_errors *errors);

/* The member "errors" of a problem. */
void field_errors_write(struct json_writer *writer, const struct field_errors *errors);

#endif
