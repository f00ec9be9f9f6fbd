/* Layer: daemon/store. */
#include "daemon/store/before_migration.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/durable.h"
#include "core/base/log.h"
#include "daemon/store/db_copy.h"
#include "daemon/store/migrate.h"

static void close_directory(DIR **directory) {
    if (*directory) {
        (void)closedir(*directory);
    }
}

/* The version in "version-12.db"; 0: it is something else. */
static int version_of(const char *name) {
    int version = 0;
    int n = 0;
    return sscanf(name, "version-%d.db%n", &version, &n) == 1 && name[n] == '\0' && n > 0 ? version
                                                                                          : 0;
}

/* How many copies are of a later version. */
static int count_later(const char *directory, int version) {
    CLEANUP(close_directory) DIR *copies = opendir(directory);
    int n = 0;
    for (const struct dirent *entry = copies ? readdir(copies) : NULL; entry;
         entry = readdir(copies)) {
        n += version_of(entry->d_name) > version;
    }
    return n;
}

static void remove_oldest(const char *directory) {
    CLEANUP(close_directory) DIR *copies = opendir(directory);
    for (const struct dirent *entry = copies ? readdir(copies) : NULL; entry;
         entry = readdir(copies)) {
        int version = version_of(entry->d_name);
        if (version > 0 && count_later(directory, version) >= BEFORE_MIGRATION_KEPT) {
            (void)unlinkat(dirfd(copies), entry->d_name, 0);
        }
    }
}

static enum status keep(const char *path, int version, struct error *error) {
    const char *slash = strrchr(path, '/');
    CLEANUP(free_pointer) char *directory = NULL;
    CLEANUP(free_pointer) char *target = NULL;
    CLEANUP(free_pointer) char *temporary = NULL;
    if (asprintf(&directory, "%.*sbefore-migration", slash ? (int)(slash - path) + 1 : 0, path) <
        0) {
        directory = NULL;
        return error_set(error, STATUS_NO_MEMORY, "no memory for a path");
    }
    if (asprintf(&target, "%s/version-%d.db", directory, version) < 0 ||
        asprintf(&temporary, "%s.tmp", target) < 0) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a path");
    }
    TRY(durable_directory(directory, error));
    (void)unlink(temporary); /* of an attempt that was cut short */
    TRY(db_copy(path, temporary, NULL, error));
    TRY(durable_rename(temporary, target, error));
    remove_oldest(directory);
    log_info("the database of version %d was copied to %s before it is changed", version, target);
    return STATUS_OK;
}

enum status before_migration_keep(struct db *db, const char *path, struct error *error) {
    bool due = false;
    int version = 0;
    TRY(migrate_is_due(db->handle, migrations_embedded_count, &due, &version, error));
    enum status status = due ? keep(path, version, error) : STATUS_OK;
    if (status != STATUS_OK) {
        error_prefix(error,
                     "this version of cutoutd changes the database's form, and cannot keep a copy "
                     "of it as it is before that");
    }
    return status;
}
