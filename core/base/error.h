/* A status with a message the user can act on.
 *
 * Layer: core/base. Thread rule: a struct error belongs to its caller; share it under a lock or not
 * at all.
 *
 * A function that can fail takes `struct error *error` last and returns the status. `error` may be
 * NULL (the caller does not want the text). It is written only on failure.
 */
#ifndef CUTOUTD_CORE_BASE_ERROR_H
#define CUTOUTD_CORE_BASE_ERROR_H

#include "core/base/status.h"

struct error {
    enum status code;
    char message[512];
};

/* Fills *error (if not NULL) and returns `code`, so that `return error_set(...)` reads well. */
enum status error_set(struct error *error, enum status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Like error_set with ": " and the text of errno appended; ENOSPC, EDQUOT and EFBIG become
 * STATUS_NO_SPACE, ENOENT STATUS_NOT_FOUND, ENOMEM STATUS_NO_MEMORY, everything else STATUS_IO. */
enum status error_set_errno(struct error *error, int errno_value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the message that is there. */
void error_prefix(struct error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Returns from the calling function when the expression is not STATUS_OK. Only for functions whose
 * cleanup is automatic (core/base/cleanup.h) or that have none. */
#define TRY(expression)                                                                            \
    do {                                                                                           \
        enum status try_status_ = (expression);                                                    \
        if (try_status_ != STATUS_OK) {                                                            \
            return try_status_;                                                                    \
        }                                                                                          \
    } while (0)

#endif
