/* Layer: core/team.
 *
 * Each member has a ticket, one 64-bit word on a cache line of its own: the generation of the call
 * and the rest of the member's share. A claim is one compare-and-swap on a ticket, the member's own
 * first, so members that have work of their own share no line. A claim fails when the generation is
 * another one: a member that comes late from the call before can never claim a piece of a call it
 * did not see published. Task and user are read only after a successful claim, and they are written
 * only when no piece is open.
 *
 * Members spin for some microseconds between calls (a training step has about ninety of them) and
 * then sleep on a condition variable. Both sleeps follow the same pattern: the sleeper announces
 * itself with a sequentially consistent store before it looks at the condition a last time, the
 * waker changes the condition before it looks for sleepers.
 */
#include "core/team/team.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER
#endif
#endif

/* Rounds of waiting before a member sleeps. Where there are fewer processors than members, or each
 * look is as slow as under ThreadSanitizer, waiting takes time from those who work. */
#ifdef THREAD_SANITIZER
enum { SPINS = 20, SPINS_CROWDED = 1 };
#else
enum { SPINS = 4000, SPINS_CROWDED = 20 };
#endif

#define PIECE_BITS 20U
#define PIECE_MASK ((UINT64_C(1) << PIECE_BITS) - 1)
#define GENERATION_MASK ((UINT64_C(1) << (64 - 2 * PIECE_BITS)) - 1)

struct member {
    /* generation << 40 | end << 20 | next: pieces next .. end-1 of the share are open. Written by
     * the owner between calls, changed by whoever claims. */
    _Alignas(64) atomic_uint_fast64_t ticket;

    /* Written by the member alone, read by the owner. */
    _Alignas(64) atomic_uint_fast64_t n_done; /* pieces, in all calls */
    atomic_uint_fast64_t n_stolen;

    struct team *team;
    pthread_t thread;
    int number;
};

struct team {
    int n_threads;
    int n_started;
    int spins;
    pthread_t owner;
    bool pinned;
    cpu_set_t owner_cpus; /* before it was pinned */

    /* Written by the owner between calls; published by the tickets. */
    bool running; /* the owner's alone */
    uint64_t generation;
    uint64_t n_pieces; /* of all calls so far, the current one included */
    int64_t n_calls;
    team_task *task;
    void *user;

