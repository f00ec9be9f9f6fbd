/* Layer: daemon/store. Thread rule: see the header. */
#include "daemon/store/log_renew.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 64 * 1024 };

/* The same bytes in the same place. What cannot be read is on the disk alone, where SQLite meets it
 * or never looks. errno. */
static int renew(int fd) {
    static const int too_short = EIO;
    char bytes[PIECE_BYTES];
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return errno;
    }
    for (off_t offset = 0; offset < info.st_size; offset += PIECE_BYTES) {
        ssize_t n = pread(fd, bytes, sizeof(bytes), offset);
        ssize_t done = n > 0 ? pwrite(fd, bytes, (size_t)n, offset) : n;
        if (n > 0 && done != n) {
            return done < 0 ? errno : too_short;
        }
    }
    return fsync(fd) == 0 ? 0 : errno;
}

enum status log_renew(const char *path, struct error *error) {
    char database[PATH_MAX];
    char log[PATH_MAX + 8];
    /* SQLite puts the log beside what a link leads to. */
    const char *file = realpath(path, database) ? database : path;
    (void)snprintf(log, sizeof(log), "%.*s-wal", PATH_MAX, file);
    int fd = open(log, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return STATUS_OK;
    }
    int code = renew(fd);
    (void)close(fd);
    return code == 0 ? STATUS_OK
                     : error_set_errno(error, code,
                                       "cannot write %s once more, without which a loss of power "
                                       "could damage the database: make room on its disk, or look "
                                       "at the kernel's log for errors of it, and start again",
                                       log);
}
