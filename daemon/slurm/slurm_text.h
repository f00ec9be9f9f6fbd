/* What Slurm's commands print, as values.
 *
 * Layer: daemon/slurm. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_DAEMON_SLURM_SLURM_TEXT_H
#define CUTOUTD_DAEMON_SLURM_SLURM_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/config/config.h"

enum {
    SLURM_ID_SIZE = 24,
    SLURM_STATE_SIZE = 24,
    SLURM_NODE_SIZE = 64,
    SLURM_REASON_SIZE = 96,
    SLURM_NAME_SIZE = 64,
    SLURM_COMMENT_SIZE = 128,
};

/* squeue -o that slurm_read_line takes: one line a job. */
#define SLURM_LINE_FORMAT "%i|%T|%N|%r|%j|%k"

/* A job as squeue shows it. */
struct slurm_line {
    char id[SLURM_ID_SIZE];
    char state[SLURM_STATE_SIZE];
    char node[SLURM_NODE_SIZE]; /* "": none yet; cut */
    char reason[SLURM_REASON_SIZE];
    char name[SLURM_NAME_SIZE]; /* "" as the next: too long to be ours */
    char comment[SLURM_COMMENT_SIZE];
};

/* Takes the line off the text at *at, which moves on; the text is changed. False, and nothing is
 * moved: no line is left. *ret_good: it was one of a job. */
bool slurm_read_line(char **at, struct slurm_line *ret_line, bool *ret_good);

/* "123" or "123;cluster", and a line feed. False: it is something else. */
bool slurm_read_submitted(const char *text, char ret_id[SLURM_ID_SIZE]);

/* What scontrol -o show job says. */
struct slurm_job_record {
    char name[SLURM_NAME_SIZE];
    char comment[SLURM_COMMENT_SIZE];
    char state[SLURM_STATE_SIZE];
    char reason[SLURM_REASON_SIZE];
    char node[SLURM_NODE_SIZE];
    int exit_code;
    int exit_signal;
    int restarts;
};

/* False: no job is described. */
bool slurm_read_job(const char *text, struct slurm_job_record *ret_record);

/* Whether a job in this state will not run any more. One that is COMPLETING may. */
bool slurm_is_final(const char *state);

/* Why a job in a final state ended without an outcome. */
enum slurm_cause slurm_cause_of(const char *state, const char *reason, int exit_code);

#endif
