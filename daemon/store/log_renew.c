/* Layer: daemon/store. Thread rule: see the header. */
#include "daemon/store/log_renew.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { PIECE_BYTES = 64 * 1024 };

/* The same bytes in the same place. errno. */
static int renew(int fd) {
    static const int too_short = EIO;
    char bytes[PIECE_BYTES];
    off_t offset = 0;
    for (;;) {
        ssize_t n = pread(fd, bytes, sizeof(bytes), offset);
        if (n <= 0) {
            return n == 0 && fsync(fd) == 0 ? 0 : errno;
        }
        ssize_t done = pwrite(fd, bytes, (size_t)n, offset);
        if (done != n) {
            return done < 0 ? errno : too_short;
        }
        offset += n;
    }
}

enum status log_renew(const char *path, struct error *error) {
    char log[4096];
    (void)snprintf(log, sizeof(log), "%s-wal", path);
    int fd = open(log, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return STATUS_OK;
    }
    int code = renew(fd);
    (void)close(fd);
    return code == 0
               ? STATUS_OK
               : error_set_errno(error, code, "cannot write %s once more (look at the disk)", log);
}
