/* Entries of directories on the disk in memory, in the place of the C library's functions. Thread
 * rule: one thread. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/disk.h"
#include "tests/sim/faults.h"
#include "tests/sim/wraps.h"

enum { MOST_OPEN = 64, PATH_SIZE = 1024 };

/* What a DIR of ours points to. The names are taken when it is opened, as a library may. */
struct listing {
    bool open;
    int fd;
    int n;
    int next;
    char (*names)[DISK_NAME_SIZE];
    struct dirent entry;
};

static struct listing listings[MOST_OPEN];

void directories_reset(void) {
    memset(listings, 0, sizeof(listings));
}

static struct listing *ours(DIR *directory) {
    struct listing *listing = (struct listing *)(void *)directory;
    return listing >= listings && listing < listings + MOST_OPEN ? listing : NULL;
}

static int answer(int code) {
    errno = code == 0 ? errno : code;
    return code == 0 ? 0 : -1;
}

static void read_names(struct listing *listing, const struct node *node) {
    while (disk_entry(node, listing->n)) {
        listing->n++;
    }
    listing->names = calloc((size_t)listing->n + 1, sizeof(*listing->names));
    for (int i = 0; listing->names && i < listing->n; i++) {
        (void)snprintf(listing->names[i], DISK_NAME_SIZE, "%s", disk_entry(node, i));
    }
}

DIR *__wrap_opendir(const char *path) {
    if (!disk_has(path)) {
        return __real_opendir(path);
    }
    int code = faults_meet(OPERATION_READ);
    int fd = code == 0 ? files_open_directory(path) : answer(code);
    if (fd < 0) {
        return NULL;
    }
    for (int i = 0; i < MOST_OPEN; i++) {
        if (!listings[i].open) {
            listings[i] = (struct listing){.open = true, .fd = fd};
            read_names(&listings[i], disk_find(path));
            return (DIR *)(void *)&listings[i];
        }
    }
    errno = EMFILE;
    return NULL;
}

struct dirent *__wrap_readdir(DIR *directory) {
    struct listing *listing = ours(directory);
    if (!listing) {
        return __real_readdir(directory);
    }
    if (listing->next >= listing->n) {
        return NULL;
    }
    (void)snprintf(listing->entry.d_name, sizeof(listing->entry.d_name), "%s",
                   listing->names[listing->next++]);
    return &listing->entry;
}

int __wrap_closedir(DIR *directory) {
    struct listing *listing = ours(directory);
    if (!listing) {
        return __real_closedir(directory);
    }
    (void)__wrap_close(listing->fd);
    free(listing->names);
    listing->open = false;
    return 0;
}

int __wrap_dirfd(DIR *directory) {
    const struct listing *listing = ours(directory);
    return listing ? listing->fd : __real_dirfd(directory);
}

/* ---- changes ---- */

static int change(int (*act)(const char *, const char *), const char *from, const char *to) {
    int code = faults_meet(OPERATION_CHANGE);
    return answer(code == 0 ? act(from, to) : code);
}

int __wrap_rename(const char *from, const char *to) {
    return disk_has(from) ? change(disk_rename, from, to) : __real_rename(from, to);
}

int __wrap_link(const char *from, const char *to) {
    return disk_has(from) ? change(disk_link, from, to) : __real_link(from, to);
}

int __wrap_unlink(const char *path) {
    if (!disk_has(path)) {
        return __real_unlink(path);
    }
    int code = faults_meet(OPERATION_CHANGE);
    return answer(code == 0 ? disk_unlink(path) : code);
}

static void join(int directory_fd, const char *name, char ret_path[PATH_SIZE]) {
    (void)snprintf(ret_path, PATH_SIZE, "%s/%s", files_path_of(directory_fd), name);
}

int __wrap_unlinkat(int directory_fd, const char *name, int flags) {
    char path[PATH_SIZE];
    if (!files_path_of(directory_fd)) {
        return __real_unlinkat(directory_fd, name, flags);
    }
    join(directory_fd, name, path);
    return __wrap_unlink(path);
}

int __wrap_fstatat(int directory_fd, const char *name, struct stat *ret, int flags) {
    char path[PATH_SIZE];
    if (!files_path_of(directory_fd)) {
        return __real_fstatat(directory_fd, name, ret, flags);
    }
    join(directory_fd, name, path);
    return __wrap_stat(path, ret);
}

int __wrap_mkdir(const char *path, mode_t mode) {
    if (!disk_has(path)) {
        return __real_mkdir(path, mode);
    }
    int code = faults_meet(OPERATION_CHANGE);
    return answer(code == 0 ? disk_make(path, true, NULL) : code);
}

int __wrap_rmdir(const char *path) {
    if (!disk_has(path)) {
        return __real_rmdir(path);
    }
    int code = faults_meet(OPERATION_CHANGE);
    return answer(code == 0 ? disk_rmdir(path) : code);
}

int __wrap_remove(const char *path) {
    const struct node *node = disk_has(path) ? disk_find(path) : NULL;
    if (!disk_has(path)) {
        return __real_remove(path);
    }
    return node && disk_is_directory(node) ? __wrap_rmdir(path) : __wrap_unlink(path);
}

/* Depth first: what is in a directory before the directory. */
static int walk(const char *path, __nftw_func_t act) {
    struct stat info;
    struct FTW place = {0};
    char below[PATH_SIZE];
    if (__wrap_stat(path, &info) != 0) {
        return -1;
    }
    DIR *directory = S_ISDIR(info.st_mode) ? __wrap_opendir(path) : NULL;
    int code = 0;
    for (const struct dirent *entry = directory ? __wrap_readdir(directory) : NULL;
         entry && code == 0; entry = __wrap_readdir(directory)) {
        (void)snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
        code = walk(below, act);
    }
    if (directory) {
        (void)__wrap_closedir(directory);
    }
    return code == 0 ? act(path, &info, directory ? FTW_DP : FTW_F, &place) : code;
}

int __wrap_nftw(const char *path, __nftw_func_t act, int n_fds, int flags) {
    return disk_has(path) ? walk(path, act) : __real_nftw(path, act, n_fds, flags);
}
