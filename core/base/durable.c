/* Layer: core/base. */
#include "core/base/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cleanup.h"

static enum status sync_directory_of(const char *path, struct error *error) {
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

enum status durable_rename(const char *temporary, const char *path, struct error *error) {
    if (rename(temporary, path) != 0) {
        enum status status =
            error_set_errno(error, errno, "cannot rename %s to %s", temporary, path);
        (void)unlink(temporary);
        return status;
    }
    return sync_directory_of(path, error);
}
