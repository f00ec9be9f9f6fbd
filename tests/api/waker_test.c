/* The waker: tells at once what comes after a silence, and together what comes while many follow.
 */
#include "tests/api/feed_fixture.h"

#include <pthread.h>
#include <time.h>

#include "api/stream/waker.h"

enum { MOST_CALLS = 64, PATIENCE_S = 60 };

/* What the streams were told. */
struct told {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int n_streams; /* that each call wakes; constant while the waker runs */
    int n_calls;   /* guarded by mutex, as is what follows */
    int n_runs;    /* in all calls */
    double at_s[MOST_CALLS];
};

static double now_s(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int on_news(void *user, const struct stream_news *news) {
    struct told *told = user;
    (void)pthread_mutex_lock(&told->mutex);
    if (told->n_calls < MOST_CALLS) {
        told->at_s[told->n_calls] = now_s();
    }
    told->n_calls++;
    told->n_runs += news->touched.n;
    (void)pthread_cond_signal(&told->changed);
    (void)pthread_mutex_unlock(&told->mutex);
    return told->n_streams;
}

static struct waker *start(struct fixture *fixture, struct told *told, int n_streams) {
    struct waker *waker = NULL;
    struct error error = {.message = ""};
    *told = (struct told){.n_streams = n_streams};
    (void)pthread_mutex_init(&told->mutex, NULL);
    (void)pthread_cond_init(&told->changed, NULL);
    assert_int_equal(waker_start(&fixture->context, on_news, told, &waker, &error), STATUS_OK);
    return waker;
}

static void stop(struct waker *waker, struct told *told) {
    waker_stop(waker);
    (void)pthread_cond_destroy(&told->changed);
    (void)pthread_mutex_destroy(&told->mutex);
}

static void wait_until_told(struct told *told, int n_runs) {
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    int code = 0;
    (void)pthread_mutex_lock(&told->mutex);
    while (told->n_runs < n_runs && code == 0) {
        code = pthread_cond_timedwait(&told->changed, &told->mutex, &until);
    }
    (void)pthread_mutex_unlock(&told->mutex);
    assert_int_equal(code, 0);
}

static void publish(struct fixture *fixture, int64_t first, int64_t last) {
    for (int64_t id = first; id <= last; id++) {
        notifier_publish(fixture->context.options.notifier, id);
    }
}

static void what_happens_while_a_thousand_follow_is_told_together(void **state) {
    enum { N_RUNS = 31 };
    struct fixture *fixture = *state;
    struct told told;
    struct waker *waker = start(fixture, &told, 1000);
    publish(fixture, 1, 1);
    wait_until_told(&told, 1);
    publish(fixture, 2, N_RUNS);
    wait_until_told(&told, N_RUNS);
    stop(waker, &told);
    /* 3 and more: this thread was kept from publishing for as long. */
    assert_in_range(told.n_calls, 2, 6);
    for (int i = 1; i < told.n_calls; i++) {
        assert_true(told.at_s[i] - told.at_s[i - 1] >= 0.9 * 1000 * WAKER_PAUSE_US * 1e-6);
    }
}

static void the_pause_is_bounded_however_many_follow(void **state) {
    struct fixture *fixture = *state;
    struct told told;
    struct waker *waker = start(fixture, &told, 1000 * 1000 * 1000);
    publish(fixture, 1, 1);
    wait_until_told(&told, 1);
    publish(fixture, 2, 2);
    wait_until_told(&told, 2);
    stop(waker, &told);
    assert_true(told.at_s[1] - told.at_s[0] < 10);
}

static void nobody_waits_for_the_pause_to_stop(void **state) {
    enum { ROUNDS = 40 }; /* of 2 s each, if they did */
    struct fixture *fixture = *state;
    double begun_s = now_s();
    for (int i = 0; i < ROUNDS; i++) {
        struct told told;
        struct waker *waker = start(fixture, &told, 3000);
        publish(fixture, 1, 1);
        wait_until_told(&told, 1);
        stop(waker, &told);
    }
    assert_true(now_s() - begun_s < ROUNDS * 0.2);
}

#define WITH_TAIL(name) cmocka_unit_test_setup_teardown(name, open_with_tail, close_with_tail)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_TAIL(what_happens_while_a_thousand_follow_is_told_together),
        WITH_TAIL(the_pause_is_bounded_however_many_follow),
        WITH_TAIL(nobody_waits_for_the_pause_to_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
