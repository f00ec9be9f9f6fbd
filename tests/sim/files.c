/* Descriptors on the disk in memory (disk.h), in the place of the C library's. What is not below
 * /sim goes to the library. Thread rule: one thread. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/disk.h"
#include "tests/sim/faults.h"
#include "tests/sim/sched.h"
#include "tests/sim/wraps.h"

enum { FIRST_FD = 100000, MOST_FDS = 256, PATH_SIZE = 512 };

enum fd_kind { FD_FREE, FD_FILE, FD_EVENT };

struct fd {
    enum fd_kind kind;
    struct node *node;
    int64_t offset;
    uint64_t count; /* of an event */
    char path[PATH_SIZE];
    FILE *stream;
};

static struct fd fds[MOST_FDS];

/* What poll waits for: that some event was written. */
static const char event_written;

void files_reset(void) {
    memset(fds, 0, sizeof(fds));
}

static struct fd *ours(int fd) {
    bool there = fd >= FIRST_FD && fd < FIRST_FD + MOST_FDS && fds[fd - FIRST_FD].kind != FD_FREE;
    return there ? &fds[fd - FIRST_FD] : NULL;
}

static int take_fd(enum fd_kind kind, struct node *node, const char *path) {
    for (int i = 0; i < MOST_FDS; i++) {
        if (fds[i].kind == FD_FREE) {
            fds[i] = (struct fd){.kind = kind, .node = node};
            (void)snprintf(fds[i].path, sizeof(fds[i].path), "%s", path);
            return FIRST_FD + i;
        }
    }
    errno = EMFILE;
    return -1;
}

static int fail(int code) {
    errno = code;
    return code == 0 ? 0 : -1;
}

const char *files_path_of(int fd) {
    const struct fd *f = ours(fd);
    return f && f->kind == FD_FILE ? f->path : NULL;
}

int files_open_directory(const char *path) {
    struct node *node = disk_find(path);
    if (!node || !disk_is_directory(node)) {
        return fail(node ? ENOTDIR : ENOENT);
    }
    return take_fd(FD_FILE, node, path);
}

/* ---- files ---- */

static int open_ours(const char *path, int flags) {
    struct node *node = disk_find(path);
    int code = faults_meet(node || (flags & O_CREAT) == 0 ? OPERATION_READ : OPERATION_CHANGE);
    node = disk_find(path); /* another task may have gone */
    if (code == 0 && !node) {
        code = (flags & O_CREAT) != 0 ? disk_make(path, false, &node) : ENOENT;
    } else if (code == 0 && (flags & O_CREAT) != 0 && (flags & O_EXCL) != 0) {
        code = EEXIST;
    }
    if (code == 0 && (flags & O_DIRECTORY) != 0 && !disk_is_directory(node)) {
        code = ENOTDIR;
    }
    if (code == 0 && (flags & O_TRUNC) != 0) {
        code = disk_resize(node, 0);
    }
    return code == 0 ? take_fd(FD_FILE, node, path) : fail(code);
}

int __wrap_open(const char *path, int flags, ...) {
    if (disk_has(path)) {
        return open_ours(path, flags);
    }
    va_list arguments;
    va_start(arguments, flags);
    int mode = (flags & O_CREAT) != 0 ? va_arg(arguments, int) : 0;
    va_end(arguments);
    return __real_open(path, flags, mode);
}

int __wrap_close(int fd) {
    struct fd *f = ours(fd);
    if (!f) {
        return __real_close(fd);
    }
    f->kind = FD_FREE;
    return 0;
}

ssize_t __wrap_pread(int fd, void *bytes, size_t n, off_t offset) {
    const struct fd *f = ours(fd);
    if (!f) {
        return __real_pread(fd, bytes, n, offset);
    }
    int code = faults_meet(OPERATION_READ);
    return code == 0 ? (ssize_t)disk_read(f->node, bytes, n, offset) : fail(code);
}

ssize_t __wrap_read(int fd, void *bytes, size_t n) {
    struct fd *f = ours(fd);
    if (!f) {
        return __real_read(fd, bytes, n);
    }
    ssize_t done = __wrap_pread(fd, bytes, n, f->offset);
    f->offset += done > 0 ? done : 0;
    return done;
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t n, off_t offset) {
    const struct fd *f = ours(fd);
    if (!f) {
        return __real_pwrite(fd, bytes, n, offset);
    }
    int code = faults_meet(OPERATION_CHANGE);
    code = code == 0 ? disk_write(f->node, bytes, n, offset) : code;
    return code == 0 ? (ssize_t)n : fail(code);
}

ssize_t __wrap_write(int fd, const void *bytes, size_t n) {
    struct fd *f = ours(fd);
    if (!f) {
        return __real_write(fd, bytes, n);
    }
    ssize_t done = __wrap_pwrite(fd, bytes, n, f->offset);
    f->offset += done > 0 ? done : 0;
    return done;
}

int __wrap_fsync(int fd) {
    const struct fd *f = ours(fd);
    if (!f) {
        return __real_fsync(fd);
    }
    int code = faults_meet(OPERATION_SYNC);
    if (code == 0) {
        disk_sync(f->node);
    } else {
        disk_sync_failed(f->node);
    }
    return fail(code);
}

int __wrap_ftruncate(int fd, off_t size) {
    const struct fd *f = ours(fd);
    if (!f) {
        return __real_ftruncate(fd, size);
    }
    int code = faults_meet(OPERATION_CHANGE);
    return fail(code == 0 ? disk_resize(f->node, size) : code);
}

