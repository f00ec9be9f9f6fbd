/* The functions that the linker puts in the place of those of the C library. */
#ifndef CUTOUTD_TESTS_SIM_WRAPS_H
#define CUTOUTD_TESTS_SIM_WRAPS_H

#include <dirent.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <time.h>

/* WRAP(result, name, parameters) declares both: ours, and the library's own under its new name. */
#define WRAP(result, name, ...)                                                                    \
    result __wrap_##name(__VA_ARGS__);                                                             \
    result __real_##name(__VA_ARGS__)

WRAP(int, pthread_create, pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
WRAP(int, pthread_join, pthread_t, void **);
WRAP(int, pthread_mutex_init, pthread_mutex_t *, const pthread_mutexattr_t *);
WRAP(int, pthread_mutex_destroy, pthread_mutex_t *);
WRAP(int, pthread_mutex_lock, pthread_mutex_t *);
WRAP(int, pthread_mutex_unlock, pthread_mutex_t *);
WRAP(int, pthread_cond_wait, pthread_cond_t *, pthread_mutex_t *);
WRAP(int, pthread_cond_timedwait, pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
WRAP(int, pthread_cond_signal, pthread_cond_t *);
WRAP(int, pthread_cond_broadcast, pthread_cond_t *);
WRAP(void *, pthread_getspecific, pthread_key_t);
WRAP(int, pthread_setspecific, pthread_key_t, const void *);
WRAP(int, clock_gettime, clockid_t, struct timespec *);
WRAP(int, setpriority, int, id_t, int);

WRAP(int, open, const char *, int, ...);
WRAP(int, close, int);
WRAP(ssize_t, read, int, void *, size_t);
WRAP(ssize_t, write, int, const void *, size_t);
WRAP(ssize_t, pread, int, void *, size_t, off_t);
WRAP(ssize_t, pwrite, int, const void *, size_t, off_t);
WRAP(int, fsync, int);
WRAP(int, ftruncate, int, off_t);
WRAP(int, posix_fallocate, int, off_t, off_t);
WRAP(int, flock, int, int);
WRAP(int, fstat, int, struct stat *);
WRAP(int, fchown, int, uid_t, gid_t);
WRAP(FILE *, fdopen, int, const char *);
WRAP(FILE *, fopen, const char *, const char *);
WRAP(int, fileno, FILE *);
WRAP(int, poll, struct pollfd *, nfds_t, int);
WRAP(int, eventfd, unsigned, int);
WRAP(int, eventfd_read, int, eventfd_t *);
WRAP(int, eventfd_write, int, eventfd_t);

WRAP(int, stat, const char *, struct stat *);
WRAP(int, lstat, const char *, struct stat *);
WRAP(int, fstatat, int, const char *, struct stat *, int);
WRAP(int, access, const char *, int);
WRAP(int, statvfs, const char *, struct statvfs *);
WRAP(int, rename, const char *, const char *);
WRAP(int, link, const char *, const char *);
WRAP(int, unlink, const char *);
WRAP(int, unlinkat, int, const char *, int);
WRAP(int, remove, const char *);
WRAP(int, mkdir, const char *, mode_t);
WRAP(int, rmdir, const char *);
WRAP(DIR *, opendir, const char *);
WRAP(struct dirent *, readdir, DIR *);
WRAP(int, closedir, DIR *);
WRAP(int, dirfd, DIR *);
WRAP(int, nftw, const char *, __nftw_func_t, int, int);

/* The path of a directory that is open under a descriptor of ours; NULL: it is none. */
const char *files_path_of(int fd);

/* A new process has none open. */
void files_reset(void);
void directories_reset(void);
int files_open_directory(const char *path);

#endif
