/* `cutoutd evaluate`: what a checkpoint gets wrong.
 *
 * Layer: daemon/main. Thread rule: the main thread.
 */
#ifndef CUTOUTD_DAEMON_MAIN_COMMAND_EVALUATE_H
#define CUTOUTD_DAEMON_MAIN_COMMAND_EVALUATE_H

#include <stdio.h>

#include "daemon/config/config.h"

struct evaluate_command {
    const struct config *config;
    const char *path; /* of the checkpoint */
    const char
        *dataset;       /* "NAME=DIR" as given with --dataset; NULL: that of the checkpoint's run */
    const char *format; /* "text", "json", "csv" */
    bool ema;           /* --ema: the average of the weights */
    FILE *out;
};

/* Exit status 0; 1: it cannot be validated, and stderr says why; 2: there is no such format. */
int command_evaluate(const struct evaluate_command *command);

#endif
