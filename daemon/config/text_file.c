/* Layer: daemon. */
#include "daemon/config/text_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/durable.h"
#include "core/base/regular_file.h"

static enum status read_stream(FILE *file, const char *path, size_t max_bytes, char **ret_text,
                               size_t *ret_n_bytes, struct error *error) {
    CLEANUP(free_pointer) char *text = malloc(max_bytes + 2);
    if (!text) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to read %s", path);
    }
    errno = 0;
    size_t n_bytes = fread(text, 1, max_bytes + 1, file); /* one more, to see that there is more */
    if (ferror(file)) {
        return error_set_errno(error, errno ? errno : EIO, "cannot read %s", path);
    }
    if (n_bytes > max_bytes) {
        return error_set(error, STATUS_TOO_LARGE, "%s has more than %zu bytes", path, max_bytes);
    }
    text[n_bytes] = '\0';
    *ret_text = text;
    *ret_n_bytes = n_bytes;
    text = NULL;
    return STATUS_OK;
}

enum status text_file_read(const char *path, size_t max_bytes, char **ret_text, size_t *ret_n_bytes,
                           struct error *error) {
    CLEANUP(close_file) FILE *file = NULL;
    TRY(regular_file_stream(path, &file, error));
    return read_stream(file, path, max_bytes, ret_text, ret_n_bytes, error);
}

enum status text_file_read_any(const char *path, size_t max_bytes, char **ret_text,
                               size_t *ret_n_bytes, struct error *error) {
    CLEANUP(close_file) FILE *file = fopen(path, "rbe");
    return file ? read_stream(file, path, max_bytes, ret_text, ret_n_bytes, error)
                : error_set_errno(error, errno, "cannot open %s", path);
}

static enum status write_and_sync(const char *path, const char *text, struct error *error) {
    CLEANUP(close_file) FILE *file = fopen(path, "wbe");
    if (!file) {
        return error_set_errno(error, errno, "cannot create %s", path);
    }
    if (fputs(text, file) == EOF || fflush(file) != 0 || fsync(fileno(file)) != 0) {
        return error_set_errno(error, errno, "cannot write %s", path);
    }
    return STATUS_OK;
}

enum status text_file_write(const char *path, const char *text, struct error *error) {
    CLEANUP(free_pointer) char *temporary = NULL;
    if (asprintf(&temporary, "%s.tmp", path) < 0) {
        temporary = NULL;
        return error_set(error, STATUS_NO_MEMORY, "no memory for a path");
    }
    enum status status = write_and_sync(temporary, text, error);
    if (status != STATUS_OK) {
        (void)unlink(temporary);
        return status;
    }
    return durable_rename(temporary, path, error);
}
