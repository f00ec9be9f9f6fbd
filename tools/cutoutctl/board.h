/* Runs that are being followed, and how they look in a terminal or as plain lines.
 *
 * Layer: tools. Thread rule: a board belongs to one thread.
 */
#ifndef CUTOUTD_TOOLS_CUTOUTCTL_BOARD_H
#define CUTOUTD_TOOLS_CUTOUTCTL_BOARD_H

#include <stdio.h>

#include "tools/cutoutctl/command.h"

struct board_run {
    char id[24];
    char label[LABEL_SIZE];
    char state[16];
    bool ranked_out; /* paused for good by its sweep */
    char reason[160];
    double epochs; /* of the whole run */
    double epochs_done;
    double epoch; /* in training, 0: none yet */
    double step;
    double steps_per_epoch;
    double images_per_second; /* negative: not known */
    double eta_seconds;       /* negative: not known */
    double val_error;         /* of the last epoch, negative: none yet */
    char said_state[16];      /* what the last plain line told */
    double said_epochs;
};

struct board {
    struct board_run *runs;
    size_t n;
    FILE *out;    /* NULL: nothing is drawn */
    bool live;    /* a terminal: lines are drawn over */
    int n_lines;  /* on the screen */
    int columns;  /* of the screen, when they were drawn */
    double drawn; /* seconds of the clock */
};

/* Sets one run to what the daemon says of it (its whole JSON form). */
void board_set(struct board_run *run, const cJSON *json);

/* Takes in one event. */
void board_hear(struct board *board, const char *event, const cJSON *data);

/* Draws what is new; a live board at most ten times a second unless `now`. */
void board_draw(struct board *board, bool now);

bool board_is_final(const struct board_run *run);

/* Whether all runs have ended. */
bool board_is_done(const struct board *board);

/* By the states that the runs ended in. */
enum exit_status board_exit_status(const struct board *board);

#endif
