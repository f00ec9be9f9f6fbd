/* Waiting for what the pool cannot change: why no run is started, and looking for room on a full
 * disk. Layer: daemon/work. Thread rule: at each function. */
#include <math.h>
#include <stdio.h>

#include "core/base/log.h"
#include "daemon/config/state_dir.h"
#include "daemon/work/pool_internal.h"

/* How often a full disk is looked at. */
static const double ROOM_INTERVAL_S = 1.0;

/* For the database, beside a checkpoint. */
enum { SPARE_BYTES = 1 << 20 };

static void tell(struct pool *pool, const char *message) {
    (void)pthread_mutex_lock(&pool->telling);
    (void)snprintf(pool->waits_for, sizeof(pool->waits_for), "%s", message);
    (void)pthread_mutex_unlock(&pool->telling);
}

/* Room that was found and did not do was too little. */
static void need(struct room *room, int64_t n_bytes, double now_s, double retry_delay_s) {
    if (room->found_bytes > 0 && now_s < room->found_at_s + retry_delay_s &&
        n_bytes < 2 * room->found_bytes) {
        n_bytes = 2 * room->found_bytes;
    }
    if (room->needed_bytes == 0) {
        room->look_at_s = now_s + ROOM_INTERVAL_S;
    }
    if (n_bytes > room->needed_bytes) {
        room->needed_bytes = n_bytes;
    }
}

void pool_wait_for(struct pool *pool, enum status status, int64_t needed_bytes,
                   const char *message) {
    tell(pool, message);
    if (status == STATUS_NO_SPACE) {
        need(&pool->room, needed_bytes + SPARE_BYTES, clock_monotonic_s(&clock_system),
             pool->options.retry_delay_s);
    }
    pool_wake_follower(pool);
}

void pool_wait_is_over(struct pool *pool) {
    tell(pool, "");
}

/* With moves held. What was put off for another reason is tried a little earlier, which does no
 * harm. */
static void use_room(struct pool *pool, int64_t n_bytes, double now_s) {
    log_info("there is room on the disk again");
    pool->room = (struct room){.found_bytes = n_bytes, .found_at_s = now_s};
    for (size_t i = 0; i < pool->options.n_executors; i++) {
        pool->not_before_s[i] = 0;
    }
    pool->claim_at_s = 0;
    for (struct attempt *a = pool->attempts.first; a; a = a->next) {
        a->retry_at_s = 0;
    }
    pool_wait_is_over(pool);
    queue_wake(pool->options.queue);
}

/* The disk is asked without the lock. */
void pool_look_for_room(struct pool *pool, double now_s) {
    (void)pthread_mutex_lock(&pool->moves);
    int64_t needed = now_s >= pool->room.look_at_s ? pool->room.needed_bytes : 0;
    if (needed > 0) {
        pool->room.look_at_s = now_s + ROOM_INTERVAL_S;
    }
    (void)pthread_mutex_unlock(&pool->moves);
    if (needed > 0 && state_dir_has_room(pool->options.state_dir, needed)) {
        (void)pthread_mutex_lock(&pool->moves);
        use_room(pool, needed, now_s);
        (void)pthread_mutex_unlock(&pool->moves);
    }
}
