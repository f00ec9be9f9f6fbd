/* The pool: takes runs from the queue, has executors train them, and stores where each run goes.
 *
 * Layer: daemon/work. Thread rule: create, attach, begin and stop by one thread, in this order; the
 * others from any thread.
 *
 * How an attempt ends decides where the run goes:
 *   all epochs done                      succeeded
 *   canceled by the user                 checkpoint, then canceled
 *   killed by the user                   canceled, the last checkpoint stays as it is
 *   paused by the user                   checkpoint, then paused
 *   quiet hours begin                    checkpoint, then queued, and nothing starts until they
 *                                        end; executors that do not heed them go on
 *   the daemon stops                     checkpoint, then queued, reason "daemon stopped"; what is
 *                                        trained elsewhere goes on
 *   the store or the disk is full        queued again, reason says so; the executor gets no run for
 *                                        retry_delay_s, or until there is room
 *   an error that may pass (EIO)         the same, but failed after six times without progress
 *   anything else                        failed, with the reason
 * A move that cannot be stored is tried again until it can, or until the daemon stops: then the row
 * still says running, and recovery takes it up at the next start. No path drops a run.
 */
#ifndef CUTOUTD_DAEMON_WORK_POOL_H
#define CUTOUTD_DAEMON_WORK_POOL_H

#include "daemon/config/config.h"
#include "daemon/queue/queue.h"
#include "daemon/work/executor.h"
#include "daemon/work/notifier.h"
#include "daemon/work/progress.h"

enum { POOL_MAX_WORKERS = 64 };

/* Everything is borrowed and must outlive the pool. */
struct pool_options {
    int n_workers; /* unless another number was set and stored */
    struct store *store;
    struct queue *queue;
    struct notifier *notifier;
    struct progress_board *progress;
    const struct executor *executors; /* [n_executors], at most EXECUTOR_MOST */
    size_t n_executors;
    const struct clock *clock;
    const char *state_dir;
    enum arithmetic_change on_arithmetic_change;
    int max_running;  /* of an owner at once; 0: any number */
    int64_t max_disk; /* bytes of an owner's checkpoints above which none starts; 0: any */
    struct quiet_hours quiet;
    double
        retry_delay_s; /* after a full disk; also between tries of a move that cannot be stored */
};

struct pool;

/* Opens the executors; nothing starts yet. STATUS_NO_MEMORY, STATUS_IO, those of open, those of the
 * store: what was set and stored must be known. */
enum status pool_create(const struct pool_options *options, struct pool **ret_pool,
                        struct error *error);

/* A run whose row says running goes on where it is trained, and is reported again.
 * STATUS_NOT_FOUND: nobody trains it; statuses of the store. */
enum status pool_attach(struct pool *pool, int64_t run_id, struct error *error);

/* From now on runs are started. STATUS_NO_MEMORY, STATUS_IO. */
enum status pool_begin(struct pool *pool, struct error *error);

/* Asks every run that is trained in this process to write a checkpoint, and starts no other. Does
 * not wait. NULL is fine. */
void pool_ask_stop(struct pool *pool);

/* Waits until no run is trained in this process any more, at most for so long; returns how many
 * are. */
int pool_wait_idle(struct pool *pool, double most_s);

/* After pool_ask_stop: whether a run has heard of it and is writing its checkpoint. Waits for
 * nothing. */
bool pool_is_saving(const struct pool *pool);

/* Asks, waits until those runs are back in the queue, and frees the pool. NULL is fine. */
void pool_stop(struct pool *pool);

/* Does what the user asks of some runs (queue_act), and tells the executors of those that are
 * running: they obey as soon as they can, and their rows have the request, so that not even a crash
 * forgets it. On success the caller owns *ret_outcomes (run_outcomes_clear). Statuses of the store.
 */
enum status pool_act(struct pool *pool, const struct queue_action *asked,
                     struct run_outcomes *ret_outcomes, struct error *error);

/* Asks for a checkpoint now; the run goes on. False: nothing trains it at this moment. */
bool pool_checkpoint(struct pool *pool, int64_t run_id);

/* The run's priority was changed in the store: tells the executor that trains it. */
void pool_note_priority(struct pool *pool, int64_t run_id);

/* How many runs are trained in this process at once. With more, waiting ones start at once; one too
 * many is not followed by another. Kept in the store over restarts. n_workers:
 * 1 .. POOL_MAX_WORKERS. Statuses of the store. */
enum status pool_set_workers(struct pool *pool, int n_workers, struct error *error);

/* Another number of the config's: as above, but not kept, and false where pool_set_workers has set
 * one, which stays. */
bool pool_configure_workers(struct pool *pool, int n_workers);

/* From now on. */
void pool_set_arithmetic_change(struct pool *pool, enum arithmetic_change rule);

/* From now on. What is running stays, whosever it is; hours that hold now stop it. */
void pool_set_limits(struct pool *pool, int max_running, int64_t max_disk);
void pool_set_quiet(struct pool *pool, const struct quiet_hours *quiet);

/* A draining pool trains what is running and starts nothing. Kept in the store over restarts, and
 * with it the answer to an Idempotency-Key (NULL: none). */
struct idempotency_answer;
enum status pool_set_draining(struct pool *pool, bool draining,
                              const struct idempotency_answer *answer, struct error *error);

struct pool_status {
    int n_workers; /* wanted */
    int n_running; /* runs that are being trained, wherever */
    bool draining;
    int64_t quiet_until_ms; /* quiet hours hold until then, INT64_MAX: for ever; 0: they do not */
    int max_running;        /* of an owner; 0: any number, as the next */
    int64_t max_disk;       /* bytes of an owner's checkpoints */
    char waits_for[RUN_REASON_SIZE]; /* what keeps runs from being started for a while; "": nothing
                                      */
};

void pool_get_status(struct pool *pool, struct pool_status *ret_status);

/* The executor of that name; "": the default, which is the first. NULL: there is none. */
const struct executor *pool_executor(const struct pool *pool, const char *name);

/* How many runs it trains at once; 0: it starts nothing at present. */
int pool_places(const struct pool *pool, const struct executor *executor);

/* How many it trains now, of one executor; NULL: of all. */
int pool_count_running(struct pool *pool, const struct executor *executor);

/* The names of all, as an array that lives as long as the pool. */
const char *const *pool_executor_names(const struct pool *pool, size_t *ret_n);

/* For a watchdog, which calls both once in a while from one thread; neither waits for anything. For
 * how many seconds nothing has moved in the run that stands still the longest; 0: all move. */
double pool_runs_stalled_s(struct pool *pool);

/* Likewise of the threads that start runs and follow them, which each call asks to go round. */
double pool_scheduler_stalled_s(struct pool *pool);

#endif
