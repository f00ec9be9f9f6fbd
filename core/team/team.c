/* Layer: core/team.
 *
 * One 64-bit word, the ticket, holds the whole state of a call: its generation, its number of
 * pieces and the next piece to claim. A claim is one compare-and-swap on it, so a member that comes
 * late from the call before can never claim a piece of a call it did not see published: task and
 * user are read only after a successful claim, and they are written only when no piece is open.
 *
 * Members spin for some microseconds between calls (a training step has about a hundred of them)
 * and then sleep on a condition variable. Both sleeps follow the same pattern: the sleeper
 * announces itself with a sequentially consistent store before it looks at the condition a last
 * time, the waker changes the condition before it looks for sleepers.
 */
#include "core/team/team.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { SPINS = 4000 };

#define PIECE_BITS 20U
#define PIECE_MASK ((UINT64_C(1) << PIECE_BITS) - 1)

struct member {
    struct team *team;
    pthread_t thread;
    int number;
};

struct team {
    int n_threads;
    int n_started;
    pthread_t owner;
    bool running; /* a call of team_run is under way; the owner's */

    /* generation << 40 | n_pieces << 20 | next piece */
    _Alignas(64) atomic_uint_fast64_t ticket;
    /* Published by the ticket. */
    team_task *task;
    void *user;

    _Alignas(64) atomic_int n_done; /* pieces of the current call that are finished */

    _Alignas(64) atomic_int n_sleeping; /* members in wait_for_work's slow path */
    atomic_bool owner_sleeping;         /* the owner in wait_for_pieces' slow path */
    atomic_bool ending;
    pthread_mutex_t mutex; /* guards nothing but the two sleeps */
    pthread_cond_t work_published;
    pthread_cond_t pieces_done;

    struct member members[TEAM_MAX_THREADS];
};

static inline void spin_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Claims and runs pieces until none is left. */
static void run_pieces(struct team *team, int number) {
    uint64_t ticket = atomic_load_explicit(&team->ticket, memory_order_acquire);
    for (;;) {
        int next = (int)(ticket & PIECE_MASK);
        int n_pieces = (int)((ticket >> PIECE_BITS) & PIECE_MASK);
        if (next >= n_pieces) {
            return;
        }
        if (!atomic_compare_exchange_weak_explicit(&team->ticket, &ticket, ticket + 1,
                                                   memory_order_acq_rel, memory_order_acquire)) {
            continue;
        }
        team->task(team->user, next, number);
        int done = atomic_fetch_add(&team->n_done, 1) + 1;
        if (done == n_pieces && number != 0 && atomic_load(&team->owner_sleeping)) {
            pthread_mutex_lock(&team->mutex);
            pthread_cond_signal(&team->pieces_done);
            pthread_mutex_unlock(&team->mutex);
        }
        ticket = atomic_load_explicit(&team->ticket, memory_order_acquire);
    }
}

static bool has_work(struct team *team) {
    uint64_t ticket = atomic_load(&team->ticket);
    return (ticket & PIECE_MASK) < ((ticket >> PIECE_BITS) & PIECE_MASK);
}

/* Returns false when the team is ending. */
static bool wait_for_work(struct team *team) {
    for (int i = 0; i < SPINS; i++) {
        if (has_work(team)) {
            return true;
        }
        spin_pause();
    }
    pthread_mutex_lock(&team->mutex);
    atomic_fetch_add(&team->n_sleeping, 1);
    while (!has_work(team) && !atomic_load(&team->ending)) {
        pthread_cond_wait(&team->work_published, &team->mutex);
    }
    atomic_fetch_sub(&team->n_sleeping, 1);
    pthread_mutex_unlock(&team->mutex);
    return !atomic_load(&team->ending);
}

static void wait_for_pieces(struct team *team, int n_pieces) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&team->n_done, memory_order_acquire) == n_pieces) {
            return;
        }
        spin_pause();
    }
    pthread_mutex_lock(&team->mutex);
    atomic_store(&team->owner_sleeping, true);
    while (atomic_load(&team->n_done) != n_pieces) {
        pthread_cond_wait(&team->pieces_done, &team->mutex);
    }
    atomic_store(&team->owner_sleeping, false);
    pthread_mutex_unlock(&team->mutex);
}

static void *member_main(void *argument) {
    struct member *member = argument;
    while (wait_for_work(member->team)) {
        run_pieces(member->team, member->number);
    }
    return NULL;
}

void team_free(struct team *team) {
    if (!team) {
        return;
    }
    assert(!team->running && pthread_equal(team->owner, pthread_self()));
    pthread_mutex_lock(&team->mutex);
    atomic_store(&team->ending, true);
    pthread_cond_broadcast(&team->work_published);
    pthread_mutex_unlock(&team->mutex);
    for (int i = 1; i <= team->n_started; i++) {
        pthread_join(team->members[i].thread, NULL);
    }
    pthread_cond_destroy(&team->pieces_done);
    pthread_cond_destroy(&team->work_published);
    pthread_mutex_destroy(&team->mutex);
    free(team);
}

enum status team_create(int n_threads, struct team **ret_team, struct error *error) {
    if (n_threads < 1 || n_threads > TEAM_MAX_THREADS) {
        return error_set(error, STATUS_INVALID, "a team has 1 to %d threads, not %d",
                         TEAM_MAX_THREADS, n_threads);
    }
    size_t n_bytes = (sizeof(struct team) + 63) / 64 * 64;
    struct team *team = aligned_alloc(64, n_bytes);
    if (!team) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a team of threads");
    }
    *team = (struct team){.n_threads = n_threads, .owner = pthread_self()};
    pthread_mutex_init(&team->mutex, NULL);
    pthread_cond_init(&team->work_published, NULL);
    pthread_cond_init(&team->pieces_done, NULL);
    for (int i = 1; i < n_threads; i++) {
        team->members[i] = (struct member){.team = team, .number = i};
        int failed = pthread_create(&team->members[i].thread, NULL, member_main, &team->members[i]);
        if (failed) {
            team_free(team);
            return error_set_errno(error, failed, "cannot start thread %d of %d", i + 1, n_threads);
        }
        team->n_started = i;
    }
    *ret_team = team;
    return STATUS_OK;
}

int team_size(const struct team *team) {
    return team->n_threads;
}

static void publish(struct team *team, team_task *task, void *user, int n_pieces) {
    team->task = task;
    team->user = user;
    atomic_store(&team->n_done, 0);
    uint64_t generation = (atomic_load(&team->ticket) >> (2 * PIECE_BITS)) + 1;
    atomic_store(&team->ticket, generation << (2 * PIECE_BITS) | (uint64_t)n_pieces << PIECE_BITS);
    if (atomic_load(&team->n_sleeping) > 0) {
        pthread_mutex_lock(&team->mutex);
        pthread_cond_broadcast(&team->work_published);
        pthread_mutex_unlock(&team->mutex);
    }
}

void team_run(struct team *team, team_task *task, void *user, int n_pieces) {
    assert(task && n_pieces >= 0 && (uint64_t)n_pieces <= PIECE_MASK);
    assert(pthread_equal(team->owner, pthread_self()));
    assert(!team->running); /* no call inside a piece */
    team->running = true;
    if (team->n_threads == 1 || n_pieces == 1) {
        for (int i = 0; i < n_pieces; i++) {
            task(user, i, 0);
        }
    } else if (n_pieces > 0) {
        publish(team, task, user, n_pieces);
        run_pieces(team, 0);
        wait_for_pieces(team, n_pieces);
    }
    team->running = false;
}
