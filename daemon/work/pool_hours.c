/* What starts by the clock on the wall: quiet hours, and runs that start no earlier than they
 * shall. Layer: daemon/work. Thread rule: at each function. */
#include <math.h>

#include "core/base/log.h"
#include "core/base/time_text.h"
#include "daemon/store/query/run_queue.h"
#include "daemon/work/pool_internal.h"

/* The clock on the wall may be set: it is looked at this often when something waits for it. */
static const double LOOK_AGAIN_S = 60.0;

/* ---- quiet hours ---- */

bool pool_is_quiet(struct pool *pool, int64_t *ret_change_ms) {
    int64_t now_ms = clock_unix_ms(pool->options.clock);
    (void)pthread_mutex_lock(&pool->telling);
    struct quiet_hours quiet = pool->quiet;
    (void)pthread_mutex_unlock(&pool->telling);
    bool holds = quiet_hours_hold(&quiet, now_ms);
    *ret_change_ms = holds ? quiet_hours_change(&quiet, now_ms) : 0;
    return holds;
}

void pool_set_quiet(struct pool *pool, const struct quiet_hours *quiet) {
    (void)pthread_mutex_lock(&pool->telling);
    pool->quiet = *quiet;
    (void)pthread_mutex_unlock(&pool->telling);
    pool_wake_follower(pool);
}

static void tell(int64_t until_ms) {
    char text[TIME_TEXT_SIZE];
    if (until_ms == 0) {
        log_info("quiet hours are over");
    } else if (until_ms < INT64_MAX) {
        log_info("quiet hours until %s: nothing trains", time_format(until_ms, text));
    } else {
        log_info("quiet hours: nothing trains");
    }
}

/* With moves held. */
static void stop_attempts(struct pool *pool, int64_t until_ms) {
    for (struct attempt *a = pool->attempts.first; a; a = a->next) {
        if (a->quiet_until_ms == 0 && !a->ended && a->executor->heeds_quiet) {
            a->quiet_until_ms = until_ms;
            pool_pass_on_request(a);
        }
    }
}

double pool_follow_quiet(struct pool *pool) {
    int64_t change_ms = 0;
    int64_t now_ms = clock_unix_ms(pool->options.clock);
    bool holds = pool_is_quiet(pool, &change_ms);
    int64_t until_ms = !holds ? 0 : change_ms > 0 ? change_ms : INT64_MAX;
    (void)pthread_mutex_lock(&pool->telling);
    struct quiet_hours quiet = pool->quiet;
    int64_t before_ms = pool->quiet_until_ms;
    pool->quiet_until_ms = until_ms;
    (void)pthread_mutex_unlock(&pool->telling);
    if (holds != (before_ms > 0)) {
        tell(until_ms);
    }
    if (holds) {
        stop_attempts(pool, until_ms);
    } else if (before_ms > 0) {
        queue_wake(pool->options.queue);
    }
    if (quiet.n == 0) {
        return (double)INFINITY;
    }
    int64_t next_ms = holds ? change_ms : quiet_hours_change(&quiet, now_ms);
    return next_ms > 0 ? fmin((double)(next_ms - now_ms) / 1000.0, LOOK_AGAIN_S) : LOOK_AGAIN_S;
}

/* ---- runs that start no earlier than they shall ---- */

double pool_wait_for_start(struct pool *pool) {
    int64_t now_ms = clock_unix_ms(pool->options.clock);
    int64_t due_ms = pool->start_at_ms;
    if (due_ms == 0) {
        return (double)INFINITY;
    }
    if (due_ms <= now_ms) {
        pool->start_at_ms = 0;
        queue_wake(pool->options.queue);
        return (double)INFINITY;
    }
    return fmin((double)(due_ms - now_ms) / 1000.0, LOOK_AGAIN_S);
}

void pool_note_next_start(struct pool *pool) {
    int64_t due_ms = 0;
    if (run_queue_next_start(pool->options.store, clock_unix_ms(pool->options.clock), &due_ms,
                             NULL) != STATUS_OK ||
        due_ms == 0) {
        return;
    }
    (void)pthread_mutex_lock(&pool->moves);
    bool changed = pool->start_at_ms != due_ms;
    pool->start_at_ms = due_ms;
    (void)pthread_mutex_unlock(&pool->moves);
    if (changed) {
        pool_wake_follower(pool);
    }
}
