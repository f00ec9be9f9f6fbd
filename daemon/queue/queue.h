/* The queue: who is next, and every move of a run through its states.
 *
 * Layer: daemon/queue, over daemon/store. Thread rule: all functions from any thread.
 *
 * The queue is the table `run`; what lives in memory is only the means to wait for work.
 * Statuses beside those named here: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_QUEUE_QUEUE_H
#define CUTOUTD_DAEMON_QUEUE_QUEUE_H

#include "core/base/clock.h"
#include "daemon/queue/run_action.h"
#include "daemon/store/change/run_batch.h"
#include "daemon/store/table/run_table.h"
#include "daemon/store/table/sweep_table.h"

struct queue;

/* store and clock must outlive the queue. STATUS_NO_MEMORY. */
enum status queue_create(struct store *store, const struct clock *clock, struct queue **ret_queue,
                         struct error *error);

/* No thread may be in a function of the queue. NULL is fine. */
void queue_free(struct queue *queue);

/* Stores a run as queued and wakes a worker. Returns after the commit: the run is accepted. */
enum status queue_submit(struct queue *queue, const struct run_draft *draft, int64_t *ret_id,
                         struct error *error);

/* The same for a sweep: all of its runs are accepted, or nothing is. */
enum status queue_submit_sweep(struct queue *queue, const struct sweep_draft *draft,
                               int64_t *ret_id, struct error *error);

/* Takes the next run of those that `claim` does not pass over: highest priority, then order of
 * arrival. STATUS_NOT_FOUND: none is queued. The caller owns *ret_run (run_row_clear). */
enum status queue_claim(struct queue *queue, const struct run_claim *claim, struct run_row *ret_run,
                        struct error *error);

/* A number that changes whenever there may be new work or the queue was woken. */
uint64_t queue_generation(struct queue *queue);

/* Blocks until the generation differs from `seen`. */
void queue_wait(struct queue *queue, uint64_t seen);

/* Ends every queue_wait. */
void queue_wake(struct queue *queue);

/* running -> succeeded, failed, canceled or paused. STATUS_CONFLICT, STATUS_NOT_FOUND. */
enum status queue_finish(struct queue *queue, int64_t id, enum run_state state, const char *reason,
                         struct error *error);

/* running -> queued with one more attempt; wakes a worker. interrupted: as in struct run_move.
 * STATUS_CONFLICT, STATUS_NOT_FOUND. */
enum status queue_requeue(struct queue *queue, int64_t id, const char *reason, bool interrupted,
                          struct error *error);

/* What a user asks of some runs. Borrowed for the call. */
struct queue_action {
    enum run_action action;
    bool within_sweep;  /* runs that it makes no sense for are passed over: BATCH_NONE */
    const int64_t *ids; /* [n_ids] */
    size_t n_ids;
    int max_queued; /* of an owner: what would come back beyond that is refused; 0: any number */
    /* Whether this run may be changed; STATUS_FORBIDDEN refuses it. NULL: every run may. */
    enum status (*permit)(void *user, const struct run_row *row, struct error *error);
    const struct idempotency_mark *idempotency; /* NULL: no answer is stored */
    run_answer *answer;
    void *user; /* of permit and answer */
};

/* Does it in one commit, each run on its own (store/change/run_batch.h), and wakes the workers. A
 * running run gets the request into its row only: the pool tells its worker. On success the caller
 * owns *ret_outcomes (run_outcomes_clear). */
enum status queue_act(struct queue *queue, const struct queue_action *asked,
                      struct run_outcomes *ret_outcomes, struct error *error);

#endif
