/* What the files of the executor share.
 *
 * Layer: daemon/slurm, internal. Thread rule: all by the executor's thread, but for what `mutex`
 * guards.
 */
#ifndef CUTOUTD_DAEMON_SLURM_SLURM_INTERNAL_H
#define CUTOUTD_DAEMON_SLURM_SLURM_INTERNAL_H

#include <string.h>

#include "daemon/slurm/attempt_dir.h"
#include "daemon/slurm/executor_slurm.h"
#include "daemon/slurm/journal.h"
#include "daemon/slurm/record.h"

/* How far an attempt has come. */
enum slurm_phase {
    PHASE_NEW,    /* its directory is to be written */
    PHASE_UNSENT, /* sbatch is to be called */
    PHASE_SOUGHT, /* Slurm may have it: looked for by its name */
    PHASE_SENT,   /* Slurm has it, under `id` */
    PHASE_GONE,   /* Slurm has ended it; the journal may not be read to its end */
};

struct slurm_job {
    const struct run_row *run; /* until its outcome was told: NULL from then on */
    struct run_report report;  /* names the attempt */
    char handle[RUN_HANDLE_SIZE];
    char dir[ATTEMPT_PATH_SIZE];
    int priority;

    struct attempt_requests asked; /* guarded by mutex */
    int asked_priority;            /* likewise */

    enum slurm_phase phase;
    char variant[RUN_VARIANT_SIZE];  /* of the order; "": not known, as after an attach */
    struct attempt_requests written; /* of asked */
    double due_at_s;                 /* the next try of what its phase waits for */
    int n_unread;                    /* tries that a checkpoint's file could not be read */
    int n_unmade;                    /* tries that its directory alone could not be written */
    bool lacks_node;                 /* it waits for features that no node has */
    char id[SLURM_ID_SIZE];
    char state[SLURM_STATE_SIZE]; /* Slurm's */
    char node[SLURM_NODE_SIZE];
    char why[SLURM_REASON_SIZE]; /* Slurm's reason, or why it is not sent */
    struct run_placement told;
    bool cancel; /* scancel is to be called */
    double cancel_at_s;
    double ended_at_s; /* its outcome was told */

    /* Journal and lease. */
    struct journal_reader reader;
    double moved_at_s; /* something came */
    char lease[32];
    bool begun;
    double begun_at_s;
    bool progressed;
    int best_epoch;      /* by its history: the weights of that epoch may be lost */
    double damaged_at_s; /* 0: it is not */
    double missing_at_s; /* a checkpoint's file; 0: none is missing */
    bool refused;        /* the run is at another attempt */
    char damage[160];    /* the journal cannot be read any further; "": it can */
    bool has_outcome;
    struct {
        enum status status;
        bool again;
        bool bounded;
        int64_t needed_bytes;
        enum record_stop stop;
        char message[RUN_REASON_SIZE];
    } outcome;

    /* What Slurm says. */
    int sought_since; /* n_polls when it was begun to be looked for */
    double sought_at_s;
    double absent_at_s; /* 0: it is there */
    double gone_at_s;
    enum slurm_cause cause; /* with PHASE_GONE, as the next */
    char cause_text[160];

    struct slurm_job *next;
};

/* Whether it has its processors. */
static inline bool slurm_job_has_node(const struct slurm_job *job) {
    return !strcmp(job->state, "RUNNING") || !strcmp(job->state, "COMPLETING");
}

static inline double slurm_now_s(void) {
    return clock_monotonic_s(&clock_system);
}

/* ---- slurm_copy.c ---- */

/* Copies a checkpoint, durably, once it is whole: `to` is what it was until then. On failure
 * *ret_of_source says on which side it failed, and the message names the file. Of the source:
 * STATUS_NOT_FOUND; STATUS_CORRUPT: it is damaged, or no regular file; STATUS_FORBIDDEN: it is not
 * this user's to read; STATUS_IO: it cannot be read now. Of the target: STATUS_IO, STATUS_NO_SPACE,
 * STATUS_NOT_FOUND. STATUS_NO_MEMORY. */
enum status slurm_copy_checkpoint(const char *from, const char *to, const char *sha256,
                                  bool *ret_of_source, struct error *error);

/* Removes the checkpoints in the directory that are not in the list, and what is left of unfinished
 * ones. Files of other names are left alone. */
void slurm_remove_unlisted(const char *directory, const struct checkpoint_list *list);

/* ---- slurm_begin.c ---- */

/* PHASE_NEW: writes the attempt's directory. */
void slurm_begin_job(struct executor_slurm *slurm, struct slurm_job *job);

/* PHASE_UNSENT: calls sbatch, unless it is not the time for that. */
void slurm_send_job(struct executor_slurm *slurm, struct slurm_job *job);

/* ---- slurm_follow.c ---- */

/* Reports what has come into the journal. */
void slurm_follow_job(struct executor_slurm *slurm, struct slurm_job *job);

/* ---- slurm_poll.c ---- */

/* Asks Slurm about all jobs, when it is time for that. */
void slurm_poll(struct executor_slurm *slurm);

/* ---- slurm_settle.c ---- */

/* Tells the store where the attempt is, if that has changed. */
void slurm_tell_placement(struct executor_slurm *slurm, struct slurm_job *job);

/* Passes on what is asked of the attempt. */
void slurm_carry_out(struct executor_slurm *slurm, struct slurm_job *job);

/* Calls scancel for those that are to be canceled. */
void slurm_cancel_jobs(struct executor_slurm *slurm);

/* Tells the outcome, once it is known. */
void slurm_settle(struct executor_slurm *slurm, struct slurm_job *job);

/* The outcome is this one. */
void slurm_end_job(struct executor_slurm *slurm, struct slurm_job *job,
                   const struct executor_outcome *outcome);

#endif
