/* Slurm, asked by its own commands.
 *
 * Layer: daemon/slurm. Thread rule: one thread at a time.
 *
 * Nothing of this process's environment reaches them or the jobs.
 */
#ifndef CUTOUTD_DAEMON_SLURM_SLURM_CLIENT_H
#define CUTOUTD_DAEMON_SLURM_SLURM_CLIENT_H

#include "daemon/slurm/slurm_text.h"

enum slurm_program { SLURM_SBATCH, SLURM_SQUEUE, SLURM_SCONTROL, SLURM_SCANCEL, SLURM_PROGRAMS };

enum { SLURM_PATH_SIZE = CONFIG_TEXT_SIZE + 16, SLURM_CANCEL_MOST = 32 };

struct slurm_client {
    const struct config *config;
    bool (*meanwhile)(void *user); /* struct command; may be NULL */
    void *user;

    char path[SLURM_PROGRAMS][SLURM_PATH_SIZE];
    char login[64]; /* whose jobs they are */
    char variables[5][SLURM_PATH_SIZE];
    char *environment[6];
};

/* Finds the commands. STATUS_NOT_FOUND: which one is not there. *client must not move afterwards.
 */
enum status slurm_client_open(struct slurm_client *client, const struct config *config,
                              struct error *error);

/* A job to be. */
struct slurm_order {
    const char *name;
    const char *comment;
    const char *script;     /* its file */
    const char *output;     /* where it prints to */
    const char *constraint; /* "": none */
    const char *exclude;    /* nodes; "": none */
    const char *time;       /* "": as the config says */
    int nice;
};

/* STATUS_OK: *ret_id is its number. STATUS_NOT_FOUND, STATUS_IO: sbatch cannot be started. Others:
 * it is not known whether Slurm has taken it. */
enum status slurm_submit(struct slurm_client *client, const struct slurm_order *order,
                         char ret_id[SLURM_ID_SIZE], struct error *error);

/* All jobs of this user that Slurm knows, a line each for slurm_read_line; owned by the caller
 * (free). Other statuses: it could not be asked. */
enum status slurm_list(struct slurm_client *client, char **ret_lines, struct error *error);

/* STATUS_NOT_FOUND: Slurm knows no such job. Others: it could not be asked. */
enum status slurm_show(struct slurm_client *client, const char *id,
                       struct slurm_job_record *ret_record, struct error *error);

/* n: 1 to SLURM_CANCEL_MOST. Jobs that have ended are fine. */
enum status slurm_cancel(struct slurm_client *client, char ids[][SLURM_ID_SIZE], int n,
                         struct error *error);

/* scontrol update: a job that waits gets another place. */
enum status slurm_set_nice(struct slurm_client *client, const char *id, int nice,
                           struct error *error);

#endif
