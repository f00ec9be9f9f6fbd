/* The progress of one run in a terminal, or as plain lines where there is none.
 *
 * Layer: daemon. Thread rule: a struct progress_bar belongs to one thread.
 *
 *     epoch 3/50 [=======>            ] 312/781  loss 1.2345  acc .5678  1234 img/s  ETA 1:02:03
 */
#ifndef CUTOUTD_DAEMON_MAIN_TRAIN_PROGRESS_BAR_H
#define CUTOUTD_DAEMON_MAIN_TRAIN_PROGRESS_BAR_H

#include <stdbool.h>
#include <stdio.h>

#include "core/train/trainer.h"

struct progress_bar {
    FILE *out;
    bool is_terminal;
    const struct clock *clock;
    double next_draw_s; /* not before this time of the clock */
    bool drawn;         /* the bar is on the screen and the cursor in its line */
};

/* `out` and `clock` must outlive the bar. */
void progress_bar_begin(struct progress_bar *bar, FILE *out, bool is_terminal,
                        const struct clock *clock);

/* Redraws the bar, at most ten times a second; nothing when there is no terminal. */
void progress_bar_step(struct progress_bar *bar, const struct step_report *report);

/* Prints the epoch's line; it stays, in a terminal above the bar. */
void progress_bar_epoch(struct progress_bar *bar, const struct epoch_report *report, int epochs);

/* Takes the bar off the screen, so that something else can be printed. The next step draws it. */
void progress_bar_clear(struct progress_bar *bar);

#endif
