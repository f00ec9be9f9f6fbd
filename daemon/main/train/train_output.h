/* The output directory of `cutoutd train`: what a run leaves behind, and where it goes on from.
 *
 *     config.json    the resolved run
 *     origin         digest of the data set and name of the kernel variant: both decide the bits
 *     epochs.csv     the history
 *     lock           held while a process trains into it (daemon/config/lock.h)
 *     checkpoints/   NNNNNN-NNNNNN.safetensors: whole epochs, and steps of the next one
 *     checkpoints/SHA256SUMS   their digests, for `sha256sum -c` too
 *
 * Layer: daemon. Thread rule: one thread. The lock keeps two processes apart.
 */
#ifndef CUTOUTD_DAEMON_MAIN_TRAIN_TRAIN_OUTPUT_H
#define CUTOUTD_DAEMON_MAIN_TRAIN_TRAIN_OUTPUT_H

#include <limits.h>

#include "core/base/sha256.h"
#include "daemon/main/train/epochs_csv.h"

enum { VARIANT_NAME_SIZE = 16 };

struct train_output {
    int lock_fd;
    char directory[PATH_MAX];
    char checkpoint_dir[PATH_MAX];
    struct epochs_csv csv;
};

/* Makes the directory (its parent must exist) if needed, locks it and reads epochs.csv.
 * STATUS_BUSY: another process trains into it; STATUS_CORRUPT: its epochs.csv is damaged;
 * STATUS_INVALID: the path is too long; STATUS_NOT_FOUND, STATUS_IO, STATUS_NO_SPACE,
 * STATUS_NO_MEMORY. *output is the caller's (train_output_close) whatever is returned. */
enum status train_output_open(const char *directory, struct train_output *output,
                              struct error *error);

/* Unlocks. NULL is fine, and what train_output_open left after a failure. */
void train_output_close(struct train_output *output);

/* Binds the directory to one run: config_json goes to config.json, or must mean the same as what
 * stands there, which an earlier version may have written.
 * STATUS_CONFLICT: it holds another run. */
enum status train_output_claim(const struct train_output *output, const char *config_json,
                               struct error *error);

/* Likewise for the data set. `variant` is that of a new run; *ret_variant is the one to train with:
 * of a run that was begun before, the same as then. STATUS_CONFLICT: the data set has changed. */
enum status train_output_claim_origin(const struct train_output *output, const char *dataset_sha256,
                                      const char *variant, char ret_variant[VARIANT_NAME_SIZE],
                                      struct error *error);

struct train_checkpoint {
    char path[PATH_MAX];
    int epochs_done;
    int step;
    char sha256[SHA256_HEX_SIZE]; /* what its digest must be; "": it was not noted */
};

/* The checkpoints, newest first: an array owned by the caller (free), NULL when there is none.
 * STATUS_IO, STATUS_NO_MEMORY, STATUS_INVALID (a path is too long). */
enum status train_output_checkpoints(const struct train_output *output,
                                     struct train_checkpoint **ret_checkpoints, int *ret_count,
                                     struct error *error);

/* Notes the digest of a checkpoint that was written; forgets those of files that are gone. Statuses
 * of text_file_write; STATUS_INVALID: a path is too long. */
enum status train_output_note_digest(const struct train_output *output, const char *path,
                                     const char *sha256, struct error *error);

#endif
