/* Layer: core/base. */
#include "core/base/regular_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
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

/* What another try meets as well. */
static bool is_lost(int errno_value) {
    switch (errno_value) {
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case ENXIO: /* a socket */
    case ENODEV:
    case EINVAL:
        return true;
    default:
        return false;
    }
}

enum regular_file_look regular_file_look(const char *path) {
    struct stat info;
    char bytes[16 << 10];
    ssize_t n = 0;
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    bool read_to_end = fd >= 0 && fstat(fd, &info) == 0;
    if (read_to_end && !S_ISREG(info.st_mode)) {
        return REGULAR_FILE_LOST;
    }
    while (read_to_end && (n = read(fd, bytes, sizeof(bytes))) != 0) {
        read_to_end = n > 0 || errno == EINTR;
    }
    if (read_to_end) {
        return REGULAR_FILE_READABLE;
    }
    return is_lost(errno)                      ? REGULAR_FILE_LOST
           : errno == EACCES || errno == EPERM ? REGULAR_FILE_FORBIDDEN
                                               : REGULAR_FILE_FAILED;
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
