/* The team: every piece runs once, calls are ordered, threads may be few or many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/team/team.h"

enum { MAX_PIECES = 1000 };

static struct team *make_team(int n_threads, bool pin_threads) {
    const struct team_options options = {.n_threads = n_threads, .pin_threads = pin_threads};
    struct team *team = NULL;
    assert_int_equal(team_create(&options, &team, NULL), STATUS_OK);
    return team;
}

struct counting {
    int plain[MAX_PIECES]; /* written by whichever member runs the piece */
    atomic_int wrong_members;
    int n_threads;
};

static void count_piece(void *user, int piece, int member) {
    struct counting *c = user;
    c->plain[piece]++;
    if (member < 0 || member >= c->n_threads) {
        atomic_fetch_add(&c->wrong_members, 1);
    }
}

/* Thousands of short calls, whose results the next call and the owner read without locks. */
static void every_piece_runs_once_a_call(void **state) {
    (void)state;
    static const int pieces[] = {0, 1, 2, 3, 7, 64, MAX_PIECES};
    for (int threads = 1; threads <= 8; threads++) {
        struct team *team = make_team(threads, false);
        assert_int_equal(team_size(team), threads);
        struct counting *c = calloc(1, sizeof(*c));
        assert_non_null(c);
        c->n_threads = threads;
        int expected[MAX_PIECES] = {0};
        for (int call = 0; call < 700; call++) {
            int n = pieces[call % 7];
            team_run(team, count_piece, c, n);
            for (int i = 0; i < n; i++) {
                expected[i]++;
            }
        }
        assert_memory_equal(c->plain, expected, sizeof(expected));
        assert_int_equal(atomic_load(&c->wrong_members), 0);
        free(c);
        team_free(team);
    }
}

/* Every piece waits for all others, so each member holds one: its own. */
struct meeting {
    int n;
    atomic_int arrived;
    int member_of[TEAM_MAX_THREADS];
};

static void meet_piece(void *user, int piece, int member) {
    struct meeting *m = user;
    m->member_of[piece] = member;
    atomic_fetch_add(&m->arrived, 1);
    while (atomic_load(&m->arrived) < m->n) {
        (void)sched_yield();
    }
}

static void members_run_at_the_same_time_and_take_their_own_share_first(void **state) {
    (void)state;
    for (int threads = 2; threads <= 5; threads++) {
        struct team *team = make_team(threads, false);
        for (int call = 0; call < 50; call++) {
            struct meeting m = {.n = threads};
            team_run(team, meet_piece, &m, threads);
            for (int i = 0; i < threads; i++) {
                assert_int_equal(m.member_of[i], i);
            }
        }
        team_free(team);
    }
}

/* The first piece of member 0 lasts until all others are done; these wait until it has begun. */
struct lateness {
    int n;
    atomic_bool begun;
    atomic_int n_done;
    int n_of_member_0;
};

static void late_piece(void *user, int piece, int member) {
    struct lateness *l = user;
    (void)piece;
    if (member == 0) {
        l->n_of_member_0++;
        atomic_store(&l->begun, true);
        while (atomic_load(&l->n_done) < l->n - 1) {
            (void)sched_yield();
        }
    }
    while (!atomic_load(&l->begun)) {
        (void)sched_yield();
    }
    atomic_fetch_add(&l->n_done, 1);
}

static void the_share_of_a_late_member_is_taken_by_others(void **state) {
    (void)state;
    struct team *team = make_team(3, false);
    struct team_counts before;
    struct team_counts after;
    for (int call = 0; call < 2; call++) { /* from the front and from the back */
        struct lateness l = {.n = 12};
        team_count(team, &before);
        team_run(team, late_piece, &l, l.n);
        team_count(team, &after);
        assert_int_equal(l.n_of_member_0, 1);
        assert_int_equal(after.calls - before.calls, 1);
        assert_int_equal(after.pieces - before.pieces, 12);
        assert_true(after.stolen - before.stolen >= 3);
    }
    team_free(team);
}

struct order {
    struct team *team;
    int n;
    int pieces[8];
    int next[8];
};

static void note_piece(void *user, int piece, int member) {
    struct order *o = user;
    o->pieces[o->n] = piece;
    o->next[o->n++] = team_next_piece(o->team, member);
}