int __wrap_posix_fallocate(int fd, off_t offset, off_t n) {
    const struct fd *f = ours(fd);
    if (!f) {
        return __real_posix_fallocate(fd, offset, n);
    }
    int code = faults_meet(OPERATION_CHANGE);
    return code == 0 && disk_size(f->node) < offset + n ? disk_resize(f->node, offset + n) : code;
}

/* One process at a time: nobody else has the lock. */
int __wrap_flock(int fd, int operation) {
    return ours(fd) ? 0 : __real_flock(fd, operation);
}

/* ---- streams ---- */

static ssize_t stream_read(void *user, char *bytes, size_t n) {
    return __wrap_read((int)(intptr_t)user, bytes, n);
}

static ssize_t stream_write(void *user, const char *bytes, size_t n) {
    ssize_t done = __wrap_write((int)(intptr_t)user, bytes, n);
    return done < 0 ? 0 : done; /* as fopencookie wants it */
}

static int stream_close(void *user) {
    return __wrap_close((int)(intptr_t)user);
}

FILE *__wrap_fdopen(int fd, const char *mode) {
    static const cookie_io_functions_t functions = {
        .read = stream_read, .write = stream_write, .close = stream_close};
    struct fd *f = ours(fd);
    if (!f) {
        return __real_fdopen(fd, mode);
    }
    f->stream = fopencookie((void *)(intptr_t)fd, mode[0] == 'w' ? "w" : "r", functions);
    return f->stream;
}

FILE *__wrap_fopen(const char *path, const char *mode) {
    if (!disk_has(path)) {
        return __real_fopen(path, mode);
    }
    int fd = open_ours(path, mode[0] == 'w' ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY);
    return fd >= 0 ? __wrap_fdopen(fd, mode) : NULL;
}

int __wrap_fileno(FILE *stream) {
    for (int i = 0; i < MOST_FDS; i++) {
        if (fds[i].kind == FD_FILE && fds[i].stream == stream) {
            return FIRST_FD + i;
        }
    }
    return __real_fileno(stream);
}

/* ---- what is known of a file ---- */

static int describe(const struct node *node, struct stat *ret) {
    if (!node) {
        return fail(ENOENT);
    }
    *ret = (struct stat){.st_dev = 7,
                         .st_ino = (ino_t)disk_number(node),
                         .st_mode = disk_is_directory(node) ? S_IFDIR | 0750 : S_IFREG | 0640,
                         .st_nlink = (nlink_t)disk_links(node),
                         .st_size = disk_size(node)};
    return 0;
}

int __wrap_fstat(int fd, struct stat *ret) {
    const struct fd *f = ours(fd);
    return f ? describe(f->node, ret) : __real_fstat(fd, ret);
}

/* Everything here is one user's. */
int __wrap_fchown(int fd, uid_t user, gid_t group) {
    return ours(fd) ? 0 : __real_fchown(fd, user, group);
}

int __wrap_stat(const char *path, struct stat *ret) {
    if (!disk_has(path)) {
        return __real_stat(path, ret);
    }
    int code = faults_meet(OPERATION_READ);
    return code == 0 ? describe(disk_find(path), ret) : fail(code);
}

int __wrap_lstat(const char *path, struct stat *ret) {
    return disk_has(path) ? __wrap_stat(path, ret) : __real_lstat(path, ret);
}

int __wrap_access(const char *path, int mode) {
    struct stat info;
    return disk_has(path) ? __wrap_stat(path, &info) : __real_access(path, mode);
}

int __wrap_statvfs(const char *path, struct statvfs *ret) {
    if (!disk_has(path)) {
        return __real_statvfs(path, ret);
    }
    *ret = (struct statvfs){.f_bsize = 4096, .f_frsize = 4096};
    ret->f_bavail = (fsblkcnt_t)(disk_free() / 4096);
    return 0;
}

/* ---- events ---- */

int __wrap_eventfd(unsigned count, int flags) {
    (void)flags;
    int fd = take_fd(FD_EVENT, NULL, "");
    if (fd >= 0) {
        fds[fd - FIRST_FD].count = count;
    }
    return fd;
}

int __wrap_eventfd_read(int fd, eventfd_t *ret_count) {
    struct fd *f = ours(fd);
    if (!f) {
        return __real_eventfd_read(fd, ret_count);
    }
    *ret_count = f->count;
    f->count = 0;
    return *ret_count > 0 ? 0 : fail(EAGAIN);
}

int __wrap_eventfd_write(int fd, eventfd_t count) {
    struct fd *f = ours(fd);
    if (!f) {
        return __real_eventfd_write(fd, count);
    }
    f->count += count;
    sched_signal(&event_written);
    return 0;
}

static int look(struct pollfd *polled, nfds_t n) {
    int n_readable = 0;
    for (nfds_t i = 0; i < n; i++) {
        const struct fd *f = ours(polled[i].fd);
        polled[i].revents = f && f->count > 0 ? POLLIN : 0;
        n_readable += polled[i].revents != 0;
    }
    return n_readable;
}

int __wrap_poll(struct pollfd *polled, nfds_t n, int timeout_ms) {
    double until_s = timeout_ms < 0 ? (double)INFINITY : sched_now_s() + timeout_ms / 1000.0;
    int n_readable = look(polled, n);
    bool in_time = true;
    while (n_readable == 0 && in_time) {
        in_time = sched_wait(&event_written, until_s);
        n_readable = look(polled, n);
    }
    return n_readable;
}
