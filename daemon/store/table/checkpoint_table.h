/* Table `checkpoint`: the files a run can go on from.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_CHECKPOINT_TABLE_H
#define CUTOUTD_DAEMON_STORE_TABLE_CHECKPOINT_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/sha256.h"
#include "core/train/trainer.h"
#include "daemon/store/store.h"

enum { CHECKPOINT_ROW_PATH_SIZE = 256 };

struct checkpoint_row {
    int64_t id; /* newer ones have higher ids */
    enum checkpoint_kind kind;
    char path[CHECKPOINT_ROW_PATH_SIZE]; /* relative to STATE_DIR/runs/<run id>/ */
    char sha256[SHA256_HEX_SIZE];
    int64_t n_bytes;
    int epochs_done; /* whole epochs in it */
    int step;        /* steps of the next epoch in it */
    int64_t at_ms;
    /* Of a best one that is to be stored: stored with it (confusion_table.h); NULL: not counted.
     * Borrowed. Rows that are read have NULL. */
    const struct confusion *confusion;
};

struct checkpoint_list {
    struct checkpoint_row *rows; /* newest first */
    size_t n;
};

/* In the order in which to try them for resuming: newest first. The caller owns *ret_list
 * (checkpoint_list_clear). */
enum status checkpoint_table_list(struct store *store, int64_t run_id,
                                  struct checkpoint_list *ret_list, struct error *error);

/* Frees and zeroes. A zeroed list is fine. */
void checkpoint_list_clear(struct checkpoint_list *list);

/* The newest of a kind, which is the one that its name stands for; NULL: none. */
const struct checkpoint_row *checkpoint_list_newest(const struct checkpoint_list *list,
                                                    enum checkpoint_kind kind);

/* Whether one of them has that path. */
bool checkpoint_list_names(const struct checkpoint_list *list, const char *path);

/* "last", "best". */
const char *checkpoint_kind_name(enum checkpoint_kind kind);

#endif
