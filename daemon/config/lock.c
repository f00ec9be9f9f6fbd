/* Layer: daemon. */
#include "daemon/config/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/cleanup.h"

static enum status say_who_holds(int fd, const char *directory, struct error *error) {
    char holder[32] = "";
    ssize_t n = fd < 0 ? 0 : pread(fd, holder, sizeof(holder) - 1, 0);
    holder[n > 0 ? n : 0] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
    return error_set(error, STATUS_BUSY, "another cutoutd (process %s) uses the state directory %s",
                     holder, directory);
}

static enum status lock_directory(int directory_fd, int file_fd, const char *directory,
                                  struct error *error) {
    if (flock(directory_fd, LOCK_EX | LOCK_NB) == 0) {
        return STATUS_OK;
    }
    return errno == EWOULDBLOCK ? say_who_holds(file_fd, directory, error)
                                : error_set_errno(error, errno, "cannot lock %s", directory);
}

static enum status write_pid(int fd, const char *path, struct error *error) {
    char pid[32];
    int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    return ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)n, 0) == n
               ? STATUS_OK
               : error_set_errno(error, errno, "cannot write %s", path);
}

/* A file that root makes here must not keep the daemon's user out. */
static enum status give_away(int fd, int directory_fd, const char *path, struct error *error) {
    struct stat info;
    return geteuid() != 0 ||
                   (fstat(directory_fd, &info) == 0 && fchown(fd, info.st_uid, info.st_gid) == 0)
               ? STATUS_OK
               : error_set_errno(error, errno, "cannot give %s to the owner of its directory",
                                 path);
}

/* The directory is what is locked: unlike a file in it, it cannot be removed and made again while
 * somebody works in it. The file says who that is. */
enum status lock_take(const char *directory, int *ret_fd, struct error *error) {
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/lock", directory);
    CLEANUP(close_fd) int directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory_fd < 0) {
        return error_set_errno(error, errno, "cannot open %s", directory);
    }
    CLEANUP(close_fd) int fd = open(path, O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0640);
    if (fd < 0) {
        return error_set_errno(error, errno, "cannot open %s", path);
    }
    TRY(lock_directory(directory_fd, fd, directory, error));
    TRY(give_away(fd, directory_fd, path, error));
    TRY(write_pid(fd, path, error));
    *ret_fd = directory_fd;
    directory_fd = -1;
    return STATUS_OK;
}

enum status lock_share(const char *directory, int *ret_fd, struct error *error) {
    char path[1024];
    *ret_fd = -1;
    CLEANUP(close_fd) int directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory_fd < 0) {
        return STATUS_OK;
    }
    if (flock(directory_fd, LOCK_SH | LOCK_NB) == 0) {
        *ret_fd = directory_fd;
        directory_fd = -1;
        return STATUS_OK;
    }
    if (errno != EWOULDBLOCK) {
        return STATUS_OK;
    }
    (void)snprintf(path, sizeof(path), "%s/lock", directory);
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    return say_who_holds(fd, directory, error);
}
