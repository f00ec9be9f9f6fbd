/* Layer: daemon/main. */
#include "daemon/main/command_restore.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/durable.h"
#include "daemon/config/copy_file.h"
#include "daemon/config/lock.h"
#include "daemon/config/state_dir.h"
#include "daemon/config/state_dir_sweep.h"
#include "daemon/store/query/inspect.h"

enum { PATH_SIZE = 4096 };

struct restore {
    const char *state_dir;
    char database[PATH_SIZE];  /* what is restored */
    char directory[PATH_SIZE]; /* of the backup with checkpoints; "": a database alone */
    char temporary[PATH_SIZE];
    char target[PATH_SIZE];
    char unknown[PATH_SIZE]; /* where to put what is not this database's */
    struct stat owner;       /* the state directory */
    bool made;               /* it was not there */
    int n_files;             /* checkpoints that were copied */
    int n_missing;           /* that the database knows, and that are nowhere */
    int n_aside;             /* files, or directories of runs, that were moved to `unknown` */
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

/* The files of a daemon that runs change while they are copied. Those of this very directory are
 * ours by its lock. */
static enum status keep_source(const struct restore *r, int *ret_lock, struct error *error) {
    CLEANUP(free_pointer) char *path = realpath(r->database, NULL);
    char *name = path ? strrchr(path, '/') : NULL;
    struct stat there;
    if (!name || strcmp(name, "/cutoutd.db") != 0) {
        return STATUS_OK;
    }
    name[name == path] = '\0';
    if (stat(path, &there) == 0 && there.st_dev == r->owner.st_dev &&
        there.st_ino == r->owner.st_ino) {
        return STATUS_OK;
    }
    enum status status = lock_share(path, ret_lock, error);
    if (status == STATUS_BUSY) {
        error_prefix(error, "stop the daemon there first, or restore what `cutoutd backup` makes "
                            "of its database");
    }
    return status;
}

/* ---- checkpoints ---- */

static void checkpoint_path(const char *directory, const struct inspect_file *file,
                            char path[PATH_SIZE]) {
    state_dir_run_path(directory, file->run_id, file->path, path, PATH_SIZE);
}

static bool is_whole(const char *path, const struct inspect_file *file) {
    char sha256[SHA256_HEX_SIZE];
    return sha256_file(path, sha256, NULL) == STATUS_OK && strcmp(sha256, file->sha256) == 0;
}

/* Somebody may want it back: it is of another database, or of a later state of this one. */
static enum status put_aside(struct restore *r, const char *path, const char *relative,
                             struct error *error) {
    char parent[2 * PATH_SIZE];
    char target[2 * PATH_SIZE];
    (void)snprintf(parent, sizeof(parent), "%s/unknown", r->state_dir);
    TRY(make_directory(r, parent, error));
    TRY(make_directory(r, r->unknown, error));
    (void)snprintf(target, sizeof(target), "%s/%s", r->unknown, relative);
    const char *slash = strrchr(relative, '/');
    if (slash) {
        (void)snprintf(parent, sizeof(parent), "%s/%.*s", r->unknown, (int)(slash - relative),
                       relative);
        TRY(make_directory(r, parent, error));
    }
    if (rename(path, target) != 0) {
        return error_set_errno(error, errno, "cannot move %s to %s", path, target);
    }
    r->n_aside++;
    return STATUS_OK;
}

/* What is brought into a directory of another database would be moved away with it at the next
 * start. */
static enum status put_foreign_aside(struct restore *r, int64_t run_id, const char *instance,
                                     struct error *error) {
    char path[PATH_SIZE];
    char name[32];
    bool foreign = false;
    TRY(state_dir_is_foreign(r->state_dir, run_id, instance, &foreign, error));
    if (!foreign) {
        return STATUS_OK;
    }
    state_dir_run_path(r->state_dir, run_id, NULL, path, sizeof(path));
    (void)snprintf(name, sizeof(name), "%lld", (long long)run_id);
    return put_aside(r, path, name, error);
}

/* The file, whole, under a name that a start removes (state_dir_sweep.h). */
static enum status bring_temporary(const struct restore *r, const struct inspect_file *file,
                                   const char *temporary, bool *ret_whole, struct error *error) {
    char from[PATH_SIZE];
    char run_dir[PATH_SIZE];
    checkpoint_path(r->directory, file, from);
    *ret_whole = r->directory[0] && is_whole(from, file);
    if (!*ret_whole) {
        return STATUS_OK;
    }
    state_dir_run_path(r->state_dir, file->run_id, NULL, run_dir, sizeof(run_dir));
    TRY(make_directory(r, run_dir, error));
    (void)unlink(temporary); /* of a restore that was cut short */
    TRY(copy_file(from, temporary, &r->owner, error));
    *ret_whole = is_whole(temporary, file);
    if (!*ret_whole) {
        (void)unlink(temporary);
    }
    return STATUS_OK;
}

/* What is there already is taken only if it is what was written; else what the backup has comes in
 * its place. Without a better one it stays. */
static enum status bring_file(struct restore *r, const struct inspect_file *file,
                              struct error *error) {
    char to[PATH_SIZE];
    char temporary[PATH_SIZE + 8];
    char name[CHECKPOINT_ROW_PATH_SIZE + 32];
    bool whole = false;
    checkpoint_path(r->state_dir, file, to);
    if (is_whole(to, file)) {
        return STATUS_OK;
    }
    (void)snprintf(temporary, sizeof(temporary), "%s.tmp", to);
    TRY(bring_temporary(r, file, temporary, &whole, error));
    if (!whole) {
        r->n_missing++;
        return STATUS_OK;
    }
    enum status status = STATUS_OK;
    if (is_there(to)) {
        (void)snprintf(name, sizeof(name), "%lld/%s", (long long)file->run_id, file->path);
        status = put_aside(r, to, name, error);
    }
    if (status != STATUS_OK) {
        (void)unlink(temporary);
        return status;
    }
    TRY(durable_rename(temporary, to, error));
    r->n_files++;
    return STATUS_OK;
}

static enum status bring_checkpoints(struct restore *r, const char *instance, struct error *error) {
    CLEANUP(free_pointer) struct inspect_file *files = NULL;
    char runs[PATH_SIZE];
    size_t n = 0;
    TRY(inspect_files(r->temporary, &files, &n, error));
    (void)snprintf(runs, sizeof(runs), "%s/runs", r->state_dir);
    if (n > 0) {
        TRY(make_directory(r, runs, error));
    }
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || files[i].run_id != files[i - 1].run_id) {
            TRY(put_foreign_aside(r, files[i].run_id, instance, error));
        }
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
    CLEANUP(close_fd) int source_lock = -1;
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
    TRY(keep_source(r, &source_lock, error));
    remove_temporary(r);
    status = bring_database(r, ret_found, error);
    if (status == STATUS_OK) {
        status = bring_checkpoints(r, ret_found->instance, error);
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
    (void)snprintf(r.temporary, sizeof(r.temporary), "%s/%s", config->state_dir,
                   STATE_DIR_RESTORING);
    state_dir_unknown_path(config->state_dir, clock_unix_ms(&clock_system), r.unknown);
    (void)signal(SIGXFSZ, SIG_IGN); /* the write fails with EFBIG, which says what is wrong */
    enum status status = restore(&r, source, &found, &error);
    if (r.n_aside > 0) {
        (void)fprintf(status == STATUS_OK ? stdout : stderr,
                      "%d directories or checkpoints of runs are not what this database knows: put "
                      "aside in %s, nothing is removed\n",
                      r.n_aside, r.unknown);
    }
    if (status != STATUS_OK) {
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
