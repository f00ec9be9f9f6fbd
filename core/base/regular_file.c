/* Layer: core/base. */
#include "core/base/regular_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/cleanup.h"

enum status regular_file_open(const char *path, int *ret_fd, struct error *error) {
    struct stat info;
    /* O_NONBLOCK has no effect on a regular file. */
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        return error_set_errno(error, errno, "cannot open %s", path);
    }
    if (fstat(fd, &info) != 0) {
        return error_set_errno(error, errno, "cannot look at %s", path);
    }
    if (!S_ISREG(info.st_mode)) {
        return error_set(error, STATUS_IO, "%s is not a regular file", path);
    }
    *ret_fd = fd;
    fd = -1;
    return STATUS_OK;
}

enum status regular_file_stream(const char *path, FILE **ret_file, struct error *error) {
    CLEANUP(close_fd) int fd = -1;
    TRY(regular_file_open(path, &fd, error));
    FILE *file = fdopen(fd, "rb");
    if (!file) {
        return error_set_errno(error, errno, "cannot read %s", path);
    }
    fd = -1;
    *ret_file = file;
    return STATUS_OK;
}
