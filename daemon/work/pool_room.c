/* Waiting for what the pool cannot change: why no run is started, and looking for room on a full
 * disk. Layer: daemon/work. Thread rule: at each function. */
#include <math.h>
#include <stdio.h>

#include "core/base/log.h"
#include "daemon/config/state_dir.h"
#include "daemon/work/pool_internal.h"

/* How often a full disk is looked at. */
static const double ROOM_INTERVAL_S = 2.0;

/* For the database, beside a checkpoint. */
enum { SPARE_BYTES = 1 << 20 };

static void tell(struct pool *pool, const char *message) {
    (void)pthread_mutex_lock(&pool->telling);
    (void)snprintf(pool->waits_for, sizeof(pool->waits_for), "%s", message);
    (void)pthread_mutex_unlock(&pool->telling);
}

void pool_wait_for(struct pool *pool, enum status status, int64_t needed_bytes,
                   const char *message) {
    tell(pool, message);
    if (status == STATUS_NO_SPACE) {
        int64_t needed = needed_bytes + SPARE_BYTES;
        if (needed > atomic_load(&pool->needed_bytes)) {
            atomic_store(&pool->needed_bytes, needed);
        }
    }
    pool_wake_follower(pool);
}

void pool_wait_is_over(struct pool *pool) {
    tell(pool, "");
}

bool pool_room_is_back(struct pool *pool, double now_s) {
    int64_t needed = atomic_load(&pool->needed_bytes);
    if (needed == 0 || now_s < pool->room_at_s) {
        return false;
    }
    pool->room_at_s = now_s + ROOM_INTERVAL_S;
    return state_dir_has_room(pool->options.state_dir, needed);
}

double pool_room_at_s(const struct pool *pool) {
    return atomic_load(&pool->needed_bytes) > 0 ? pool->room_at_s : (double)INFINITY;
}

/* What was put off for another reason is tried a little earlier, which does no harm. */
void pool_use_room(struct pool *pool) {
    log_info("there is room on the disk again");
    atomic_store(&pool->needed_bytes, 0);
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
