/* `cutoutd train FILE.json`: one run in the foreground, without a daemon.
 *
 * Layer: daemon. Thread rule: called by the main thread, once at a time; it handles SIGINT and
 * SIGTERM while it runs.
 */
#ifndef CUTOUTD_DAEMON_MAIN_TRAIN_COMMAND_TRAIN_H
#define CUTOUTD_DAEMON_MAIN_TRAIN_COMMAND_TRAIN_H

#include <stdio.h>

#include "daemon/config/config.h"

struct train_options {
    const struct config *config; /* data sets, threads, kernels, checkpoint interval */
    const char *spec_path;       /* FILE.json, "-": standard input */
    const char *output_dir;      /* NULL: nothing is kept */
    FILE *out;                   /* progress and errors: standard error */
};

/* Trains the run to its end. With an output directory, epochs.csv, config.json and checkpoints go
 * there, and the same call again continues an interrupted run to the same bits.
 *
 * Returns an exit code: 0 done; 1 failed, with the reason printed; 2 the file is not a valid run,
 * with every field's error printed; 128 + signal when SIGINT (130) or SIGTERM (143) ended it, after
 * a checkpoint was written and how to continue was printed. A second signal ends it at once. */
int command_train(const struct train_options *options);

#endif
