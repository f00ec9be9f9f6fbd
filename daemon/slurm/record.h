/* What the journal of an attempt says, record by record.
 *
 * Layer: daemon/slurm. Thread rule: pure functions on their arguments.
 *
 * A record is a JSON object. Numbers come back with the same bits; one that is not finite is null,
 * and comes back as NaN.
 */
#ifndef CUTOUTD_DAEMON_SLURM_RECORD_H
#define CUTOUTD_DAEMON_SLURM_RECORD_H

#include "core/train/trainer.h"
#include "daemon/store/change/run_report.h"
#include "daemon/work/executor.h"

enum { RECORD_NODE_SIZE = 64, RECORD_JOB_SIZE = 32 };

enum record_kind {
    RECORD_BEGIN, /* it has its images and kernels, and begins */
    RECORD_STEP,
    RECORD_EPOCH,
    RECORD_CHECKPOINT,
    RECORD_NOTE,
    RECORD_FALLBACK, /* as a note; it goes on from `file`: those that are newer are of no use */
    RECORD_OUTCOME,  /* the last one */
    RECORD_KINDS,
};

/* Why it was asked to end. */
enum record_stop {
    RECORD_STOP_NONE,
    RECORD_STOP_REQUEST,    /* by the daemon */
    RECORD_STOP_TIME_LIMIT, /* Slurm's signal before the limit */
    RECORD_STOP_SIGNAL,     /* another one: canceled, pre-empted, at the limit */
};

struct record {
    struct run_report report; /* number: from 1 */
    enum record_kind kind;

    /* RECORD_BEGIN */
    char node[RECORD_NODE_SIZE];
    char job[RECORD_JOB_SIZE]; /* Slurm's number; "" outside of Slurm */
    char variant[RUN_VARIANT_SIZE];

    struct step_report step;
    struct epoch_report epoch;

    struct checkpoint_report checkpoint; /* its pointers: to the next three */
    /* Name in the attempt's checkpoint directory; RECORD_FALLBACK: of a file that was given to it,
     * "": it goes on from the beginning. */
    char file[CHECKPOINT_ROW_PATH_SIZE];
    char sha256[SHA256_HEX_SIZE];
    struct confusion confusion;

    char message[RUN_REASON_SIZE]; /* RECORD_NOTE, RECORD_FALLBACK, RECORD_OUTCOME */
    enum status status;            /* RECORD_OUTCOME, as the rest */
    bool again;
    bool bounded;
    int64_t needed_bytes;
    enum record_stop stop;
};

/* The text, owned by the caller (free); NULL: no memory. */
char *record_write(const struct record *record);

/* STATUS_CORRUPT: it is no record of this version; STATUS_NO_MEMORY. */
enum status record_read(const char *text, size_t n_bytes, struct record *ret_record,
                        struct error *error);

#endif
