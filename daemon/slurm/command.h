/* Programs that are asked something: what they say, and for how long they may take.
 *
 * Layer: daemon/slurm. Thread rule: one command at a time for each struct; any thread.
 */
#ifndef CUTOUTD_DAEMON_SLURM_COMMAND_H
#define CUTOUTD_DAEMON_SLURM_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/error.h"

enum { COMMAND_WORDS = 64, COMMAND_ERROR_SIZE = 400, COMMAND_MOST_BYTES = 8 << 20 };

struct command {
    char *const *words;       /* words[0]: the program's path; NULL behind the last */
    char *const *environment; /* all that it gets; NULL behind the last */
    double timeout_s;
    /* Called about once a second while it is waited for; false: do not wait any longer. May be
     * NULL.
     */
    bool (*meanwhile)(void *user);
    void *user;
};

struct command_result {
    int exit_status; /* of a program that ended by itself; -1: by a signal */
    char *output;    /* NUL-terminated, owned: command_result_clear */
    size_t n_output;
    char error_text[COMMAND_ERROR_SIZE]; /* the first of what it wrote to stderr, one plain line */
};

/* Runs it to its end. STATUS_NOT_FOUND and STATUS_IO: it could not be started: nothing was done.
 * STATUS_BUSY: it took too long or was not waited for, and was killed: what it did is not known.
 * STATUS_TOO_LARGE, STATUS_NO_MEMORY: likewise, because of what it said. *ret_result is the
 * caller's in any case. */
enum status command_run(const struct command *command, struct command_result *ret_result,
                        struct error *error);

/* Frees. A zeroed result is fine. */
void command_result_clear(struct command_result *result);

#endif
