/* Layer: daemon. */
#include "daemon/config/state_dir_sweep.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/decimal.h"
#include "core/base/regular_file.h"
#include "daemon/config/state_dir.h"
#include "daemon/config/text_file.h"

enum { INSTANCE_SIZE = 64 };

static void close_directory(DIR **directory) {
    if (*directory) {
        (void)closedir(*directory);
    }
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text);
    size_t end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* ---- whose a directory is ---- */

enum marker { MARKER_OURS, MARKER_FOREIGN, MARKER_NONE };

/* A marker that cannot be read tells nothing: an error of the disk may pass, and the directory of a
 * known run must not be put aside for it. */
static enum status read_marker(const char *run_dir, const char *instance, enum marker *ret_marker,
                               struct error *error) {
    char path[PATH_MAX];
    CLEANUP(free_pointer) char *text = NULL;
    size_t n_bytes = 0;
    *ret_marker = MARKER_FOREIGN;
    if (snprintf(path, sizeof(path), "%s/instance", run_dir) >= (int)sizeof(path)) {
        return error_set(error, STATUS_INVALID, "the path of the state directory is too long");
    }
    enum status status = text_file_read(path, INSTANCE_SIZE, &text, &n_bytes, error);
    if (status == STATUS_NOT_FOUND) {
        *ret_marker = MARKER_NONE;
        return STATUS_OK;
    }
    if (status == STATUS_TOO_LARGE) {
        return STATUS_OK;
    }
    TRY(status);
    size_t length = strlen(instance);
    if (n_bytes == length + 1 && strncmp(text, instance, length) == 0 && text[length] == '\n') {
        *ret_marker = MARKER_OURS;
    }
    return STATUS_OK;
}

enum status state_dir_is_foreign(const char *directory, int64_t run_id, const char *instance,
                                 bool *ret_foreign, struct error *error) {
    char path[PATH_MAX];
    enum marker marker = MARKER_NONE;
    state_dir_run_path(directory, run_id, NULL, path, sizeof(path));
    TRY(read_marker(path, instance, &marker, error));
    *ret_foreign = marker == MARKER_FOREIGN;
    return STATUS_OK;
}

enum fate { KEEP, MARK, REMOVE, MOVE };

static enum fate decide(enum marker marker, bool known, bool given_away) {
    switch (marker) {
    case MARKER_OURS:
        return known ? KEEP : given_away ? REMOVE : MOVE;
    case MARKER_NONE:
        return known ? MARK : MOVE;
    case MARKER_FOREIGN:
        break;
    }
    return MOVE;
}

/* ---- carrying it out ---- */

/* "20260301T120000.250Z" */
void state_dir_unknown_path(const char *directory, int64_t now_ms, char ret_path[PATH_MAX]) {
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    char stamp[32];
    (void)gmtime_r(&seconds, &utc);
    (void)strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &utc);
    (void)snprintf(ret_path, PATH_MAX, "%s/unknown/%s.%03dZ", directory, stamp,
                   (int)(now_ms % 1000));
}

static enum status move_away(const char *directory, const char *run_dir, const char *name,
                             int64_t now_ms, struct state_dir_swept *swept, struct error *error) {
    char target[PATH_MAX + NAME_MAX + 2];
    if (rmdir(run_dir) == 0) { /* it was empty */
        swept->n_removed++;
        return STATUS_OK;
    }
    state_dir_unknown_path(directory, now_ms, swept->unknown);
    TRY(state_dir_make(swept->unknown, error));
    (void)snprintf(target, sizeof(target), "%s/%s", swept->unknown, name);
    if (rename(run_dir, target) != 0) {
        enum status status = error_set_errno(error, errno, "cannot move %s to %s", run_dir, target);
        error_prefix(error, "%s belongs to no run of this database; move it away by hand", run_dir);
        return status;
    }
    swept->n_unknown++;
    return STATUS_OK;
}

/* The id that a name stands for; 0: it is no run's. */
static int64_t id_of(const char *name) {
    int64_t id = 0;
    return text_to_id(name, INT64_MAX, &id) ? id : 0;
}

static int remove_unfinished(const char *run_dir) {
    int n = 0;
    CLEANUP(close_directory) DIR *files = opendir(run_dir);
    for (const struct dirent *file = files ? readdir(files) : NULL; file; file = readdir(files)) {
        n += ends_with(file->d_name, ".safetensors.tmp") &&
             unlinkat(dirfd(files), file->d_name, 0) == 0;
    }
    return n;
}

