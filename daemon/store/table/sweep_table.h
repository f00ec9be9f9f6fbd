/* Table `sweep`: runs that were submitted together.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_SWEEP_TABLE_H
#define CUTOUTD_DAEMON_STORE_TABLE_SWEEP_TABLE_H

#include "daemon/store/table/run_table.h"

struct sweep_row {
    int64_t id; /* from 1 */
    char name[RUN_TITLE_SIZE];
    char owner[RUN_OWNER_SIZE]; /* "" when it came without a token */
    char *spec_json;            /* {"base":..,"grid":..} as it was given; owned by the row */
    int64_t created_ms;
    bool has_note; /* table `note` */
};

/* Frees what the row owns and zeroes it. A zeroed row is fine. */
void sweep_row_clear(struct sweep_row *row);

enum { HALVING_SETTING_SIZE = 128 };

/* Runs pause at first_epochs, first_epochs * eta, ..: daemon/store/change/halving.h. */
struct halving_rule {
    int first_epochs;
    int eta;
    const char *metric; /* "val_error", "val_loss" */
};

/* What a run says that has come to its rung; takes the epoch. */
#define HALVING_WAITS "waits at epoch %d for the other runs of its rung"

/* All pointers are borrowed for the call. */
struct sweep_draft {
    const char *name;
    const char *owner; /* NULL or "": none */
    const char *spec_json;
    const struct run_draft *runs; /* [n_runs]; their sweep_id is not looked at */
    size_t n_runs;
    const struct halving_rule *halving; /* NULL: none */
    const char *const *settings;        /* [n_runs] what each is ranked with, "": itself; or NULL */
    const struct idempotency_mark *idempotency; /* stored with it; NULL: none */
};

/* On success the caller owns *ret_row (sweep_row_clear). STATUS_NOT_FOUND. */
enum status sweep_table_get(struct store *store, int64_t id, struct sweep_row *ret_row,
                            struct error *error);

/* Newest first. */
struct sweep_list {
    struct sweep_row *rows;
    size_t n;
    bool more; /* there are older ones: go on with before_id = rows[n - 1].id */
};

/* At most `limit` (at least 1) sweeps older than before_id (0: from the newest). The caller owns
 * *ret_list (sweep_list_clear). */
enum status sweep_table_list(struct store *store, int64_t before_id, int limit,
                             struct sweep_list *ret_list, struct error *error);

/* Frees and zeroes. A zeroed list is fine. */
void sweep_list_clear(struct sweep_list *list);

/* How far all of its runs are together. */
struct sweep_progress {
    int64_t n_runs;
    int64_t by_state[RUN_STATE_COUNT];
    int64_t n_ranked_out; /* paused, because others were better: they have ended */
    int64_t epochs_saved; /* of these */
    int64_t epochs_done;
    int64_t epochs_total;
    int64_t revision_sum; /* grows with every change of one of the runs */
    /* Image copies times layers, which is what time goes with: of the epochs that were trained, and
     * of those still to come of the queued and running runs. */
    double work_done;
    double work_left;
    double train_seconds;
    char executor[RUN_EXECUTOR_SIZE]; /* of its runs; with `mixed` of some of them */
    bool mixed;
};

/* An unknown sweep has no runs. */
enum status sweep_table_progress(struct store *store, int64_t id,
                                 struct sweep_progress *ret_progress, struct error *error);

/* Of a sweep by halving. */
struct halving_rung {
    int epochs;
    char *ranking_json; /* as it is shown */
    int64_t at_ms;
    int n_ranked;
    int n_promoted;
};
/* A run that paused at a rung, since others went on; it may have been resumed by hand. */
struct halving_pause {
    int64_t run_id;
    int epochs;
};
struct halving_state {
    bool there; /* it is one; otherwise nothing below is valid */
    int first_epochs;
    int eta;
    char metric[16];
    size_t n_rungs;
    struct halving_rung *rungs; /* [n_rungs] that have ended */
    size_t n_pauses;
    struct halving_pause *pauses; /* [n_pauses] in the order of the rungs */
};

/* The caller owns what is in *ret (halving_state_clear). */
enum status sweep_table_halving(struct store *store, int64_t id, struct halving_state *ret,
                                struct error *error);
void halving_state_clear(struct halving_state *state);

/* The ids of its runs, oldest first. The caller owns *ret_ids (free). */
enum status sweep_table_runs(struct store *store, int64_t id, int64_t **ret_ids, size_t *ret_n,
                             struct error *error);

#endif
