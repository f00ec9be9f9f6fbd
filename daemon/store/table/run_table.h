/* Table `run`: one row a run, and its labels opened for filters (`run_label`).
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_RUN_TABLE_H
#define CUTOUTD_DAEMON_STORE_TABLE_RUN_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/sha256.h"
#include "core/config/run_config.h"
#include "daemon/store/run_state.h"
#include "daemon/store/store.h"

enum {
    RUN_TITLE_SIZE = 128,
    RUN_REASON_SIZE = 512,
    RUN_VARIANT_SIZE = 16,
    RUN_ARITHMETIC_SIZE = 64,
    RUN_OWNER_SIZE = 64,
    RUN_EXECUTOR_SIZE = 32,
    RUN_HANDLE_SIZE = 64,
    RUN_STOP_RULE_SIZE = 16,
    RUN_NOTIFY_SIZE = 280,
};

/* Where an executor that places runs elsewhere has put an attempt; "" what is not known. */
struct run_placement {
    char job[32]; /* the name that it has there */
    char node[64];
    char state[32];  /* in the words of what places it */
    char reason[96]; /* why it waits */
    int cores;       /* of a report: what its owner is charged for from now on; 0 in rows */
};

/* What trains a run whose draft names no executor. Runs of the API name one: of those that ask for
 * none, the first of the config. */
#define RUN_EXECUTOR_DEFAULT "local"

/* What was asked of a running run and is carried out as soon as it can be. */
enum run_request {
    RUN_REQUEST_NONE,
    RUN_REQUEST_CANCEL, /* checkpoint, then canceled */
    RUN_REQUEST_KILL,   /* canceled at once, without a checkpoint */
    RUN_REQUEST_PAUSE,  /* checkpoint, then paused */
    RUN_REQUEST_COUNT,
};

/* "", "cancel", "kill", "pause". */
const char *run_request_name(enum run_request request);

struct idempotency_mark;

/* What a submitter decides. All pointers are borrowed for the call. */
struct run_draft {
    const char *name;                /* "" when none was given */
    int priority;                    /* higher first */
    const char *labels_json;         /* a JSON object, opaque here */
    const char *config_json;         /* the resolved spec, opaque here */
    const struct run_config *config; /* source of the columns that lists filter by */
    const char *executor;            /* name of one; NULL: RUN_EXECUTOR_DEFAULT */
    const char *owner;               /* name of the token it came with; NULL or "": none */
    int64_t sweep_id;                /* 0: of no sweep */
    int64_t forked_from;             /* 0: not a fork */
    int forked_epoch;                /* valid with forked_from */
    bool held;                       /* starts in state held instead of queued */
    int64_t not_before_ms;           /* it starts no earlier; 0: at once */
    const char *notify;              /* ",lab,": webhooks that are told of it; NULL: none */
    int max_queued;                  /* refused when its owner then has more in the queue; 0: any */
    int64_t max_disk;                /* or has more bytes of checkpoints */
    const int64_t *after_ids;        /* [n_after]: runs that must succeed before it starts */
    int n_after;
    const struct idempotency_mark *idempotency; /* NULL: the submission carries no key */
};

/* What is long, or a look-up of its own, in a row: lists may leave it out. */
enum run_part { RUN_PART_LABELS = 1, RUN_PART_CONFIG = 2, RUN_PART_AFTER = 4, RUN_PARTS_ALL = 7 };

struct run_row {
    int64_t id; /* from 1; outside of the process a decimal string */
    char name[RUN_TITLE_SIZE];
    int priority;
    char *labels_json; /* owned by the row */
    char *config_json; /* owned by the row */

    /* Copied from the config for lists and filters. */
    char preset[RUN_NAME_SIZE];
    char dataset[RUN_NAME_SIZE];
    int depth;
    int epochs;
    int m;
    int cutout_size;
    uint64_t seed;

    enum run_state state;
    char reason[RUN_REASON_SIZE]; /* why it is in this state; "" when there is nothing to say */
    int attempt;                  /* from 1; one more each time it is put back into the queue */
    enum run_request request;     /* accepted, but it is still running until it can be done */

    char variant[RUN_VARIANT_SIZE];       /* kernels of its latest attempt; "" before it started */
    char arithmetic[RUN_ARITHMETIC_SIZE]; /* whose bits it has; "" as well: nobody noted it */
    char dataset_sha256[SHA256_HEX_SIZE]; /* of the images it trains on; "" before it started */

    int epochs_done;          /* highest epoch in the history */
    int best_epoch;           /* from 1; 0: none yet */
    int best_wrong;           /* valid when best_epoch > 0 */
    int last_wrong;           /* of epoch epochs_done; valid when epochs_done > 0 */
    int val_total;            /* 0 before the first epoch */
    bool diverged;            /* some epoch was (core/train/trainer.h) */
    double images_per_second; /* of the latest epoch; 0 before the first */

    int64_t created_ms; /* Unix time; 0 where it has not happened */
    int64_t started_ms; /* first claim */
    int64_t finished_ms;
    int64_t updated_ms;
    int64_t revision; /* from 1; one more at every change of the row or of what belongs to it */

