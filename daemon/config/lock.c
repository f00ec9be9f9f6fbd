/* Layer: daemon. */
#include "daemon/config/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static enum status say_who_holds(int fd, const char *directory, struct error *error) {
    char holder[32] = "";
    ssize_t n = pread(fd, holder, sizeof(holder) - 1, 0);
    holder[n > 0 ? n : 0] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
    return error_set(error, STATUS_BUSY, "another cutoutd (process %s) uses the state directory %s",
                     holder, directory);
}

enum status lock_take(const char *directory, int *ret_fd, struct error *error) {
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/lock", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) {
        return error_set_errno(error, errno, "cannot open %s", path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        enum status status = errno == EWOULDBLOCK
                                 ? say_who_holds(fd, directory, error)
                                 : error_set_errno(error, errno, "cannot lock %s", path);
        (void)close(fd);
        return status;
    }
    char pid[32];
    int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n) {
        enum status status = error_set_errno(error, errno, "cannot write %s", path);
        (void)close(fd);
        return status;
    }
    *ret_fd = fd;
    return STATUS_OK;
}