static void calls_go_through_a_share_in_turns_forwards_and_backwards(void **state) {
    (void)state;
    struct team *team = make_team(1, false);
    struct order a = {.team = team};
    struct order b = {.team = team};
    team_run(team, note_piece, &a, 8);
    team_run(team, note_piece, &b, 8);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(a.pieces[i], b.pieces[7 - i]);
        assert_int_equal(a.next[i], i < 7 ? a.pieces[i + 1] : -1);
        assert_int_equal(b.next[i], i < 7 ? b.pieces[i + 1] : -1);
    }
    team_free(team);
}

struct cpus {
    struct meeting meeting;
    cpu_set_t of[3];
};

static void note_cpus(void *user, int piece, int member) {
    struct cpus *c = user;
    (void)sched_getaffinity(0, sizeof(c->of[member]), &c->of[member]);
    meet_piece(&c->meeting, piece, member);
}

static void pinned_members_have_a_processor_each(void **state) {
    (void)state;
    cpu_set_t before;
    cpu_set_t after;
    struct cpus cpus = {0};
    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    int n = CPU_COUNT(&before) < 3 ? CPU_COUNT(&before) : 3;
    struct team *team = make_team(n, true);
    cpus.meeting.n = n;
    team_run(team, note_cpus, &cpus, n);
    for (int i = 0; i < n; i++) {
        cpu_set_t both;
        assert_int_equal(CPU_COUNT(&cpus.of[i]), 1);
        CPU_AND(&both, &cpus.of[i], &cpus.of[(i + 1) % n]);
        assert_int_equal(CPU_COUNT(&both), n == 1 ? 1 : 0);
    }
    team_free(team);
    assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
    assert_true(CPU_EQUAL(&before, &after));
}

static void sizes_out_of_range_are_refused(void **state) {
    (void)state;
    struct team *team = NULL;
    struct error error;
    struct team_options options = {.n_threads = 0};
    assert_int_equal(team_create(&options, &team, &error), STATUS_INVALID);
    options.n_threads = TEAM_MAX_THREADS + 1;
    assert_int_equal(team_create(&options, &team, &error), STATUS_INVALID);
    assert_null(team);
    team_free(NULL);
}

struct counted {
    atomic_int n_asked;
    atomic_int n_run;
    int stop_after; /* questions */
};

static bool stops_after(void *user) {
    struct counted *c = user;
    return atomic_fetch_add(&c->n_asked, 1) >= c->stop_after;
}

static void count_run(void *user, int piece, int member) {
    struct counted *c = user;
    (void)piece;
    (void)member;
    atomic_fetch_add(&c->n_run, 1);
}

static void a_call_that_is_broken_off_returns_and_later_ones_do_nothing(void **state) {
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        struct counted c = {.stop_after = 5};
        struct team *team = NULL;
        assert_int_equal(team_create(&(struct team_options){.n_threads = threads}, &team, NULL),
                         STATUS_OK);
        team_run(team, count_run, &c, 100);
        assert_int_equal(atomic_load(&c.n_run), 100); /* no question: all */
        team_ask(team, stops_after, &c);
        for (int call = 0; call < 100 && !team_has_stopped(team); call++) {
            team_run(team, count_run, &c, 100);
        }
        assert_true(team_has_stopped(team));
        assert_int_equal(atomic_load(&c.n_asked), 6);
        int n_run = atomic_load(&c.n_run);
        team_ask(team, NULL, NULL);
        team_run(team, count_run, &c, 100);
        assert_int_equal(atomic_load(&c.n_run), n_run);
        team_free(team);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_piece_runs_once_a_call),
        cmocka_unit_test(members_run_at_the_same_time_and_take_their_own_share_first),
        cmocka_unit_test(the_share_of_a_late_member_is_taken_by_others),
        cmocka_unit_test(calls_go_through_a_share_in_turns_forwards_and_backwards),
        cmocka_unit_test(pinned_members_have_a_processor_each),
        cmocka_unit_test(sizes_out_of_range_are_refused),
        cmocka_unit_test(a_call_that_is_broken_off_returns_and_later_ones_do_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
