/* The attempts that are running, what their executors report of them, and where each run goes when
 * its attempt is over.
 *
 * Layer: daemon/work (of the pool's files only). Thread rule: at each function. `moves` is the
 * pool's mutex; an attempt is in the table from the commit that claims its run to the one that
 * moves it on.
 */
#ifndef CUTOUTD_DAEMON_WORK_ATTEMPT_H
#define CUTOUTD_DAEMON_WORK_ATTEMPT_H

#include <pthread.h>
#include <stdatomic.h>

#include "daemon/work/pool.h"

struct attempt {
    struct run_row run; /* as it was claimed or found at start; read-only, owned */
    const struct executor *executor;
    int slot; /* of the progress board */

    /* Guarded by moves. */
    bool started; /* start has returned: its executor can be asked */
    bool ended;   /* the outcome is known, but not where the run goes: that is not stored yet */
    enum run_request request;
    int64_t quiet_until_ms; /* it was stopped for quiet hours; 0: it was not */
    double retry_at_s;      /* when it has ended: the next try to store it */

    /* Of the thread that reports; after `ended` guarded by moves. */
    struct progress progress;
    double published_at_s;
    bool progressed;   /* an epoch or a checkpoint was stored */
    bool at_rung;      /* it has come to the epoch at which its sweep pauses it */
    bool store_failed; /* a report could not be stored */
    enum status status;
    bool again; /* as in struct executor_outcome, with the next three */
    bool bounded;
    bool at_once;
    int64_t needed_bytes;
    char message[RUN_REASON_SIZE];

    struct attempt *next; /* guarded by the table's mutex */
};

struct attempt_table {
    const struct pool_options *options;
    pthread_mutex_t mutex; /* a leaf: guards the list, not what is in it */
    struct attempt *first;
    atomic_int arithmetic_change;                            /* enum; pool_set_arithmetic_change */
    struct executor_reports reports;                         /* for the executors */
    void (*on_outcome)(void *user, struct attempt *attempt); /* status .. message are set */
    void *user;
};

/* One thread, before any other function. */
void attempt_table_init(struct attempt_table *table, const struct pool_options *options,
                        void (*on_outcome)(void *user, struct attempt *attempt), void *user);

/* Frees what is left in it. No executor may report any more. */
void attempt_table_destroy(struct attempt_table *table);

/* In no table yet, without a run. STATUS_NO_MEMORY. */
enum status attempt_new(struct attempt **ret_attempt, struct error *error);

/* With moves held. attempt->run and attempt->executor are set. */
void attempt_table_add(struct attempt_table *table, struct attempt *attempt);

/* With moves held. The caller owns the attempt then (attempt_free). */
void attempt_table_remove(struct attempt_table *table, struct attempt *attempt);

/* NULL is fine. */
void attempt_free(struct attempt *attempt);

/* With moves held. NULL: it is not running. */
struct attempt *attempt_table_find(struct attempt_table *table, int64_t run_id);

/* With moves held. Of one executor; NULL: of all. */
int attempt_table_count(struct attempt_table *table, const struct executor *executor);

/* Where a run goes. */
struct destination {
    enum run_state to; /* RUN_QUEUED: one more attempt */
    char reason[RUN_REASON_SIZE];
    bool count; /* one more end without progress */
    bool wait;  /* before the executor gets another run: the same would happen again at once */
};

/* Of an attempt that has ended, by what is asked of it now. With moves held. */
void attempt_decide(const struct attempt *attempt, bool stopping, struct destination *ret);

#endif