    char owner[RUN_OWNER_SIZE]; /* "" when it came without a token */
    int64_t sweep_id;           /* 0: of no sweep */
    int64_t forked_from;        /* 0: not a fork; that run may be gone */
    int forked_epoch;
    char copies[RUN_NAME_SIZE];
    char optimizer[RUN_NAME_SIZE];
    int steps_per_epoch;      /* 0 before it started, as the next */
    int64_t images_per_epoch; /* all copies counted */
    double best_error;        /* NaN before the first epoch, as the next two */
    double last_error;
    double mean_last_5;   /* of the validation errors of the last five epochs, or of all so far */
    double train_seconds; /* sum over the epochs */
    char *after;          /* owned: the ids of the runs it comes after, "1,2"; "" for none */
    int interruptions;    /* ends of the daemon in a row without an epoch or checkpoint between */
    int batch_size; /* of the config, as the next two: what an epoch takes follows from them */
    int train_images;
    bool drop_last;
    char executor[RUN_EXECUTOR_SIZE];
    char handle[RUN_HANDLE_SIZE]; /* of the running attempt, for its executor; "" otherwise */
    /* Of a fork: how many of its epochs it did not train itself, and what of train_seconds is
     * theirs. They may have had other images and another speed. */
    int inherited_epochs;
    double inherited_seconds;
    char stopped_by[RUN_STOP_RULE_SIZE]; /* core/train/stop_rule.h; "" until a rule holds */
    double max_seconds;                  /* of the config's `stop`; 0: none */
    int rung;        /* of a sweep by halving, from 1; 0: it is in none, or in none any more */
    int pause_at;    /* the epoch at which it pauses for it; 0: none */
    bool ranked_out; /* paused by it, because others were better */
    bool has_note;   /* table `note` */
    struct run_placement placement; /* of the latest attempt */
    int64_t not_before_ms;          /* it does not start earlier; 0: it may at once */
    char notify[RUN_NOTIFY_SIZE];   /* ",lab,": webhooks that are told of it */
};

/* Frees what the row owns and zeroes it. A zeroed row is fine. */
void run_row_clear(struct run_row *row);

struct run_list {
    struct run_row *rows;
    size_t n;
    bool more; /* there are others behind the last */
};

/* Frees and zeroes. A zeroed list is fine. */
void run_list_clear(struct run_list *list);

/* On success the caller owns *ret_row (run_row_clear). STATUS_NOT_FOUND. */
enum status run_table_get(struct store *store, int64_t id, struct run_row *ret_row,
                          struct error *error);

/* What runs of the same network and the same steps took here. */
struct run_speed {
    int n_runs;               /* the newest ones that were measured; 0: none */
    double images_per_second; /* all copies counted, validation included; valid with n_runs > 0 */
};

enum status run_table_speed(struct store *store, const struct run_config *config,
                            struct run_speed *ret_speed, struct error *error);

/* Whether a run of that data set was ever accepted. */
enum status run_table_has_dataset(struct store *store, const char *dataset, bool *ret_has,
                                  struct error *error);

/* How many runs are in each state. */
enum status run_table_count(struct store *store, int64_t ret_counts[RUN_STATE_COUNT],
                            struct error *error);

/* The attempt has come as far as training. */
enum status run_table_note_begin(struct store *store, int64_t id, int attempt, struct error *error);

/* What it is trained with. The strings are borrowed; each is given. */
struct run_origin {
    const char *variant;
    const char *arithmetic;
    const char *dataset_sha256;
    int steps_per_epoch;
    int64_t images_per_epoch; /* all copies counted */
};

/* STATUS_NOT_FOUND. */
enum status run_table_set_origin(struct store *store, int64_t id, const struct run_origin *origin,
                                 int64_t now_ms, struct error *error);

/* Which queued runs are passed over; a NULL or 0 member passes over none. */
struct run_claim {
    const char *executors; /* ",local,other,": runs of others are */
    const char *datasets;  /* ",local/cifar10,": runs of that executor with that data set are */
    int max_running;       /* those of an owner with so many running ones are */
    int64_t max_disk;      /* those of an owner with more bytes of checkpoints are */
    /* What a run of that executor is charged for; NULL: 1. From a store_body: no locks. */
    int (*cores)(void *user, const char *executor);
    void *user;
};

/* One legal move. */
struct run_move {
    int64_t id;
    enum run_state from;
    enum run_state to;
    const char *reason; /* cut to RUN_REASON_SIZE - 1 bytes */
    bool next_attempt;  /* attempt + 1 */
    bool interrupted;   /* from running: the daemon ended, or the attempt failed; counted, with
                           `abandoned` only if the attempt had come as far as training */
    bool abandoned;     /* from running: nobody knows until when it was trained, so its owner is not
                           charged for the time since its last report */
    int64_t now_ms;
};

/* What can be changed after submission; NULL members stay as they are. */
struct run_edit {
    const char *name;
    const int *priority;
    const char *labels_json;      /* a JSON object of strings */
    const int64_t *not_before_ms; /* 0: it may start at once */
};

#endif
