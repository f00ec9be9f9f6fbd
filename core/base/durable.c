/* Layer: core/base. */
#include "core/base/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/cleanup.h"

enum status durable_name(const char *path, struct error *error) {
    CLEANUP(free_pointer) char *directory = strdup(path);
    if (!directory) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a path");
    }
    char *slash = strrchr(directory, '/');
    if (slash) {
        slash[1] = '\0';
    }
    CLEANUP(close_fd) int fd = open(slash ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        return error_set_errno(error, errno, "cannot make the directory of %s durable", path);
    }
    return STATUS_OK;
}

/* A directory that has the name of a file is nobody's, and would be in the way for ever: it gets
 * another name. */
static bool put_aside(const char *path) {
    char aside[PATH_MAX];
    int n = snprintf(aside, sizeof(aside), "%s.in-the-way", path);
    return n > 0 && (size_t)n < sizeof(aside) && rename(path, aside) == 0;
}

enum status durable_rename(const char *temporary, const char *path, struct error *error) {
    if (rename(temporary, path) != 0 &&
        !(errno == EISDIR && put_aside(path) && rename(temporary, path) == 0)) {
        enum status status =
            error_set_errno(error, errno, "cannot rename %s to %s", temporary, path);
        (void)unlink(temporary);
        return status;
    }
    return durable_name(path, error);
}

enum status durable_directory(const char *path, struct error *error) {
    if (mkdir(path, 0750) != 0 && errno != EEXIST) {
        return error_set_errno(error, errno, "cannot make the directory %s", path);
    }
    return durable_name(path, error);
}

enum status durable_link(const char *path, const char *directory, const char *name,
                         struct error *error) {
    char *new_path = NULL;
    if (asprintf(&new_path, "%s/%s", directory, name) < 0) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a path");
    }
    enum status status = durable_directory(directory, error);
    (void)unlink(new_path);
    if (status == STATUS_OK && link(path, new_path) != 0) {
        status = error_set_errno(error, errno, "cannot link %s to %s", path, new_path);
    }
    status = status == STATUS_OK ? durable_name(new_path, error) : status;
    free(new_path);
    return status;
}
