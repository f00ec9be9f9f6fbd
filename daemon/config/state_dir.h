/* The directory that holds everything a daemon must not lose: database, checkpoints, lock, address.
 *
 * Layer: daemon. Thread rule: one thread.
 */
#ifndef CUTOUTD_DAEMON_CONFIG_STATE_DIR_H
#define CUTOUTD_DAEMON_CONFIG_STATE_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

/* Makes the directory with its parents (mode 0750) where it is missing. STATUS_IO, STATUS_NO_SPACE,
 * STATUS_INVALID: the path is too long; *error names the part that failed. */
enum status state_dir_make(const char *directory, struct error *error);

/* DIRECTORY/address: where the daemon listens, "127.0.0.1:43121" and a newline, all or nothing;
 * with TLS "https://..", with nothing but a socket of this machine "unix:PATH". Statuses of
 * text_file_write. */
enum status state_dir_write_address(const char *directory, const char *address,
                                    struct error *error);

/* Whether the daemon has a file or directory of this name, without a slash, at the top. */
bool state_dir_is_own(const char *name);

/* STATUS_CONFLICT: a restore into the directory was cut short, and an empty database would take the
 * place of what shall come back; the message has the remedy. */
enum status state_dir_check_restored(const char *directory, struct error *error);

/* Room on the disk; -1 where it cannot be known. */
struct state_dir_usage {
    int64_t database_bytes;
    int64_t wal_bytes;
    int64_t free_bytes;
    bool has_ballast;
};

void state_dir_measure(const char *directory, struct state_dir_usage *ret_usage);

/* Nobody listens any more. A file that is not there is fine. */
void state_dir_remove_address(const char *directory);

/* A database that is being restored has this name at the top. */
#define STATE_DIR_RESTORING "restore.tmp"

/* DIRECTORY/runs/ID/NAME, or the run's directory itself when name is NULL; cut to fit. */
void state_dir_run_path(const char *directory, int64_t run_id, const char *name, char *ret_path,
                        size_t size);

/* Makes DIRECTORY/runs/ID, if need be, and marks it as the database's (state_dir_sweep.h).
 * STATUS_IO, STATUS_NO_SPACE. */
enum status state_dir_make_run(const char *directory, int64_t run_id, struct error *error);

/* Removes the files of a run that was deleted; files that are not there are fine. STATUS_IO: what
 * is left has its marker, and the next start tries again. */
enum status state_dir_remove_run(const char *directory, int64_t run_id, struct error *error);

/* DIRECTORY/ballast takes room that the final states of runs can be written into once the disk is
 * full. Make: where it is missing and there is plenty of room. Drop: true: it was there, and has
 * made room now. */
enum { STATE_DIR_BALLAST_BYTES = 4 << 20 };
void state_dir_make_ballast(const char *directory);
bool state_dir_drop_ballast(const char *directory);

/* Whether a file of so many bytes could be written now: also what a quota or a limit on the size of
 * files forbids is no room. Leaves nothing behind. */
bool state_dir_has_room(const char *directory, int64_t n_bytes);

/* Gives run `id` of `directory` the file `name` of run `source_id` of `source_dir`, on the same
 * file system, durably; files of runs are never changed, so both may have it. STATUS_NOT_FOUND:
 * there is no such file; STATUS_IO, STATUS_NO_SPACE, STATUS_NO_MEMORY. */
enum status state_dir_link_run_file(const char *source_dir, int64_t source_id,
                                    const char *directory, int64_t id, const char *name,
                                    struct error *error);

#endif
