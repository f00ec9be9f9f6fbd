/* Every way an operation of cutoutd can end, in one list.
 *
 * Layer: core/base. Thread rule: pure functions, safe anywhere.
 *
 * Numbers are never stored; the name is what users and the database see.
 */
#ifndef CUTOUTD_CORE_BASE_STATUS_H
#define CUTOUTD_CORE_BASE_STATUS_H

/*  X(name, text, http status) */
#define STATUS_LIST(X)                                                                             \
    X(OK, "ok", 200)                                                                               \
    X(STOPPED, "stopped on request", 200)                                                          \
    X(INVALID, "invalid argument", 422)                                                            \
    X(MALFORMED, "malformed input", 400)                                                           \
    X(UNAUTHORIZED, "not authorized", 401)                                                         \
    X(FORBIDDEN, "forbidden", 403)                                                                 \
    X(NOT_FOUND, "not found", 404)                                                                 \
    X(CONFLICT, "conflict with the current state", 409)                                            \
    X(TOO_LARGE, "too large", 413)                                                                 \
    X(CORRUPT, "data is damaged", 500)                                                             \
    X(DIVERGED, "the loss is no longer a finite number", 500)                                      \
    X(IO, "input or output failed", 500)                                                           \
    X(NO_SPACE, "no space left on device", 507)                                                    \
    X(NO_MEMORY, "out of memory", 503)                                                             \
    X(BUSY, "in use by another process", 503)                                                      \
    X(UNSUPPORTED, "not supported", 501)                                                           \
    X(INTERNAL, "internal error", 500)

enum status {
#define X(name, text, http) STATUS_##name,
    STATUS_LIST(X)
#undef X
};

/* "NOT_FOUND", in capitals as in the enum. Never NULL. */
const char *status_name(enum status status);

/* "not found". Never NULL. */
const char *status_text(enum status status);

/* The HTTP status code that says the same to a client. */
int status_http(enum status status);

#endif
