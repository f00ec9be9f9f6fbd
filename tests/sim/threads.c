/* What the linker puts in the place of pthread functions and clocks (-Wl,--wrap, CMakeLists.txt).
 *
 * The state of a mutex is kept in the first bytes of the pthread_mutex_t itself, so that those that
 * lie in structs of a process that was crashed are gone with it; a condition is its address.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "tests/sim/sched.h"
#include "tests/sim/wraps.h"

/* ---- threads ---- */

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*entry)(void *), void *user) {
    (void)attributes;
    *thread = (pthread_t)(uintptr_t)sched_spawn(entry, user);
    sched_point();
    return 0;
}

int __wrap_pthread_join(pthread_t thread, void **ret_result) {
    void *result =
        sched_join((struct task *)(uintptr_t)thread); /* NOLINT(performance-no-int-to-ptr) */
    if (ret_result) {
        *ret_result = result;
    }
    return 0;
}

/* ---- what a thread keeps for itself ---- */

void *__wrap_pthread_getspecific(pthread_key_t key) {
    (void)key;
    return (void *)*sched_own();
}

int __wrap_pthread_setspecific(pthread_key_t key, const void *value) {
    (void)key;
    *sched_own() = value;
    return 0;
}

/* ---- mutexes: 0 is free, as PTHREAD_MUTEX_INITIALIZER has it ---- */

static int *word_of(pthread_mutex_t *mutex) {
    return (int *)(void *)mutex;
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes) {
    (void)attributes;
    memset(mutex, 0, sizeof(*mutex));
    return 0;
}

int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex) {
    if (*word_of(mutex)) {
        (void)fprintf(stderr, "sim: a locked mutex is destroyed\n");
        abort();
    }
    return 0;
}

static void take(pthread_mutex_t *mutex) {
    while (*word_of(mutex)) {
        (void)sched_wait(mutex, (double)INFINITY);
    }
    *word_of(mutex) = 1;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex) {
    sched_point();
    take(mutex);
    return 0;
}

static void give_back(pthread_mutex_t *mutex) {
    if (!*word_of(mutex)) {
        (void)fprintf(stderr, "sim: a mutex that is not locked is unlocked\n");
        abort();
    }
    *word_of(mutex) = 0;
    sched_signal(mutex);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex) {
    give_back(mutex);
    return 0;
}

/* ---- conditions: a signal wakes all, which is allowed ---- */

int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex) {
    give_back(mutex);
    (void)sched_wait(condition, (double)INFINITY);
    take(mutex);
    return 0;
}

/* All conditions that are waited for with a time have CLOCK_MONOTONIC. */
int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                  const struct timespec *until) {
    give_back(mutex);
    bool in_time = sched_wait(condition, (double)until->tv_sec + 1e-9 * (double)until->tv_nsec);
    take(mutex);
    return in_time ? 0 : ETIMEDOUT;
}

int __wrap_pthread_cond_signal(pthread_cond_t *condition) {
    sched_signal(condition);
    return 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *condition) {
    sched_signal(condition);
    return 0;
}

/* ---- time, and what has no meaning here ---- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time) {
    double now_s = sched_now_s();
    int64_t now_ms = sched_unix_ms();
    if (clock == CLOCK_REALTIME) {
        *ret_time = (struct timespec){.tv_sec = now_ms / 1000, .tv_nsec = now_ms % 1000 * 1000000};
    } else {
        double whole = floor(now_s);
        *ret_time =
            (struct timespec){.tv_sec = (time_t)whole, .tv_nsec = (long)((now_s - whole) * 1e9)};
    }
    return 0;
}

int __wrap_setpriority(int which, id_t who, int priority) {
    (void)which;
    (void)who;
    (void)priority;
    return 0;
}
