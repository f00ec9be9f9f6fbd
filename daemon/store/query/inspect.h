/* A database file that no daemon has open: what it says of itself, and whether it is whole.
 *
 * Layer: daemon/store. Thread rule: any thread; nobody writes to the file meanwhile.
 *
 * Statuses, if not said otherwise: STATUS_NOT_FOUND, STATUS_IO, STATUS_CORRUPT (damaged, or no
 * database of cutoutd), STATUS_UNSUPPORTED (of a newer cutoutd), STATUS_NO_MEMORY.
 */
#ifndef CUTOUTD_DAEMON_STORE_QUERY_INSPECT_H
#define CUTOUTD_DAEMON_STORE_QUERY_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/sha256.h"
#include "daemon/store/table/checkpoint_table.h"

struct inspection {
    int version; /* of its schema */
    int newest;  /* that this program knows */
    int64_t n_runs;
    int64_t n_unfinished; /* of them */
    char instance[64];    /* its id; "": it has none yet */
};

/* Reads every page, and looks every key up: minutes for a database of gigabytes. Nothing is
 * changed. */
enum status inspect_database(const char *path, struct inspection *ret_inspection,
                             struct error *error);

/* Puts what is left in its log (PATH-wal) into the database, which is one file from then on. */
enum status inspect_settle(const char *path, struct error *error);

/* A checkpoint as the database knows it. */
struct inspect_file {
    int64_t run_id;
    char path[CHECKPOINT_ROW_PATH_SIZE]; /* relative to STATE_DIR/runs/<run id>/ */
    char sha256[SHA256_HEX_SIZE];
};

/* The checkpoint files, each once, by run and path, and the ids of all runs, in order. The caller
 * owns *ret_files and *ret_ids (free), also when there are none (NULL). */
enum status inspect_files(const char *path, struct inspect_file **ret_files, size_t *ret_n,
                          struct error *error);
enum status inspect_runs(const char *path, int64_t **ret_ids, size_t *ret_n, struct error *error);

#endif
