/* Grouped commits: writers that wait at the same moment share one durable commit.
 *
 * Layer: daemon/store (inside of the store only). Thread rule: write_queue_run from any thread.
 *
 * A commit takes a write to the disk, however small it is. So the first writer becomes the leader:
 * it takes every body that waits, runs each in a savepoint of its own inside one transaction, and
 * commits once. Writers that come meanwhile wait; one of them leads the next group.
 * write_queue_run returns after the commit of its body. A body may run on the thread of another
 * writer; no two run at the same time, and no lock is held while one runs.
 */
#ifndef CUTOUTD_DAEMON_STORE_WRITE_QUEUE_H
#define CUTOUTD_DAEMON_STORE_WRITE_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/base/histogram.h"
#include "daemon/store/db.h"

struct write_job;

struct write_queue {
    struct db db; /* only the leader's */
    pthread_mutex_t mutex;
    pthread_cond_t group_done;
    bool led;                     /* a group is running; guarded by mutex, as are the next three */
    int n_waiting;                /* for the group after it */
    struct write_job *first;      /* waiting, in the order in which they came */
    struct write_job **end;       /* where the next one goes */
    struct histogram commits;     /* how long COMMIT took */
    atomic_bool disk_failed;      /* the last group that had something to store could not */
    atomic_int failure_countdown; /* see store_inject_failure */
    atomic_int failure_status;    /* see store_inject_status */
};

/* Makes the locks; queue->db is opened by the caller. */
void write_queue_init(struct write_queue *queue);

/* Closes queue->db as well. No thread may be in write_queue_run. */
void write_queue_destroy(struct write_queue *queue);

/* Runs the body and commits it. On STATUS_OK *ret_touched are the runs that it touched, the
 * caller's (run_ids_clear); on any other status nothing of the body is stored, and *ret_touched is
 * empty. When the transaction as a whole fails (the disk is full) the whole group has its status.
 */
enum status write_queue_run(struct write_queue *queue, store_body *body, void *arguments,
                            struct run_ids *ret_touched, struct error *error);

/* Between two groups: syncs the log and puts what stands in it into the database file, as far as no
 * reader still needs what is there. What another process holds up is left for the next time. */
enum status write_queue_settle(struct write_queue *queue, struct error *error);

#endif