static enum status sweep_run(const char *directory, const char *name,
                             const struct state_dir_owner *owner, int64_t now_ms,
                             struct state_dir_swept *swept, struct error *error) {
    char run_dir[PATH_MAX];
    char path[PATH_MAX + 16];
    int64_t id = id_of(name);
    if (id == 0) {
        return STATUS_OK;
    }
    if (snprintf(run_dir, sizeof(run_dir), "%s/runs/%s", directory, name) >= (int)sizeof(run_dir)) {
        return error_set(error, STATUS_INVALID, "the path of the state directory is too long");
    }
    enum marker marker = MARKER_NONE;
    if (read_marker(run_dir, owner->instance, &marker, error) != STATUS_OK) {
        (void)snprintf(path, sizeof(path), "%s/instance", run_dir);
        bool forbidden = regular_file_look(path) == REGULAR_FILE_FORBIDDEN;
        error_prefix(error, "whose %s is cannot be told; %s", run_dir,
                     forbidden
                         ? "it is not the daemon's to read: do what `cutoutd doctor` says of it"
                         : "if it stays so, move it away by hand: its run begins anew then");
        return error ? error->code : STATUS_IO;
    }
    switch (decide(marker, owner->is_known(owner->user, id), id <= owner->last_run_id)) {
    case REMOVE:
        if (state_dir_remove_run(directory, id, NULL) == STATUS_OK) {
            swept->n_removed++;
        } else {
            swept->n_stuck++;
        }
        return STATUS_OK;
    case MOVE:
        return move_away(directory, run_dir, name, now_ms, swept, error);
    case MARK:
        TRY(state_dir_make_run(directory, id, error));
        break;
    case KEEP:
        break;
    }
    const struct listed_files listed = {owner->is_listed, owner->user, id};
    struct leaving_result gone = {0};
    leaving_files_settle(run_dir, &listed, &gone);
    swept->n_leftovers += (int)gone.n_files + remove_unfinished(run_dir);
    return STATUS_OK;
}

/* ---- backups ---- */

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

/* One that is being made has a name with a dot in front (daemon/work/backup.c). */
static int remove_unfinished_backups(const char *directory) {
    char path[PATH_MAX];
    int n = 0;
    (void)snprintf(path, sizeof(path), "%s/backups", directory);
    CLEANUP(close_directory) DIR *backups = opendir(path);
    for (const struct dirent *entry = backups ? readdir(backups) : NULL; entry;
         entry = readdir(backups)) {
        const char *name = entry->d_name;
        if (name[0] == '.' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
            snprintf(path, sizeof(path), "%s/backups/%s", directory, name) < (int)sizeof(path)) {
            n += nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0;
        }
    }
    return n;
}

/* ---- all of it ---- */

static enum status write_instance(const char *directory, const char *instance,
                                  struct error *error) {
    char path[PATH_MAX];
    char text[INSTANCE_SIZE + 2];
    (void)snprintf(text, sizeof(text), "%s\n", instance);
    enum marker marker = MARKER_NONE;
    if (read_marker(directory, instance, &marker, NULL) == STATUS_OK && marker == MARKER_OURS) {
        return STATUS_OK;
    }
    if (snprintf(path, sizeof(path), "%s/instance", directory) >= (int)sizeof(path)) {
        return error_set(error, STATUS_INVALID, "the path of the state directory is too long");
    }
    return text_file_write(path, text, error);
}

enum status state_dir_sweep(const char *directory, const struct state_dir_owner *owner,
                            int64_t now_ms, struct state_dir_swept *ret_swept,
                            struct error *error) {
    char path[PATH_MAX];
    *ret_swept = (struct state_dir_swept){0};
    TRY(write_instance(directory, owner->instance, error));
    ret_swept->n_leftovers = remove_unfinished_backups(directory);
    (void)snprintf(path, sizeof(path), "%s/runs", directory);
    CLEANUP(close_directory) DIR *runs = opendir(path);
    if (!runs && errno != ENOENT) {
        return error_set_errno(error, errno, "cannot list %s", path);
    }
    for (const struct dirent *run = runs ? readdir(runs) : NULL; run; run = readdir(runs)) {
        TRY(sweep_run(directory, run->d_name, owner, now_ms, ret_swept, error));
    }
    return STATUS_OK;
}
