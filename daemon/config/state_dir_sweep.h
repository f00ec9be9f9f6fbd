/* What a start finds in the state directory that nobody needs, or that belongs to another database.
 *
 * Layer: daemon. Thread rule: one thread, before the workers start.
 *
 * STATE_DIR/instance holds the id of the database that the directory is used with. Every directory
 * runs/N has the same file from the moment it is made (state_dir_make_run), so that a directory of
 * another database, or of a later state of this one, is never taken for what a deleted run has left
 * behind.
 */
#ifndef CUTOUTD_DAEMON_CONFIG_STATE_DIR_SWEEP_H
#define CUTOUTD_DAEMON_CONFIG_STATE_DIR_SWEEP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "daemon/config/leaving_files.h"

/* Whether DIRECTORY/runs/ID has the marker of another database than this one: the next start moves
 * it away. STATUS_IO: its marker cannot be read. */
enum status state_dir_is_foreign(const char *directory, int64_t run_id, const char *instance,
                                 bool *ret_foreign, struct error *error);

/* DIRECTORY/unknown/TIME: where what is not this database's is put at that time. */
void state_dir_unknown_path(const char *directory, int64_t now_ms, char ret_path[PATH_MAX]);

/* What the database says of its runs. */
struct state_dir_owner {
    const char *instance;                         /* its id */
    int64_t last_run_id;                          /* the highest that it has given away */
    bool (*is_known)(void *user, int64_t run_id); /* in doubt: true */
    /* Of leaving_files.h. */
    bool (*is_listed)(void *user, int64_t run_id, const char *name);
    void *user;
};

struct state_dir_swept {
    int n_removed;          /* directories of deleted runs */
    int n_stuck;            /* and those that could not be removed */
    int n_unknown;          /* directories that were moved away */
    int n_leftovers;        /* files and backups that were cut short */
    char unknown[PATH_MAX]; /* where to; valid with n_unknown > 0 */
};

/* For each runs/N:
 *   its marker names this database: kept when the run is known; removed when the database has given
 *   N away and deleted the run; moved when it has not given N away (it is older than the files);
 *   its marker names another database: moved;
 *   it has no marker (older versions made none): kept, and marked, when the run is known; else
 *   removed when it is empty, and moved when not.
 *   its marker cannot be read: STATUS_IO, nothing is done with it.
 * To move is to rename it to STATE_DIR/unknown/TIME/N. Files of checkpoints and backups that were
 * not finished are removed, and those whose rows a purge has forgotten (leaving_files.h).
 * STATUS_IO, STATUS_NO_SPACE: the daemon must not start, because it would write into directories
 * that are not its own. */
enum status state_dir_sweep(const char *directory, const struct state_dir_owner *owner,
                            int64_t now_ms, struct state_dir_swept *ret_swept, struct error *error);

#endif
