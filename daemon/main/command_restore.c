/* Layer: daemon/main. */
#include "daemon/main/command_restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/durable.h"
#include "daemon/config/copy_file.h"
#include "daemon/config/lock.h"
#include "daemon/config/state_dir.h"
#include "daemon/store/query/inspect.h"

enum { PATH_SIZE = 4096 };

struct restore {
    const char *state_dir;
    char database[PATH_SIZE];  /* what is restored */
    char directory[PATH_SIZE]; /* of the backup with checkpoints; "": a database alone */
    char temporary[PATH_SIZE];
    char target[PATH_SIZE];
    struct stat owner; /* the state directory */
    bool made;         /* it was not there */
    int n_files;       /* checkpoints that were copied */
    int n_missing;     /* that the database knows, and that are nowhere */
};

static enum status make_directory(const struct restore *r, const char *path, struct error *error) {
    TRY(durable_directory(path, error));
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 ? give_away(fd, path, &r->owner, error)
                   : error_set_errno(error, errno, "cannot open %s", path);
}

/* ---- checks ---- */

static bool is_there(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0;
}

/* A database that is there may be the only record of somebody's runs. */
static enum status check_empty(const struct restore *r, struct error *error) {
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        char path[PATH_SIZE + 16];
        (void)snprintf(path, sizeof(path), "%s%s", r->target, suffixes[i]);
        if (is_there(path)) {
            return error_set(error, STATUS_CONFLICT,
                             "there is %s already, and nothing is replaced: look at it with "
                             "`cutoutd doctor`; to restore nevertheless, move all of %s away first "
                             "(%s, -wal, -shm); checkpoints in runs/ may stay",
                             path, r->target, "cutoutd.db");
        }
    }
    return STATUS_OK;
}

static enum status find_source(struct restore *r, const char *source, struct error *error) {
    struct stat info;
    if (stat(source, &info) != 0) {
        return error_set_errno(error, errno, "cannot look at %s", source);
    }
    bool directory = S_ISDIR(info.st_mode);
    (void)snprintf(r->directory, sizeof(r->directory), "%s", directory ? source : "");
    (void)snprintf(r->database, sizeof(r->database), "%s%s", source,
                   directory ? "/cutoutd.db" : "");
    return is_there(r->database)
               ? STATUS_OK
               : error_set(error, STATUS_NOT_FOUND, "there is no cutoutd.db in %s", source);
}

/* ---- checkpoints ---- */

static void checkpoint_path(const char *directory, const struct inspect_file *file,
                            char path[PATH_SIZE]) {
    state_dir_run_path(directory, file->run_id, file->path, path, PATH_SIZE);
}

static enum status bring_file(struct restore *r, const struct inspect_file *file,
                              struct error *error) {
    char from[PATH_SIZE];
    char to[PATH_SIZE];
    char sha256[SHA256_HEX_SIZE];
    checkpoint_path(r->state_dir, file, to);
    if (is_there(to)) {
        return STATUS_OK;
    }
    checkpoint_path(r->directory, file, from);
    if (!r->directory[0] || !is_there(from)) {
        r->n_missing++;
        return STATUS_OK;
    }
    state_dir_run_path(r->state_dir, file->run_id, NULL, to, sizeof(to));
    TRY(make_directory(r, to, error));
    checkpoint_path(r->state_dir, file, to);
    TRY(copy_file(from, to, &r->owner, error));
    TRY(sha256_file(to, sha256, error));
    if (strcmp(sha256, file->sha256) != 0) {
        (void)unlink(to);
        r->n_missing++;
        return STATUS_OK;
    }
    r->n_files++;
    return STATUS_OK;
}

static enum status bring_checkpoints(struct restore *r, struct error *error) {
    CLEANUP(free_pointer) struct inspect_file *files = NULL;
    char runs[PATH_SIZE];
    size_t n = 0;
    TRY(inspect_files(r->temporary, &files, &n, error));
    (void)snprintf(runs, sizeof(runs), "%s/runs", r->state_dir);
    if (n > 0) {
        TRY(make_directory(r, runs, error));
    }
    for (size_t i = 0; i < n; i++) {
        TRY(bring_file(r, &files[i], error));
    }
    return STATUS_OK;
}

