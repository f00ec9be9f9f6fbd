/* Layer: core/base. */
#include "core/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/text.h"

enum status error_set(struct error *error, enum status code, const char *format, ...) {
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        error->code = code;
        (void)vsnprintf(error->message, sizeof(error->message), format, arguments);
        va_end(arguments);
        text_make_plain(error->message);
    }
    return code;
}

static enum status status_of_errno(int errno_value) {
    switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: /* a limit on the size of files (ulimit -f) */
        return STATUS_NO_SPACE;
    case ENOENT:
        return STATUS_NOT_FOUND;
    case ENOMEM:
        return STATUS_NO_MEMORY;
    default:
        return STATUS_IO;
    }
}

enum status error_set_errno(struct error *error, int errno_value, const char *format, ...) {
    enum status code = status_of_errno(errno_value);
    if (error) {
        char reason[128];
        va_list arguments;
        va_start(arguments, format);
        error->code = code;
        (void)vsnprintf(error->message, sizeof(error->message), format, arguments);
        va_end(arguments);
        size_t used = strlen(error->message);
        (void)snprintf(error->message + used, sizeof(error->message) - used, ": %s",
                       strerror_r(errno_value, reason, sizeof(reason)));
        text_make_plain(error->message);
    }
    return code;
}

void error_prefix(struct error *error, const char *format, ...) {
    if (!error) {
        return;
    }
    char old[sizeof(error->message)];
    memcpy(old, error->message, sizeof(old));
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    size_t used = strlen(error->message);
    (void)snprintf(error->message + used, sizeof(error->message) - used, ": %.*s",
                   (int)(sizeof(old) - 1), old);
    text_make_plain(error->message);
}
