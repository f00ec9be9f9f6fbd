/* The workers: threads that take runs from the queue and see each one through.
 *
 * Layer: daemon/work. Thread rule: pool_stop once, the others from any thread.
 *
 * How an attempt ends decides where the run goes:
 *   all epochs done                      succeeded
 *   canceled by the user                 checkpoint, then canceled
 *   killed by the user                   canceled, the last checkpoint stays as it is
 *   paused by the user                   checkpoint, then paused
 *   the daemon stops                     checkpoint, then queued, reason "daemon stopped"
 *   the store or the disk is full        queued again, reason says so; the worker waits
 *                                        retry_delay_s before it takes another run
 *   anything else                        failed, with the reason
 * A move that cannot be stored is tried again until it can, or until the daemon stops: then the row
 * still says running, and recovery takes it up at the next start. No path drops a run.
 */
#ifndef CUTOUTD_DAEMON_WORK_POOL_H
#define CUTOUTD_DAEMON_WORK_POOL_H

#include "daemon/queue/queue.h"
#include "daemon/work/dataset_registry.h"
#include "daemon/work/executor.h"
#include "daemon/work/hub.h"
#include "daemon/work/progress.h"

enum { POOL_MAX_WORKERS = 64 };

/* Everything is borrowed and must outlive the pool. */
struct pool_options {
    int n_workers; /* unless another number was set and stored */
    struct store *store;
    struct queue *queue;
    struct hub *hub;
    struct progress_board *progress; /* with POOL_MAX_WORKERS slots */
    struct dataset_registry *datasets;
    struct executor executor;
    const struct clock *clock;
    const char *state_dir;
    double
        retry_delay_s; /* after a full disk; also between tries of a move that cannot be stored */
};

struct pool;

/* Starts the threads. STATUS_NO_MEMORY, STATUS_IO. */
enum status pool_start(const struct pool_options *options, struct pool **ret_pool,
                       struct error *error);

/* Asks every running run to write a checkpoint, puts them back into the queue and joins the
 * threads. Frees the pool. NULL is fine. */
void pool_stop(struct pool *pool);

/* Does what the user asks of some runs (queue_act), and tells the workers of those that are
 * running: they obey as soon as they can, and their rows have the request, so that not even a crash
 * forgets it. On success the caller owns *ret_outcomes (run_outcomes_clear). Statuses of the store.
 */
enum status pool_act(struct pool *pool, const struct queue_action *asked,
                     struct run_outcomes *ret_outcomes, struct error *error);

/* How many runs are trained at once: workers grow at once; one too many ends after its run. Kept in
 * the store over restarts. n_workers: 1 .. POOL_MAX_WORKERS. Statuses of the store. */
enum status pool_set_workers(struct pool *pool, int n_workers, struct error *error);

/* A draining pool trains what is running and starts nothing. Kept in the store over restarts, and
 * with it the answer to an Idempotency-Key (NULL: none). */
struct idempotency_answer;
enum status pool_set_draining(struct pool *pool, bool draining,
                              const struct idempotency_answer *answer, struct error *error);

struct pool_status {
    int n_workers; /* wanted */
    int n_running; /* runs that are being trained */
    bool draining;
};

void pool_get_status(struct pool *pool, struct pool_status *ret_status);

/* Whether every worker is idle or has moved since the last call (for the watchdog). One caller. */
bool pool_is_alive(struct pool *pool);

#endif
