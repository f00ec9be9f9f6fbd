/* Taking tokens out of their file. Layer: daemon. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/durable.h"
#include "daemon/config/text_file.h"
#include "daemon/config/tokens.h"

enum { MAX_FILE_BYTES = 1024 * 1024 };

/* Whether the line is one of this name. */
static bool is_of(const char *line, const char *name) {
    size_t n = strlen(name);
    line += strspn(line, " \t\r");
    return strncmp(line, name, n) == 0 && strchr(" \t\r", line[n]) && line[n];
}

/* Leaves the other lines in *text; returns how many went. */
static int take_out(char *text, const char *name) {
    int n = 0;
    char *to = text;
    for (char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        length += line[length] == '\n';
        if (is_of(line, name)) {
            n++;
        } else {
            memmove(to, line, length);
            to += length;
        }
        line += length;
    }
    *to = '\0';
    return n;
}

/* Nobody else may read it for a moment. */
static enum status write_like(const char *path, const char *temporary, const char *text,
                              struct error *error) {
    struct stat info;
    if (stat(path, &info) != 0) {
        return error_set_errno(error, errno, "cannot look at %s", path);
    }
    mode_t before = umask(077);
    CLEANUP(close_file) FILE *file = fopen(temporary, "wbe");
    (void)umask(before);
    if (!file) {
        return error_set_errno(error, errno, "cannot create %s", temporary);
    }
    if (fchown(fileno(file), info.st_uid, info.st_gid) != 0 ||
        fchmod(fileno(file), info.st_mode & 07777) != 0 || fputs(text, file) == EOF ||
        fflush(file) != 0 || fsync(fileno(file)) != 0) {
        return error_set_errno(error, errno, "cannot write %s", temporary);
    }
    return STATUS_OK;
}

enum status tokens_revoke(const char *path, const char *name, int *ret_n, struct error *error) {
    CLEANUP(free_pointer) char *text = NULL;
    CLEANUP(free_pointer) char *temporary = NULL;
    CLEANUP(free_pointer) char *file = NULL; /* not a link to it, which others may have as well */
    struct tokens *tokens = NULL;
    size_t n_bytes = 0;
    TRY(tokens_open(path, &tokens, error)); /* a file that is wrong is not made worse */
    tokens_close(tokens);
    TRY(text_file_read(path, MAX_FILE_BYTES, &text, &n_bytes, error));
    *ret_n = take_out(text, name);
    if (*ret_n == 0) {
        return error_set(error, STATUS_NOT_FOUND, "%s has no token of %s", path, name);
    }
    file = realpath(path, NULL);
    if (!file) {
        return error_set_errno(error, errno, "cannot look at %s", path);
    }
    if (asprintf(&temporary, "%s.tmp", file) < 0) {
        temporary = NULL;
        return error_set(error, STATUS_NO_MEMORY, "no memory for a path");
    }
    enum status status = write_like(file, temporary, text, error);
    if (status != STATUS_OK) {
        (void)unlink(temporary);
        return status;
    }
    return durable_rename(temporary, file, error);
}
