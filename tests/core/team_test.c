/* The team: every piece runs once, calls are ordered, threads may be few or many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/team/team.h"

enum { MAX_PIECES = 1000 };

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
        struct team *team = NULL;
        assert_int_equal(team_create(threads, &team, NULL), STATUS_OK);
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

/* Piece 0 waits for piece 1: only true if two members really run at once. */
static void meet_piece(void *user, int piece, int member) {
    (void)member;
    atomic_int *arrived = user;
    (void)piece;
    atomic_fetch_add(arrived, 1);
    while (atomic_load(arrived) < 2) {
    }
}

static void members_run_at_the_same_time(void **state) {
    (void)state;
    struct team *team = NULL;
    atomic_int arrived = 0;
    assert_int_equal(team_create(2, &team, NULL), STATUS_OK);
    team_run(team, meet_piece, &arrived, 2);
    assert_int_equal(atomic_load(&arrived), 2);
    team_free(team);
}

static void sizes_out_of_range_are_refused(void **state) {
    (void)state;
    struct team *team = NULL;
    struct error error;
    assert_int_equal(team_create(0, &team, &error), STATUS_INVALID);
    assert_int_equal(team_create(TEAM_MAX_THREADS + 1, &team, &error), STATUS_INVALID);
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
        assert_int_equal(team_create(threads, &team, NULL), STATUS_OK);
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
        cmocka_unit_test(members_run_at_the_same_time),
        cmocka_unit_test(sizes_out_of_range_are_refused),
        cmocka_unit_test(a_call_that_is_broken_off_returns_and_later_ones_do_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