    _Alignas(64) atomic_int n_sleeping; /* members in wait_for_work's slow path */
    atomic_bool owner_sleeping;         /* the owner in wait_for_pieces' slow path */
    atomic_bool ending;
    atomic_bool stopped;     /* pieces are left out; set by the owner */
    team_question *question; /* the owner's alone, as the next */
    void *question_user;
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

bool team_goes_on(struct team *team, int member) {
    if (member == 0 && team->question && !team_has_stopped(team) &&
        team->question(team->question_user)) {
        atomic_store_explicit(&team->stopped, true, memory_order_relaxed);
    }
    return !team_has_stopped(team);
}

static uint64_t ticket_of(uint64_t generation, int next, int end) {
    return generation << (2 * PIECE_BITS) | (uint64_t)end << PIECE_BITS | (uint64_t)next;
}

static uint64_t generation_of(uint64_t ticket) {
    return ticket >> (2 * PIECE_BITS);
}

static int next_of(uint64_t ticket) {
    return (int)(ticket & PIECE_MASK);
}

static int end_of(uint64_t ticket) {
    return (int)(ticket >> PIECE_BITS & PIECE_MASK);
}

/* Whether members take their own pieces from the front in this call. */
static bool goes_forward(uint64_t generation) {
    return generation % 2 == 1;
}

/* Takes a piece of a member's share; -1: none is open. */
static int claim(struct member *member, uint64_t generation, bool front) {
    uint64_t ticket = atomic_load_explicit(&member->ticket, memory_order_acquire);
    for (;;) {
        int next = next_of(ticket);
        int end = end_of(ticket);
        if (generation_of(ticket) != generation || next >= end) {
            return -1;
        }
        uint64_t rest = ticket_of(generation, next + front, end - !front);
        if (atomic_compare_exchange_weak_explicit(&member->ticket, &ticket, rest,
                                                  memory_order_acq_rel, memory_order_acquire)) {
            return front ? next : end - 1;
        }
    }
}

/* Runs the member's share, then what is left of others', from the other end. */
static void run_pieces(struct member *member, uint64_t generation) {
    struct team *team = member->team;
    bool front = goes_forward(generation);
    for (int i = 0; i < team->n_threads; i++) {
        bool own = i == 0;
        struct member *from = &team->members[(member->number + i) % team->n_threads];
        for (int piece; (piece = claim(from, generation, own == front)) >= 0;) {
            if (!own) {
                atomic_fetch_add_explicit(&member->n_stolen, 1, memory_order_relaxed);
            }
            if (team_goes_on(team, member->number)) {
                team->task(team->user, piece, member->number);
            }
            atomic_fetch_add(&member->n_done, 1);
        }
    }
    if (member->number != 0 && atomic_load(&team->owner_sleeping)) {
        pthread_mutex_lock(&team->mutex);
        pthread_cond_signal(&team->pieces_done);
        pthread_mutex_unlock(&team->mutex);
    }
}

/* Returns the generation of the next call, or 0 when the team is ending. */
static uint64_t wait_for_work(struct member *member, uint64_t done) {
    struct team *team = member->team;
    for (int i = 0; i < team->spins; i++) {
        uint64_t generation =
            generation_of(atomic_load_explicit(&member->ticket, memory_order_acquire));
        if (generation != done) {
            return generation;
        }
        spin_pause();
    }
    pthread_mutex_lock(&team->mutex);
    atomic_fetch_add(&team->n_sleeping, 1);
    while (generation_of(atomic_load(&member->ticket)) == done && !atomic_load(&team->ending)) {
        pthread_cond_wait(&team->work_published, &team->mutex);
    }
    atomic_fetch_sub(&team->n_sleeping, 1);
    pthread_mutex_unlock(&team->mutex);
    return atomic_load(&team->ending) ? 0 : generation_of(atomic_load(&member->ticket));
}

static bool all_done(struct team *team) {
    uint64_t n = 0;
    for (int i = 0; i < team->n_threads; i++) {
        n += atomic_load(&team->members[i].n_done);
    }
    return n == team->n_pieces;
}

static void wait_for_pieces(struct team *team) {
    for (int i = 0; i < team->spins; i++) {
        if (all_done(team)) {
            return;
        }
        spin_pause();
    }
    pthread_mutex_lock(&team->mutex);
    atomic_store(&team->owner_sleeping, true);
    while (!all_done(team)) {
        pthread_cond_wait(&team->pieces_done, &team->mutex);
    }
    atomic_store(&team->owner_sleeping, false);
    pthread_mutex_unlock(&team->mutex);
}

static void *member_main(void *argument) {
    struct member *member = argument;
    uint64_t generation = 0;
    while ((generation = wait_for_work(member, generation)) != 0) {
        run_pieces(member, generation);
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
    if (team->pinned) {
        (void)pthread_setaffinity_np(team->owner, sizeof(team->owner_cpus), &team->owner_cpus);
    }
    pthread_cond_destroy(&team->pieces_done);
    pthread_cond_destroy(&team->work_published);
    pthread_mutex_destroy(&team->mutex);
    free(team);
}

/* The processor of a member: one each while there are enough. */
static cpu_set_t one_cpu(const cpu_set_t *allowed, int member) {
    int skip = member % CPU_COUNT(allowed);
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, allowed) || skip-- > 0) {
        cpu++;
    }
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return one;
}

static enum status pin_threads(struct team *team, struct error *error) {
    for (int i = 0; i < team->n_threads; i++) {
        cpu_set_t one = one_cpu(&team->owner_cpus, i);
        int failed = pthread_setaffinity_np(i == 0 ? team->owner : team->members[i].thread,
                                            sizeof(one), &one);
        if (failed) {
            return error_set_errno(error, failed, "cannot pin thread %d of %d to a processor",
                                   i + 1, team->n_threads);
        }
        team->pinned = true;
    }
    return STATUS_OK;
}

