/* Layer: daemon. */
#include "daemon/config/state_dir.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/decimal.h"
#include "core/base/durable.h"
#include "daemon/config/text_file.h"

static enum status make_one(const char *path, struct error *error) {
    if (mkdir(path, 0750) != 0 && errno != EEXIST) {
        return error_set_errno(error, errno, "cannot make the directory %s", path);
    }
    struct stat info;
    if (stat(path, &info) != 0) {
        return error_set_errno(error, errno, "cannot look at %s", path);
    }
    return S_ISDIR(info.st_mode) ? STATUS_OK
                                 : error_set(error, STATUS_IO, "%s is not a directory", path);
}

enum status state_dir_make(const char *directory, struct error *error) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s", directory) >= (int)sizeof(path)) {
        return error_set(error, STATUS_INVALID, "the path of the state directory is too long");
    }
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        TRY(make_one(path, error));
        *slash = '/';
    }
    return make_one(path, error);
}

enum status state_dir_write_address(const char *directory, const char *address,
                                    struct error *error) {
    char path[PATH_MAX];
    char text[192];
    (void)snprintf(path, sizeof(path), "%s/address", directory);
    (void)snprintf(text, sizeof(text), "%s\n", address);
    return text_file_write(path, text, error);
}

void state_dir_remove_address(const char *directory) {
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/address", directory);
    (void)unlink(path);
}

static void close_directory(DIR **directory) {
    if (*directory) {
        (void)closedir(*directory);
    }
}

enum status state_dir_remove_run(const char *directory, int64_t run_id, struct error *error) {
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/runs/%" PRId64, directory, run_id);
    CLEANUP(close_directory) DIR *files = opendir(path);
    if (!files) {
        return errno == ENOENT ? STATUS_OK : error_set_errno(error, errno, "cannot open %s", path);
    }
    for (const struct dirent *file = readdir(files); file; file = readdir(files)) {
        if (strcmp(file->d_name, ".") != 0 && strcmp(file->d_name, "..") != 0) {
            (void)unlinkat(dirfd(files), file->d_name, 0);
        }
    }
    return rmdir(path) == 0 ? STATUS_OK : error_set_errno(error, errno, "cannot remove %s", path);
}

int state_dir_remove_unknown_runs(const char *directory,
                                  bool (*is_known)(void *user, int64_t run_id), void *user) {
    char path[PATH_MAX];
    int n_removed = 0;
    (void)snprintf(path, sizeof(path), "%s/runs", directory);
    CLEANUP(close_directory) DIR *runs = opendir(path);
    for (const struct dirent *run = runs ? readdir(runs) : NULL; run; run = readdir(runs)) {
        int64_t id = 0;
        if (text_to_id(run->d_name, INT64_MAX, &id) && !is_known(user, id)) {
            n_removed += state_dir_remove_run(directory, id, NULL) == STATUS_OK;
        }
    }
    return n_removed;
}

static int64_t size_of(const char *directory, const char *name) {
    char path[PATH_MAX];
    struct stat info;
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    return stat(path, &info) == 0 ? (int64_t)info.st_size : -1;
}

void state_dir_measure(const char *directory, struct state_dir_usage *ret_usage) {
    struct statvfs disk;
    ret_usage->database_bytes = size_of(directory, "cutoutd.db");
    ret_usage->wal_bytes = size_of(directory, "cutoutd.db-wal");
    ret_usage->free_bytes =
        statvfs(directory, &disk) == 0 ? (int64_t)(disk.f_bavail * disk.f_frsize) : -1;
}

enum status state_dir_link_run_file(const char *directory, int64_t source_id, int64_t id,
                                    const char *name, struct error *error) {
    char from[PATH_MAX];
    char to[PATH_MAX];
    (void)snprintf(from, sizeof(from), "%s/runs/%" PRId64 "/%s", directory, source_id, name);
    (void)snprintf(to, sizeof(to), "%s/runs/%" PRId64, directory, id);
    return durable_link(from, to, name, error);
}
