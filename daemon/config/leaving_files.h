/* Checkpoint files that go together with their rows.
 *
 * Layer: daemon/config. Thread rule: one thread for each run's directory.
 *
 * A file and its row cannot go in one step. So the file gets another name within the transaction
 * that forgets its row, and is removed after the commit. What a crash leaves in between has that
 * other name, and the rows say whether the commit was: the next start removes the file, or gives it
 * its name back (state_dir_sweep.h).
 */
#ifndef CUTOUTD_DAEMON_CONFIG_LEAVING_FILES_H
#define CUTOUTD_DAEMON_CONFIG_LEAVING_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"

/* Which of a run's checkpoints stay: whether the database lists RUNS/ID/NAME. In doubt: true. */
struct listed_files {
    bool (*is_listed)(void *user, int64_t run_id, const char *name);
    void *user;
    int64_t run_id;
};

struct leaving_result {
    int64_t n_files;
    int64_t n_bytes;
};

/* How much the checkpoints in the directory are that are not listed. */
void leaving_files_count(const char *run_dir, const struct listed_files *listed,
                         struct leaving_result *result);

/* Gives them their other name, durably. STATUS_IO, STATUS_NO_SPACE: some of them may have it. */
enum status leaving_files_mark(const char *run_dir, const struct listed_files *listed,
                               struct error *error);

/* Of the files with the other name: one that is listed and not there gets its own again, the others
 * are removed, and added to *result. What cannot be done is logged, and left to the next time. */
void leaving_files_settle(const char *run_dir, const struct listed_files *listed,
                          struct leaving_result *result);

#endif
