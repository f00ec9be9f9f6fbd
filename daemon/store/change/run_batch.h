/* Actions on many runs in one commit.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 *
 * What is done with a run is chosen by its row. A refusal concerns that run alone: the others are
 * changed nevertheless. A failure of the store takes back everything.
 */
#ifndef CUTOUTD_DAEMON_STORE_CHANGE_RUN_BATCH_H
#define CUTOUTD_DAEMON_STORE_CHANGE_RUN_BATCH_H

#include "daemon/store/table/run_table.h"

enum batch_action_kind {
    BATCH_NONE,
    BATCH_MOVE,    /* to another state, as run_move */
    BATCH_REQUEST, /* of a running run: noted, so that a crash does not forget it */
    BATCH_EDIT,    /* another priority, labels, ..., as run_table_edit */
    BATCH_DELETE,  /* with its epochs, events and checkpoint rows; not its files */
};

struct batch_action {
    enum batch_action_kind kind;
    enum run_state to; /* of a move, as the next two */
    const char *reason;
    bool next_attempt;
    enum run_request request;
    const struct run_edit *edit; /* of an edit; valid until the next run is chosen for */
};

/* What came of one run. */
struct run_outcome {
    int64_t id;
    enum batch_action_kind action; /* what was done */
    struct error error;            /* code other than STATUS_OK: why it was refused */
    struct run_row row;            /* as it is now; .id 0: there is none (any more) */
};

struct run_outcomes {
    struct run_outcome *items; /* [n], in the order of the ids */
    size_t n;
};

/* Frees and zeroes. A zeroed list is fine. */
void run_outcomes_clear(struct run_outcomes *outcomes);

struct db;
struct idempotency_mark;

/* Chooses what is done with a run. STATUS_CONFLICT and STATUS_FORBIDDEN refuse it. Like a
 * store_body it may run on any thread and takes no locks; so does the next. */
typedef enum status run_choose(void *user, const struct run_row *row,
                               struct batch_action *ret_action, struct error *error);

/* The answer to the whole, to be stored with it: *ret_http_status and the body, which stays the
 * callee's; NULL: no memory. What is not 2xx is not stored. */
typedef const char *run_answer(void *user, const struct run_outcomes *outcomes,
                               int *ret_http_status);

/* From a store_body: asks for the answer and stores it under the key. */
enum status run_outcomes_store_answer(struct db *db, const struct idempotency_mark *mark,
                                      run_answer *answer, void *user,
                                      const struct run_outcomes *outcomes, int64_t now_ms,
                                      struct error *error);

/* Borrowed for the call. */
struct run_batch {
    const int64_t *ids; /* [n_ids], taken in this order */
    size_t n_ids;
    bool newest_first; /* or by falling ids: what comes after another run before that one */
    int max_queued; /* refused: what comes back into the queue beyond that, of an owner; 0: any */
    run_choose *choose;
    void *choose_user;
    const struct idempotency_mark *idempotency; /* NULL: no answer is stored */
    run_answer *answer;
    void *answer_user;
    int64_t now_ms;
};

/* On success the caller owns *ret_outcomes (run_outcomes_clear). */
enum status run_table_batch(struct store *store, const struct run_batch *batch,
                            struct run_outcomes *ret_outcomes, struct error *error);

#endif
