/* Preloaded into the daemon (LD_PRELOAD): makes its Nth call of a kind fail, ends it there, and
 * moves its clock.
 *
 * What shall happen stands in a file that the test maps as well (TORTURE_CONTROL; inject.py has the
 * same layout), so that it can be changed while the daemon runs. Calls on files count only below
 * `prefix`. Not seen: calls that the C library makes by itself.
 *
 * Thread rule: every member of the control is atomic or written before `call` is.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* In the order of inject.py. */
enum call {
    CALL_NONE,
    CALL_WRITE,
    CALL_SYNC,
    CALL_RENAME,
    CALL_OPEN,
    CALL_UNLINK,
    CALL_LINK,
    CALL_MKDIR,
    CALL_RESIZE,
    CALL_READ,
    CALL_MEMORY,
    CALL_MAP,
    CALL_THREAD,
    CALL_EVENTFD,
    CALL_ACCEPT
};

enum action { ACTION_FAIL, ACTION_KILL_BEFORE, ACTION_KILL_AFTER, ACTION_KILL_TORN };

enum { TEXT_SIZE = 256 };

struct control {
    atomic_uint call;
    atomic_uint action;
    atomic_int error;
    atomic_uint n_times;  /* from the Nth on */
    atomic_ullong nth;    /* from 1; 0: only counts */
    atomic_ullong n_seen; /* since the test set it to 0 */
    atomic_ullong n_fired;
    atomic_llong clock_ns; /* added to the time of day */
    char prefix[TEXT_SIZE];
    char what[TEXT_SIZE]; /* the file of the first that was hit */
};

static struct control *control;

/* The function of the C library behind ours. */
#define REAL(name) ((__typeof__(&(name)))real_of(#name))

static void *real_of(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) {
        abort();
    }
    return found;
}

__attribute__((constructor)) static void open_control(void) {
    const char *path = getenv("TORTURE_CONTROL");
    int fd = path ? REAL(open)(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) {
        return;
    }
    void *memory = REAL(mmap)(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)REAL(close)(fd);
    control = memory == MAP_FAILED ? NULL : memory;
}

static bool counts(enum call call) {
    return control && atomic_load_explicit(&control->call, memory_order_relaxed) == call;
}

static bool is_below(const char *path) {
    size_t n = strlen(control->prefix);
    return strncmp(path, control->prefix, n) == 0;
}

static bool has_path(enum call call, const char *path) {
    return counts(call) && is_below(path);
}

static bool has_fd(enum call call, int fd, char ret_path[TEXT_SIZE]) {
    char link[64];
    if (!counts(call)) {
        return false;
    }
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, ret_path, TEXT_SIZE - 1);
    ret_path[n > 0 ? n : 0] = '\0';
    return n > 0 && is_below(ret_path);
}

static void end_here(void) {
    (void)kill(getpid(), SIGKILL);
    for (;;) {
        (void)pause();
    }
}

enum verdict { GOES_ON, FAILS, ENDS_AFTER, ENDS_TORN };

/* One call that counts. It does not return when the process is to end before it. */
static enum verdict hit(const char *what) {
    unsigned long long n = atomic_fetch_add(&control->n_seen, 1) + 1;
    unsigned long long nth = atomic_load(&control->nth);
    if (nth == 0 || n < nth || n - nth >= atomic_load(&control->n_times)) {
        return GOES_ON;
    }
    if (atomic_fetch_add(&control->n_fired, 1) == 0) {
        (void)snprintf(control->what, sizeof(control->what), "%s", what);
    }
    switch ((enum action)atomic_load(&control->action)) {
    case ACTION_FAIL:
        errno = atomic_load(&control->error);
        return FAILS;
    case ACTION_KILL_BEFORE:
        end_here();
        break;
    case ACTION_KILL_AFTER:
        return ENDS_AFTER;
    case ACTION_KILL_TORN:
        return ENDS_TORN;
    }
    return GOES_ON;
}

