/* Layer: daemon/config. */
#include "daemon/config/copy_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/regular_file.h"

static enum status copy_bytes(int from, int to, const char *path, struct error *error) {
    char buffer[64 * 1024];
    ssize_t n = 0;
    while ((n = read(from, buffer, sizeof(buffer))) > 0) {
        for (ssize_t done = 0; done < n;) {
            ssize_t written = write(to, buffer + done, (size_t)(n - done));
            if (written < 0) {
                return error_set_errno(error, errno, "cannot write %s", path);
            }
            done += written;
        }
    }
    return n == 0 && fsync(to) == 0 ? STATUS_OK
                                    : error_set_errno(error, errno, "cannot copy to %s", path);
}

enum status give_away(int fd, const char *path, const struct stat *owner, struct error *error) {
    return geteuid() != 0 || fchown(fd, owner->st_uid, owner->st_gid) == 0
               ? STATUS_OK
               : error_set_errno(error, errno, "cannot give %s to user %ld", path,
                                 (long)owner->st_uid);
}

enum status copy_file(const char *from, const char *to, const struct stat *owner,
                      struct error *error) {
    CLEANUP(close_fd) int source = -1;
    TRY(regular_file_open(from, &source, error));
    CLEANUP(close_fd) int target = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (target < 0) {
        return error_set_errno(error, errno, "cannot create %s", to);
    }
    enum status status = owner ? give_away(target, to, owner, error) : STATUS_OK;
    status = status == STATUS_OK ? copy_bytes(source, target, to, error) : status;
    if (status != STATUS_OK) {
        (void)unlink(to);
    }
    return status;
}