/* ---- all of it ---- */

static void remove_temporary(const struct restore *r) {
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        char path[PATH_SIZE + 16];
        (void)snprintf(path, sizeof(path), "%s%s", r->temporary, suffixes[i]);
        (void)unlink(path);
    }
}

/* A copied file is looked at, not the one it was copied from: that is only read. */
static enum status bring_database(const struct restore *r, struct inspection *ret_found,
                                  struct error *error) {
    char from[PATH_SIZE + 16];
    char to[PATH_SIZE + 16];
    TRY(copy_file(r->database, r->temporary, &r->owner, error));
    (void)snprintf(from, sizeof(from), "%s-wal", r->database);
    (void)snprintf(to, sizeof(to), "%s-wal", r->temporary);
    if (is_there(from)) {
        TRY(copy_file(from, to, &r->owner, error));
    }
    enum status status = inspect_settle(r->temporary, error);
    if (status == STATUS_OK) {
        status = inspect_database(r->temporary, ret_found, error);
    }
    if (status != STATUS_OK) {
        error_prefix(error, "%s cannot be restored", r->database);
    }
    return status;
}

/* systemd makes the directory at the service's first start, which may not have been. */
static enum status make_state_dir(struct restore *r, struct error *error) {
    r->made = !is_there(r->state_dir);
    enum status status = state_dir_make(r->state_dir, error);
    if (status != STATUS_OK) {
        error_prefix(error, "there is no state directory; run this as root, or name a directory "
                            "of yours with --state-dir");
    }
    return status;
}

static enum status restore(struct restore *r, const char *source, struct inspection *ret_found,
                           struct error *error) {
    CLEANUP(close_fd) int lock = -1;
    TRY(find_source(r, source, error));
    TRY(make_state_dir(r, error));
    enum status status = lock_take(r->state_dir, &lock, error);
    if (status == STATUS_BUSY) {
        error_prefix(error, "stop the daemon first (systemctl stop cutoutd.socket cutoutd)");
    }
    TRY(status);
    TRY(check_empty(r, error));
    if (stat(r->state_dir, &r->owner) != 0) {
        return error_set_errno(error, errno, "cannot look at %s", r->state_dir);
    }
    remove_temporary(r);
    status = bring_database(r, ret_found, error);
    if (status == STATUS_OK) {
        status = bring_checkpoints(r, error);
    }
    if (status == STATUS_OK) {
        status = durable_rename(r->temporary, r->target, error);
    }
    if (status != STATUS_OK) {
        remove_temporary(r);
    }
    return status;
}

int command_restore(const struct config *config, const char *source) {
    struct restore r = {.state_dir = config->state_dir};
    struct inspection found = {.version = 0};
    struct error error;
    (void)snprintf(r.target, sizeof(r.target), "%s/cutoutd.db", config->state_dir);
    (void)snprintf(r.temporary, sizeof(r.temporary), "%s/restore.tmp", config->state_dir);
    if (restore(&r, source, &found, &error) != STATUS_OK) {
        (void)fprintf(stderr, "cutoutd: %s\n", error.message);
        return 1;
    }
    (void)printf("%s: %lld run(s), %lld of them not finished, version %d of %d; %d checkpoint(s) "
                 "copied\n",
                 r.target, (long long)found.n_runs, (long long)found.n_unfinished, found.version,
                 found.newest, r.n_files);
    if (r.made && geteuid() == 0) {
        (void)printf("%s was made, and is root's: cutoutd.service gives it to its user when it "
                     "starts; for a daemon of another user: chown -R USER %s\n",
                     r.state_dir, r.state_dir);
    }
    if (r.n_missing > 0) {
        (void)printf("%d checkpoint(s) are not there or damaged: runs that need them go on from an "
                     "earlier one, or begin anew\n",
                     r.n_missing);
    }
    return 0;
}
