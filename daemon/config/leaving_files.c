/* Layer: daemon/config. */
#include "daemon/config/leaving_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/log.h"

static const char CHECKPOINT_END[] = ".safetensors";
static const char LEAVING_END[] = ".safetensors.purged.tmp";
static const size_t MARK_LENGTH = sizeof(LEAVING_END) - sizeof(CHECKPOINT_END);

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text);
    size_t end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static bool is_listed(const struct listed_files *listed, const char *name) {
    return listed->is_listed(listed->user, listed->run_id, name);
}

/* ---- each file of the directory ---- */

struct walk {
    const char *run_dir;
    const struct listed_files *listed;
    struct leaving_result *result;
    bool durable;
    int fd; /* of the directory */
};

typedef enum status visit_file(const struct walk *walk, const char *name, struct error *error);

/* Goes on after a failure, and returns the last. A directory that is not there has no files. */
static enum status each_file(struct walk *walk, visit_file *visit, struct error *error) {
    DIR *entries = opendir(walk->run_dir);
    if (!entries) {
        return errno == ENOENT ? STATUS_OK
                               : error_set_errno(error, errno, "cannot open %s", walk->run_dir);
    }
    enum status status = STATUS_OK;
    const struct dirent *entry = NULL;
    walk->fd = dirfd(entries);
    for (errno = 0; (entry = readdir(entries)); errno = 0) {
        enum status one = visit(walk, entry->d_name, error);
        status = one == STATUS_OK ? status : one;
    }
    if (errno != 0) {
        status = error_set_errno(error, errno, "cannot list %s", walk->run_dir);
    }
    if (status == STATUS_OK && walk->durable && fsync(walk->fd) != 0) {
        status = error_set_errno(error, errno, "cannot make %s durable", walk->run_dir);
    }
    (void)closedir(entries);
    return status;
}

/* A name that is too long to be given the other one is none of the daemon's. */
static bool is_unlisted_checkpoint(const struct walk *walk, const char *name, struct stat *info) {
    return ends_with(name, CHECKPOINT_END) && strlen(name) + MARK_LENGTH <= NAME_MAX &&
           !is_listed(walk->listed, name) &&
           fstatat(walk->fd, name, info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info->st_mode);
}

static enum status rename_one(const struct walk *walk, const char *from, const char *to,
                              struct error *error) {
    return renameat(walk->fd, from, walk->fd, to) == 0 || errno == ENOENT
               ? STATUS_OK
               : error_set_errno(error, errno, "cannot rename %s/%s to %s", walk->run_dir, from,
                                 to);
}

/* ---- what is done with them ---- */

static enum status count_one(const struct walk *walk, const char *name, struct error *error) {
    struct stat info;
    (void)error;
    if (is_unlisted_checkpoint(walk, name, &info)) {
        walk->result->n_files++;
        walk->result->n_bytes += info.st_size;
    }
    return STATUS_OK;
}

static enum status mark_one(const struct walk *walk, const char *name, struct error *error) {
    char other[NAME_MAX + sizeof(LEAVING_END)];
    struct stat info;
    if (!is_unlisted_checkpoint(walk, name, &info)) {
        return STATUS_OK;
    }
    (void)snprintf(other, sizeof(other), "%.*s%s", (int)(strlen(name) - strlen(CHECKPOINT_END)),
                   name, LEAVING_END);
    return rename_one(walk, name, other, error);
}

static enum status settle_one(const struct walk *walk, const char *name, struct error *error) {
    char own[NAME_MAX + 1];
    struct stat info;
    if (!ends_with(name, LEAVING_END)) {
        return STATUS_OK;
    }
    (void)snprintf(own, sizeof(own), "%.*s", (int)(strlen(name) - MARK_LENGTH), name);
    if (fstatat(walk->fd, own, &info, AT_SYMLINK_NOFOLLOW) != 0 && is_listed(walk->listed, own)) {
        return rename_one(walk, name, own, error);
    }
    if (fstatat(walk->fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
        unlinkat(walk->fd, name, 0) != 0) {
        return error_set_errno(error, errno, "cannot remove %s/%s", walk->run_dir, name);
    }
    walk->result->n_files++;
    walk->result->n_bytes += info.st_size;
    return STATUS_OK;
}

void leaving_files_count(const char *run_dir, const struct listed_files *listed,
                         struct leaving_result *result) {
    struct walk walk = {.run_dir = run_dir, .listed = listed, .result = result};
    (void)each_file(&walk, count_one, NULL);
}

enum status leaving_files_mark(const char *run_dir, const struct listed_files *listed,
                               struct error *error) {
    struct walk walk = {.run_dir = run_dir, .listed = listed, .durable = true};
    return each_file(&walk, mark_one, error);
}

void leaving_files_settle(const char *run_dir, const struct listed_files *listed,
                          struct leaving_result *result) {
    struct walk walk = {.run_dir = run_dir, .listed = listed, .result = result};
    struct error error;
    if (each_file(&walk, settle_one, &error) != STATUS_OK) {
        log_warning("%s; the next start tries again", error.message);
    }
}
