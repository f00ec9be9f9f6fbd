/* Layer: daemon. */
#include "daemon/config/state_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/durable.h"
#include "daemon/config/text_file.h"

static enum status make_one(const char *path, struct error *error) {
    if (mkdir(path, 0750) == 0) {
        return durable_name(path, error);
    }
    if (errno != EEXIST) {
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

bool state_dir_is_own(const char *name) {
    static const char *const names[] = {
        "cutoutd.db", "cutoutd.db-wal", "cutoutd.db-shm", "cutoutd.db-journal", "lock", "address",
        "instance",   "ballast",        "backups",        "before-migration",   "runs", "unknown",
        "tokens",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

enum status state_dir_check_restored(const char *directory, struct error *error) {
    char database[PATH_MAX];
    char restoring[PATH_MAX];
    (void)snprintf(database, sizeof(database), "%s/cutoutd.db", directory);
    (void)snprintf(restoring, sizeof(restoring), "%s/%s", directory, STATE_DIR_RESTORING);
    return access(database, F_OK) == 0 || access(restoring, F_OK) != 0
               ? STATUS_OK
               : error_set(error, STATUS_CONFLICT,
                           "a restore into %s was cut short: give `cutoutd restore FILE` again; to "
                           "begin with an empty database instead, remove %s",
                           directory, restoring);
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

/* The name of the file that says which database a directory belongs to. */
static const char MARKER[] = "instance";

/* A directory without a marker is never removed, so one that cannot be made does no harm. */
static void mark(const char *directory, const char *run_dir) {
    char from[PATH_MAX];
    char to[PATH_MAX];
    if (snprintf(from, sizeof(from), "%s/%s", directory, MARKER) < (int)sizeof(from) &&
        snprintf(to, sizeof(to), "%s/%s", run_dir, MARKER) < (int)sizeof(to)) {
        (void)!link(from, to);
    }
}

void state_dir_run_path(const char *directory, int64_t run_id, const char *name, char *ret_path,
                        size_t size) {
    (void)snprintf(ret_path, size, "%s/runs/%" PRId64 "%s%s", directory, run_id, name ? "/" : "",
                   name ? name : "");
}

enum status state_dir_make_run(const char *directory, int64_t run_id, struct error *error) {
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/runs", directory);
    TRY(durable_directory(path, error));
    state_dir_run_path(directory, run_id, NULL, path, sizeof(path));
    TRY(durable_directory(path, error));
    mark(directory, path);
    return STATUS_OK;
}

/* All but the marker. Goes on after a failure, and returns the last. */
static enum status remove_files(DIR *files, const char *path, struct error *error) {
    enum status status = STATUS_OK;
    const struct dirent *file = NULL;
    for (errno = 0; (file = readdir(files)); errno = 0) {
        if (strcmp(file->d_name, ".") != 0 && strcmp(file->d_name, "..") != 0 &&
            strcmp(file->d_name, MARKER) != 0 && unlinkat(dirfd(files), file->d_name, 0) != 0 &&
            errno != ENOENT) {
            status = error_set_errno(error, errno, "cannot remove %s/%s", path, file->d_name);
        }
    }
    return errno == 0 ? status : error_set_errno(error, errno, "cannot list %s", path);
}

/* The marker goes once it is all that is left: without it the next start would take the rest for
 * another database's. */
enum status state_dir_remove_run(const char *directory, int64_t run_id, struct error *error) {
    char path[PATH_MAX];
    state_dir_run_path(directory, run_id, NULL, path, sizeof(path));
    CLEANUP(close_directory) DIR *files = opendir(path);
    if (!files) {
        return errno == ENOENT ? STATUS_OK : error_set_errno(error, errno, "cannot open %s", path);
    }
    TRY(remove_files(files, path, error));
    (void)unlinkat(dirfd(files), MARKER, 0);
    return rmdir(path) == 0 ? STATUS_OK : error_set_errno(error, errno, "cannot remove %s", path);
}

/* So much more than the ballast must be free, for it not to be what fills the disk. */
enum { PLENTY = 8 };

void state_dir_make_ballast(const char *directory) {
    char path[PATH_MAX];
    struct state_dir_usage usage;
    if (snprintf(path, sizeof(path), "%s/ballast", directory) >= (int)sizeof(path) ||
        access(path, F_OK) == 0) {
        return;
    }
    state_dir_measure(directory, &usage);
    if (usage.free_bytes < (int64_t)PLENTY * STATE_DIR_BALLAST_BYTES) {
        return;
    }
    CLEANUP(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd >= 0 && posix_fallocate(fd, 0, STATE_DIR_BALLAST_BYTES) != 0) {
        (void)unlink(path);
    }
}

bool state_dir_drop_ballast(const char *directory) {
    char path[PATH_MAX];
    return snprintf(path, sizeof(path), "%s/ballast", directory) < (int)sizeof(path) &&
           unlink(path) == 0;
}

/* It has no name while it takes room, so that a crash leaves nothing. */
bool state_dir_has_room(const char *directory, int64_t n_bytes) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s/room.tmp", directory) >= (int)sizeof(path)) {
        return false;
    }
    CLEANUP(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    return fd >= 0 && unlink(path) == 0 && posix_fallocate(fd, 0, (off_t)n_bytes) == 0;
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
    ret_usage->has_ballast = size_of(directory, "ballast") > 0;
}

enum status state_dir_link_run_file(const char *source_dir, int64_t source_id,
                                    const char *directory, int64_t id, const char *name,
                                    struct error *error) {
    char from[PATH_MAX];
    char to[PATH_MAX];
    state_dir_run_path(source_dir, source_id, name, from, sizeof(from));
    state_dir_run_path(directory, id, NULL, to, sizeof(to));
    TRY(state_dir_make_run(directory, id, error));
    return durable_link(from, to, name, error);
}
