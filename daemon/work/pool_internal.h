/* What pool.c and pool_threads.c share.
 *
 * Layer: daemon/work, internal. Thread rule: at each member.
 */
#ifndef CUTOUTD_DAEMON_WORK_POOL_INTERNAL_H
#define CUTOUTD_DAEMON_WORK_POOL_INTERNAL_H

#include "daemon/work/attempt.h"

enum { POOL_DISPATCHER, POOL_FOLLOWER, POOL_THREADS };

/* What the pool knows of a full disk. */
struct room {
    int64_t needed_bytes; /* by what waits for them; 0: nothing waits */
    double look_at_s;     /* then: the next look for it */
    int64_t found_bytes;  /* the last time that it was there; 0: never */
    double found_at_s;
};

struct pool {
    struct pool_options options;
    const char *names[EXECUTOR_MOST]; /* of the executors */
    pthread_mutex_t moves;
    pthread_mutex_t growing; /* the settings that are stored */
    pthread_cond_t ended;    /* an attempt has; with moves */
    struct attempt_table attempts;
    double not_before_s[EXECUTOR_MOST]; /* guarded by moves: no start of that executor earlier */
    double claim_at_s;                  /* guarded by moves: the next claim may be tried */
    double look_at_s;                   /* guarded by moves; infinite: nothing is missing */
    struct room room;                   /* guarded by moves */
    int64_t start_at_ms;                /* guarded by moves: Unix time at which a run may start that
                                           may not yet; 0: none */
    pthread_mutex_t telling;            /* a leaf: guards the next three */
    char waits_for[RUN_REASON_SIZE];    /* as in struct pool_status */
    struct quiet_hours quiet;
    int64_t quiet_until_ms; /* as in struct pool_status, by the follower's last look */
    size_t n_open;          /* executors that were opened */
    atomic_int n_workers;
    atomic_bool draining;
    atomic_int max_running;
    atomic_llong max_disk;
    atomic_bool stop;
    int wake_fd;                            /* wakes the follower */
    atomic_ullong rounds[POOL_THREADS];     /* of the dispatcher and the follower */
    unsigned long long heard[POOL_THREADS]; /* of them, by pool_scheduler_stalled_s, as the next */
    double heard_at_s[POOL_THREADS];
    pthread_t dispatcher;
    pthread_t follower;
    bool dispatching; /* the thread exists; as the next of the thread that begins and stops */
    bool following;
};

/* Of the two threads; user: the pool. */
void *pool_dispatch(void *user);
void *pool_follow(void *user);

/* Has the follower look again at what is due. */
void pool_wake_follower(const struct pool *pool);

/* Of the table of attempts: one has ended. From any thread of an executor. */
void pool_on_outcome(void *user, struct attempt *attempt);

/* With moves held: tells the executor what is asked of its run. */
void pool_pass_on_request(const struct attempt *attempt);

/* With moves held: moves the run of an attempt that has ended, by what is asked of it at this
 * moment. Returns whether the attempt has left the table: also after a refusal, because then the
 * row is not ours. Otherwise it is tried again later, or, when the daemon stops first, by the next
 * start. */
bool pool_leave(struct pool *pool, struct attempt *attempt);

/* Without locks, of an attempt that has left: frees it, and tells who must know. */
void pool_forget(struct pool *pool, struct attempt *attempt);

/* With moves held: nothing starts for a while, and pool_get_status says why. With STATUS_NO_SPACE
 * that ends as soon as there is room for so many bytes and a little more. */
void pool_wait_for(struct pool *pool, enum status status, int64_t needed_bytes,
                   const char *message);

/* The reason is history. */
void pool_wait_is_over(struct pool *pool);

/* Whether quiet hours hold at this moment; *ret_change_ms: until when that stays so, 0: for ever.
 */
bool pool_is_quiet(struct pool *pool, int64_t *ret_change_ms);

/* The follower, with moves held: at the beginning of quiet hours stops what executors train that
 * heed them, at their end has runs claimed again. Returns in how many seconds it must look again;
 * infinite: there are no quiet hours. */
double pool_follow_quiet(struct pool *pool);

/* The dispatcher, without locks, when it has found nothing to start: notes when the next run may
 * start that waits for its time. */
void pool_note_next_start(struct pool *pool);

/* The follower, with moves held: has runs claimed when that time has come. Returns in how many
 * seconds it must look again; infinite: nothing waits. */
double pool_wait_for_start(struct pool *pool);

/* The follower, without locks: looks for room on a disk that was full, when it is time for that;
 * once there is some, all that waits is due. */
void pool_look_for_room(struct pool *pool, double now_s);

#endif
