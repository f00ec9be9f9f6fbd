/* Layer: daemon/work. Thread rule: see the header. */
#include "daemon/work/backup.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/durable.h"
#include "daemon/config/state_dir.h"
#include "daemon/store/db_copy.h"
#include "daemon/store/query/inspect.h"
#include "daemon/store/query/upkeep.h"

enum { LINK_PATH_SIZE = BACKUP_PATH_SIZE + CHECKPOINT_ROW_PATH_SIZE + 64 };

bool backup_name_is_good(const char *name) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = strlen(name);
    return length > 0 && length < BACKUP_NAME_SIZE && name[0] != '.' &&
           strspn(name, allowed) == length;
}

/* "20260301T120000.250Z" */
static void name_after_time(const struct clock *clock, char name[BACKUP_NAME_SIZE]) {
    int64_t now_ms = clock_unix_ms(clock);
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    char stamp[32];
    (void)gmtime_r(&seconds, &utc);
    (void)strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &utc);
    (void)snprintf(name, BACKUP_NAME_SIZE, "%s.%03dZ", stamp, (int)(now_ms % 1000));
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static void remove_tree(const char *path) {
    (void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static enum status link_one(const char *state_dir, const char *directory,
                            const struct inspect_file *file, struct backup *backup,
                            struct error *error) {
    char path[LINK_PATH_SIZE];
    struct stat info;
    enum status status = state_dir_link_run_file(state_dir, file->run_id, directory, file->run_id,
                                                 file->path, error);
    if (status == STATUS_NOT_FOUND) {
        /* The run went on, and the file was replaced: it goes on from another one, or anew. */
        backup->n_missing++;
        return STATUS_OK;
    }
    TRY(status);
    state_dir_run_path(directory, file->run_id, file->path, path, sizeof(path));
    if (stat(path, &info) != 0) {
        return error_set_errno(error, errno, "cannot look at %s", path);
    }
    backup->n_files++;
    backup->n_file_bytes += info.st_size;
    return STATUS_OK;
}

/* So that the copy's directories are known as the database's (state_dir_sweep.h). A state directory
 * that no daemon was started in has none. */
static void link_instance(const char *state_dir, const char *directory) {
    char from[LINK_PATH_SIZE];
    char to[LINK_PATH_SIZE];
    (void)snprintf(from, sizeof(from), "%s/instance", state_dir);
    (void)snprintf(to, sizeof(to), "%s/instance", directory);
    (void)!link(from, to);
}

static enum status link_files(const struct backup_request *request, const char *directory,
                              const char *database, struct backup *backup, struct error *error) {
    CLEANUP(free_pointer) struct inspect_file *files = NULL;
    size_t n = 0;
    TRY(inspect_files(database, &files, &n, error));
    for (size_t i = 0; i < n; i++) {
        if (request->stop && atomic_load(request->stop)) {
            return error_set(error, STATUS_BUSY, "the backup was given up: the daemon is stopping");
        }
        TRY(link_one(request->state_dir, directory, &files[i], backup, error));
    }
    return STATUS_OK;
}

/* Everything, in a directory that is not the backup yet. */
static enum status fill(struct store *store, const struct backup_request *request,
                        const char *directory, struct backup *backup, struct error *error) {
    char source[LINK_PATH_SIZE];
    char database[LINK_PATH_SIZE];
    struct stat info;
    TRY(state_dir_make(directory, error));
    upkeep_path(store, source, sizeof(source));
    (void)snprintf(database, sizeof(database), "%s/cutoutd.db", directory);
    if (request->checkpoints) {
        link_instance(request->state_dir, directory);
    }
    TRY(db_copy(source, database, request->stop, error));
    TRY(sha256_file(database, backup->sha256, error));
    if (stat(database, &info) != 0) {
        return error_set_errno(error, errno, "cannot look at %s", database);
    }
    backup->n_bytes = info.st_size;
    backup->checkpoints = request->checkpoints;
    return request->checkpoints ? link_files(request, directory, database, backup, error)
                                : STATUS_OK;
}

enum status backup_make(struct store *store, const struct clock *clock,
                        const struct backup_request *request, struct backup *ret_backup,
                        struct error *error) {
    struct backup backup = {.n_bytes = 0};
    char temporary[BACKUP_PATH_SIZE];
    if (request->name[0] && !backup_name_is_good(request->name)) {
        return error_set(error, STATUS_INVALID,
                         "the name of a backup has up to 100 letters, digits, '.', '_' and '-' and "
                         "does not begin with '.'");
    }
    (void)snprintf(backup.name, sizeof(backup.name), "%s", request->name);
    if (!backup.name[0]) {
        name_after_time(clock, backup.name);
    }
    (void)snprintf(backup.directory, sizeof(backup.directory), "%s/backups/%s", request->state_dir,
                   backup.name);
    (void)snprintf(backup.path, sizeof(backup.path), "%.*s/cutoutd.db", BACKUP_PATH_SIZE - 16,
                   backup.directory);
    (void)snprintf(temporary, sizeof(temporary), "%s/backups/.%s", request->state_dir, backup.name);
    if (access(backup.directory, F_OK) == 0) {
        return error_set(error, STATUS_CONFLICT, "there is a backup %s already", backup.name);
    }
    remove_tree(temporary); /* of an attempt that was cut short */
    enum status status = fill(store, request, temporary, &backup, error);
    if (status == STATUS_OK) {
        status = durable_rename(temporary, backup.directory, error);
    }
    if (status != STATUS_OK) {
        remove_tree(temporary);
        return status;
    }
    *ret_backup = backup;
    return STATUS_OK;
}
