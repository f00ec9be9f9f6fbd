/* Where the running runs are at this moment: in memory, one slot for each.
 *
 * Layer: daemon/work. Thread rule: all functions from any thread.
 *
 * Nothing here is stored: after a crash the run goes on from its checkpoint and says so itself.
 */
#ifndef CUTOUTD_DAEMON_WORK_PROGRESS_H
#define CUTOUTD_DAEMON_WORK_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/histogram.h"

struct progress {
    int64_t run_id;   /* 0: the slot is empty */
    int64_t sweep_id; /* of the run; 0: none */
    int epoch;        /* from 1; 0: still preparing, no step done yet */
    int epochs;
    int step; /* steps of this epoch that are done */
    int steps_per_epoch;
    double loss;     /* running mean of this epoch; may be NaN or infinite */
    double accuracy; /* running mean of this epoch */
    double images_per_second;
    double eta_seconds;
    char waits[200];    /* why it does not train at present; "": it does */
    uint64_t n_reports; /* grows with every step report: tells whether anything moved */
};

struct progress_board;

/* n_slots: to begin with, at least 1; it grows. STATUS_NO_MEMORY. */
enum status progress_board_create(int n_slots, struct progress_board **ret_board,
                                  struct error *error);

/* NULL is fine. */
void progress_board_free(struct progress_board *board);

/* Writes a slot, from 0. Without memory for one more it is not shown. */
void progress_board_set(struct progress_board *board, int slot, const struct progress *progress);

/* Empties a slot. */
void progress_board_clear(struct progress_board *board, int slot);

/* False: the run is not running; *ret_progress is not touched. */
bool progress_board_find(struct progress_board *board, int64_t run_id,
                         struct progress *ret_progress);

/* An epoch was completed; what all of them took since the start. */
void progress_board_add_epoch(struct progress_board *board, double seconds);
const struct histogram *progress_board_epochs(const struct progress_board *board);

/* Copies the filled slots into ret_items[size]; returns how many there are. */
size_t progress_board_all(struct progress_board *board, struct progress *ret_items, size_t size);

#endif
