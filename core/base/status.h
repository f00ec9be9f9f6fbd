/* Every way an operation of cutoutd can end, in one list.
 *
 * Layer: core/base. Thread rule: pure functions, safe anywhere.
 *
 * Numbers are never stored; the name is what users and the database see.
 */
#ifndef CUTOUTD_CORE_BASE_STATUS_H
#define CUTOUTD_CORE_BASE_STATUS_H

/* What HTTP makes of each stands in api/http/reply.c. */
#define STATUS_LIST(X)                                                                             \
    X(OK)                                                                                          \
    X(STOPPED)                                                                                     \
    X(INVALID)                                                                                     \
    X(MALFORMED)                                                                                   \
    X(UNAUTHORIZED)                                                                                \
    X(FORBIDDEN)                                                                                   \
    X(NOT_FOUND)                                                                                   \
    X(CONFLICT)                                                                                    \
    X(QUOTA)                                                                                       \
    X(TOO_LARGE)                                                                                   \
    X(CORRUPT)                                                                                     \
    X(DIVERGED)                                                                                    \
    X(IO)                                                                                          \
    X(NO_SPACE)                                                                                    \
    X(NO_MEMORY)                                                                                   \
    X(BUSY)                                                                                        \
    X(UNSUPPORTED)                                                                                 \
    X(INTERNAL)

enum status {
#define X(name) STATUS_##name,
    STATUS_LIST(X)
#undef X
};

/* "NOT_FOUND", in capitals as in the enum. Never NULL. */
const char *status_name(enum status status);

#endif