static enum status start_threads(struct team *team, struct error *error) {
    for (int i = 0; i < team->n_threads; i++) {
        team->members[i].team = team;
        team->members[i].number = i;
    }
    for (int i = 1; i < team->n_threads; i++) {
        struct member *member = &team->members[i];
        int failed = pthread_create(&member->thread, NULL, member_main, member);
        if (failed) {
            return error_set_errno(error, failed, "cannot start thread %d of %d", i + 1,
                                   team->n_threads);
        }
        team->n_started = i;
    }
    return STATUS_OK;
}

enum status team_create(const struct team_options *options, struct team **ret_team,
                        struct error *error) {
    if (options->n_threads < 1 || options->n_threads > TEAM_MAX_THREADS) {
        return error_set(error, STATUS_INVALID, "a team has 1 to %d threads, not %d",
                         TEAM_MAX_THREADS, options->n_threads);
    }
    struct team *team = aligned_alloc(64, sizeof(*team));
    if (!team) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a team of threads");
    }
    *team = (struct team){.n_threads = options->n_threads, .owner = pthread_self()};
    bool known = sched_getaffinity(0, sizeof(team->owner_cpus), &team->owner_cpus) == 0;
    team->spins = known && CPU_COUNT(&team->owner_cpus) < team->n_threads ? SPINS_CROWDED : SPINS;
    pthread_mutex_init(&team->mutex, NULL);
    pthread_cond_init(&team->work_published, NULL);
    pthread_cond_init(&team->pieces_done, NULL);
    enum status status = start_threads(team, error);
    if (status == STATUS_OK && options->pin_threads) {
        status = known ? pin_threads(team, error)
                       : error_set(error, STATUS_IO,
                                   "the system does not say which processors "
                                   "threads may be pinned to");
    }
    if (status != STATUS_OK) {
        team_free(team);
        return status;
    }
    *ret_team = team;
    return STATUS_OK;
}

int team_size(const struct team *team) {
    return team->n_threads;
}

void team_ask(struct team *team, team_question *should_stop, void *user) {
    team->question = should_stop;
    team->question_user = user;
}

bool team_has_stopped(const struct team *team) {
    return atomic_load_explicit(&team->stopped, memory_order_relaxed);
}

/* The share of member i of n is i * n_pieces / n up to that of member i + 1. */
static void publish(struct team *team, team_task *task, void *user, int n_pieces, int n_members) {
    team->task = task;
    team->user = user;
    team->n_pieces += (uint64_t)n_pieces;
    for (int i = n_members - 1; i >= 0; i--) {
        int64_t first = (int64_t)n_pieces * i / n_members;
        int64_t end = (int64_t)n_pieces * (i + 1) / n_members;
        atomic_store(&team->members[i].ticket, ticket_of(team->generation, (int)first, (int)end));
    }
    if (atomic_load(&team->n_sleeping) > 0) {
        pthread_mutex_lock(&team->mutex);
        pthread_cond_broadcast(&team->work_published);
        pthread_mutex_unlock(&team->mutex);
    }
}

void team_run(struct team *team, team_task *task, void *user, int n_pieces) {
    assert(task && n_pieces >= 0 && n_pieces <= TEAM_MAX_PIECES);
    assert(pthread_equal(team->owner, pthread_self()));
    assert(!team->running); /* no call inside a piece */
    team->running = true;
    team->n_calls++;
    team->generation = team->generation % GENERATION_MASK + 1; /* never 0 */
    publish(team, task, user, n_pieces, n_pieces > 1 ? team->n_threads : 1);
    run_pieces(&team->members[0], team->generation);
    wait_for_pieces(team);
    team->running = false;
}

int team_next_piece(const struct team *team, int member) {
    uint64_t ticket = atomic_load_explicit(&team->members[member].ticket, memory_order_relaxed);
    if (next_of(ticket) >= end_of(ticket)) {
        return -1;
    }
    return goes_forward(generation_of(ticket)) ? next_of(ticket) : end_of(ticket) - 1;
}

void team_count(const struct team *team, struct team_counts *ret_counts) {
    *ret_counts = (struct team_counts){.calls = team->n_calls, .pieces = (int64_t)team->n_pieces};
    for (int i = 0; i < team->n_threads; i++) {
        ret_counts->stolen += (int64_t)atomic_load(&team->members[i].n_stolen);
    }
}