/* Around a call whose failure is `failed`. */
#define AROUND(type, counted, what, failed, real_call)                                             \
    do {                                                                                           \
        enum verdict verdict = (counted) ? hit(what) : GOES_ON;                                    \
        if (verdict == FAILS) {                                                                    \
            return failed;                                                                         \
        }                                                                                          \
        type result = real_call;                                                                   \
        if (verdict != GOES_ON) {                                                                  \
            end_here();                                                                            \
        }                                                                                          \
        return result;                                                                             \
    } while (0)

/* ---- files ---- */

/* With ACTION_KILL_TORN half of it is written before the end. */
static size_t torn(enum verdict verdict, size_t n) {
    return verdict == ENDS_TORN ? n / 2 : n;
}

ssize_t write(int fd, const void *bytes, size_t n) {
    char path[TEXT_SIZE];
    enum verdict verdict = has_fd(CALL_WRITE, fd, path) ? hit(path) : GOES_ON;
    if (verdict == FAILS) {
        return -1;
    }
    ssize_t result = REAL(write)(fd, bytes, torn(verdict, n));
    if (verdict != GOES_ON) {
        end_here();
    }
    return result;
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at) {
    char path[TEXT_SIZE];
    enum verdict verdict = has_fd(CALL_WRITE, fd, path) ? hit(path) : GOES_ON;
    if (verdict == FAILS) {
        return -1;
    }
    ssize_t result = REAL(pwrite64)(fd, bytes, torn(verdict, n), at);
    if (verdict != GOES_ON) {
        end_here();
    }
    return result;
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) {
    return pwrite64(fd, bytes, n, at);
}

int fflush(FILE *file) {
    char path[TEXT_SIZE];
    AROUND(int, file &&fileno(file) >= 0 && has_fd(CALL_WRITE, fileno(file), path), path, EOF,
           REAL(fflush)(file));
}

int fsync(int fd) {
    char path[TEXT_SIZE];
    AROUND(int, has_fd(CALL_SYNC, fd, path), path, -1, REAL(fsync)(fd));
}

int fdatasync(int fd) {
    char path[TEXT_SIZE];
    AROUND(int, has_fd(CALL_SYNC, fd, path), path, -1, REAL(fdatasync)(fd));
}

int rename(const char *from, const char *to) {
    AROUND(int, has_path(CALL_RENAME, to), to, -1, REAL(rename)(from, to));
}

static mode_t mode_of(int flags, va_list arguments) {
    bool has_mode = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
    return has_mode ? va_arg(arguments, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    AROUND(int, has_path(CALL_OPEN, path), path, -1, REAL(open)(path, flags, mode));
}

int open64(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    AROUND(int, has_path(CALL_OPEN, path), path, -1, REAL(open64)(path, flags, mode));
}

FILE *fopen(const char *path, const char *mode) {
    AROUND(FILE *, has_path(CALL_OPEN, path), path, NULL, REAL(fopen)(path, mode));
}

FILE *fopen64(const char *path, const char *mode) {
    return fopen(path, mode);
}

int unlink(const char *path) {
    AROUND(int, has_path(CALL_UNLINK, path), path, -1, REAL(unlink)(path));
}

int unlinkat(int fd, const char *name, int flags) {
    char path[TEXT_SIZE];
    AROUND(int, has_fd(CALL_UNLINK, fd, path), path, -1, REAL(unlinkat)(fd, name, flags));
}

int rmdir(const char *path) {
    AROUND(int, has_path(CALL_UNLINK, path), path, -1, REAL(rmdir)(path));
}

int link(const char *from, const char *to) {
    AROUND(int, has_path(CALL_LINK, to), to, -1, REAL(link)(from, to));
}

int mkdir(const char *path, mode_t mode) {
    AROUND(int, has_path(CALL_MKDIR, path), path, -1, REAL(mkdir)(path, mode));
}

int ftruncate64(int fd, off64_t size) {
    char path[TEXT_SIZE];
    AROUND(int, has_fd(CALL_RESIZE, fd, path), path, -1, REAL(ftruncate64)(fd, size));
}

int ftruncate(int fd, off_t size) {
    return ftruncate64(fd, size);
}

int posix_fallocate(int fd, off_t at, off_t n) {
    char path[TEXT_SIZE];
    AROUND(int, has_fd(CALL_RESIZE, fd, path), path, atomic_load(&control->error),
           REAL(posix_fallocate)(fd, at, n));
}

ssize_t read(int fd, void *bytes, size_t n) {
    char path[TEXT_SIZE];
    AROUND(ssize_t, has_fd(CALL_READ, fd, path), path, -1, REAL(read)(fd, bytes, n));
}

ssize_t pread64(int fd, void *bytes, size_t n, off64_t at) {
    char path[TEXT_SIZE];
    AROUND(ssize_t, has_fd(CALL_READ, fd, path), path, -1, REAL(pread64)(fd, bytes, n, at));
}

ssize_t pread(int fd, void *bytes, size_t n, off_t at) {
    return pread64(fd, bytes, n, at);
}

/* ---- memory: dlsym allocates, so the C library's second names ---- */

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *memory, size_t n);
extern void *__libc_memalign(size_t alignment, size_t n);

