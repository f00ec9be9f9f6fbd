/* Copies of the state directory that can be started from.
 *
 * Layer: daemon/work. Thread rule: any thread; two backups of one name must not be made at once.
 *
 * STATE_DIR/backups/NAME has the form of a state directory: cutoutd.db as it was at one moment
 * and, if wanted, runs/ID/ with the checkpoints that it knows. These are hard links: they take no
 * room as long as the originals are there, and are never written to, because checkpoints are
 * replaced and not changed. To restore, copy NAME to where the state directory was. Without
 * checkpoints finished runs keep their histories, and waiting ones begin anew.
 */
#ifndef CUTOUTD_DAEMON_WORK_BACKUP_H
#define CUTOUTD_DAEMON_WORK_BACKUP_H

#include <stdatomic.h>
#include <stdbool.h>

#include "core/base/clock.h"
#include "core/base/sha256.h"
#include "daemon/config/config.h"
#include "daemon/store/store.h"

enum { BACKUP_NAME_SIZE = 101, BACKUP_PATH_SIZE = CONFIG_TEXT_SIZE + BACKUP_NAME_SIZE + 32 };

struct backup_request {
    const char *state_dir;
    const char *name; /* "": after the time */
    bool checkpoints;
    const atomic_bool *stop; /* true: give up after the step it is at; NULL: never */
};

struct backup {
    char name[BACKUP_NAME_SIZE];
    char directory[BACKUP_PATH_SIZE];
    char path[BACKUP_PATH_SIZE]; /* of the database in it */
    int64_t n_bytes;             /* of the database, as the next */
    char sha256[SHA256_HEX_SIZE];
    bool checkpoints;
    int64_t n_files; /* checkpoints, as the next two */
    int64_t n_file_bytes;
    int64_t n_missing; /* that were replaced between the copy and the link */
};

/* Letters, digits, '.', '_' and '-', at most 100, the first of them no '.'. */
bool backup_name_is_good(const char *name);

/* Durable when it returns. STATUS_INVALID: the name; STATUS_CONFLICT: there is one of that name;
 * STATUS_BUSY: it was stopped;
 * statuses of the store. On failure nothing of it stays. */
enum status backup_make(struct store *store, const struct clock *clock,
                        const struct backup_request *request, struct backup *ret_backup,
                        struct error *error);

#endif
