/* Threads for what takes long: order, bounds, and an end that leaves nothing undone. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/http/background.h"

enum { N_JOBS = 20 };

static struct test {
    int n_accepted;
    int n_run;
    int order[N_JOBS];
} test;

static struct numbered {
    struct background_job job;
    int number;
} jobs[N_JOBS];

static void accept(void *user) {
    (void)user;
    test.n_accepted++;
}

static void run(void *user) {
    const struct numbered *numbered = user;
    test.order[test.n_run++] = numbered->number;
}

static void jobs_run_in_their_order_and_before_the_stop_returns(void **state) {
    (void)state;
    struct background *background = NULL;
    struct error error;
    assert_int_equal(background_start(1, N_JOBS, &background, &error), STATUS_OK);
    for (int i = 0; i < N_JOBS; i++) {
        jobs[i] =
            (struct numbered){.job = {.accept = accept, .run = run, .user = &jobs[i]}, .number = i};
        assert_int_equal(background_do(background, &jobs[i].job), BACKGROUND_TAKEN);
    }
    background_stop(background);
    assert_int_equal(test.n_accepted, N_JOBS);
    assert_int_equal(test.n_run, N_JOBS);
    for (int i = 0; i < N_JOBS; i++) {
        assert_int_equal(test.order[i], i);
    }
    assert_int_equal(background_do(background, &jobs[0].job), BACKGROUND_STOPPING);
    assert_int_equal(test.n_accepted, N_JOBS);
    background_stop(background);
    background_free(background);
    background_stop(NULL);
    background_free(NULL);
}

static struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int n_inside;
    bool open;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false};

/* Stays inside until the gate is opened. */
static void run_in_gate(void *user) {
    (void)user;
    (void)pthread_mutex_lock(&gate.mutex);
    gate.n_inside++;
    (void)pthread_cond_broadcast(&gate.changed);
    while (!gate.open) {
        (void)pthread_cond_wait(&gate.changed, &gate.mutex);
    }
    (void)pthread_mutex_unlock(&gate.mutex);
}

static void threads_work_side_by_side_and_what_is_too_much_is_refused(void **state) {
    (void)state;
    enum { THREADS = 3, WAITING = 2 };
    struct background *background = NULL;
    struct background_job gated[THREADS + WAITING + 1];
    struct error error;
    assert_int_equal(background_start(THREADS, WAITING, &background, &error), STATUS_OK);
    for (int i = 0; i < THREADS + WAITING + 1; i++) {
        gated[i] = (struct background_job){.accept = accept, .run = run_in_gate};
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(background_do(background, &gated[i]), BACKGROUND_TAKEN);
        (void)pthread_mutex_lock(&gate.mutex);
        while (gate.n_inside <= i) {
            (void)pthread_cond_wait(&gate.changed, &gate.mutex);
        }
        (void)pthread_mutex_unlock(&gate.mutex);
    }
    for (int i = THREADS; i < THREADS + WAITING; i++) {
        assert_int_equal(background_do(background, &gated[i]), BACKGROUND_TAKEN);
    }
    assert_int_equal(background_do(background, &gated[THREADS + WAITING]), BACKGROUND_FULL);
    (void)pthread_mutex_lock(&gate.mutex);
    gate.open = true;
    (void)pthread_cond_broadcast(&gate.changed);
    (void)pthread_mutex_unlock(&gate.mutex);
    background_stop(background);
    assert_int_equal(gate.n_inside, THREADS + WAITING);
    background_free(background);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_run_in_their_order_and_before_the_stop_returns),
        cmocka_unit_test(threads_work_side_by_side_and_what_is_too_much_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