void *malloc(size_t n) {
    AROUND(void *, counts(CALL_MEMORY), "malloc", NULL, __libc_malloc(n));
}

void *calloc(size_t n, size_t size) {
    AROUND(void *, counts(CALL_MEMORY), "calloc", NULL, __libc_calloc(n, size));
}

void *realloc(void *memory, size_t n) {
    AROUND(void *, counts(CALL_MEMORY), "realloc", NULL, __libc_realloc(memory, n));
}

void *aligned_alloc(size_t alignment, size_t n) {
    AROUND(void *, counts(CALL_MEMORY), "aligned_alloc", NULL, __libc_memalign(alignment, n));
}

void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset) {
    AROUND(void *, counts(CALL_MAP), "mmap", MAP_FAILED,
           REAL(mmap)(at, n, protection, flags, fd, offset));
}

void *mmap64(void *at, size_t n, int protection, int flags, int fd, off64_t offset) {
    return mmap(at, n, protection, flags, fd, offset);
}

/* ---- threads and descriptors ---- */

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*begin)(void *),
                   void *user) {
    AROUND(int, counts(CALL_THREAD), "pthread_create", atomic_load(&control->error),
           REAL(pthread_create)(thread, attributes, begin, user));
}

int eventfd(unsigned count, int flags) {
    AROUND(int, counts(CALL_EVENTFD), "eventfd", -1, REAL(eventfd)(count, flags));
}

int accept4(int fd, struct sockaddr *address, socklen_t *n, int flags) {
    AROUND(int, counts(CALL_ACCEPT), "accept4", -1, REAL(accept4)(fd, address, n, flags));
}

/* ---- the time of day ---- */

static void move_clock(struct timespec *time) {
    long long moved = control ? atomic_load(&control->clock_ns) : 0;
    long long ns = time->tv_nsec + moved % 1000000000;
    time->tv_sec += (time_t)(moved / 1000000000);
    time->tv_sec += (time_t)(ns >= 1000000000 ? 1 : ns < 0 ? -1 : 0);
    time->tv_nsec = (long)((ns + 1000000000) % 1000000000);
}

int clock_gettime(clockid_t id, struct timespec *ret_time) {
    int code = REAL(clock_gettime)(id, ret_time);
    if (code == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        move_clock(ret_time);
    }
    return code;
}

int gettimeofday(struct timeval *ret_time, void *zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) {
        return -1;
    }
    *ret_time = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *ret_time) {
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (ret_time) {
        *ret_time = now.tv_sec;
    }
    return now.tv_sec;
}
