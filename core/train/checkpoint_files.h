/* Which checkpoint files a run keeps: the last, the one before it, and the best.
 *
 * Layer: core/train. Thread rule: one thread at a time.
 *
 * A file is named after what is in it: 000012-000345.safetensors holds 12 epochs and 345 steps, so
 * the order of names is the order of time.
 */
#ifndef CUTOUTD_CORE_TRAIN_CHECKPOINT_FILES_H
#define CUTOUTD_CORE_TRAIN_CHECKPOINT_FILES_H

#include "core/train/checkpoint.h"

enum { CHECKPOINT_NAME_SIZE = 48 };

struct checkpoint_files {
    const char *directory;
    char previous[CHECKPOINT_NAME_SIZE]; /* the file before the newest; "" at first */
};

/* resume_path: the file the run goes on from, or NULL; it is kept as the one before the next. Both
 * strings must outlive the struct. */
void checkpoint_files_begin(struct checkpoint_files *files, const char *directory,
                            const char *resume_path);

/* The path for a state. STATUS_INVALID: the path is too long. */
enum status checkpoint_file_name(const struct checkpoint_files *files, int epochs_done, int step,
                                 char ret_path[CHECKPOINT_PATH_SIZE], struct error *error);

/* Removes every checkpoint but `newest`, the one before it, and that of best_epoch (0: none), and
 * what a kill has left of unfinished ones. No file may be being written. Files
 * of other names are left alone; a file that cannot be removed is tried again next time. */
void checkpoint_files_retire(struct checkpoint_files *files, const char *newest, int best_epoch);

#endif
