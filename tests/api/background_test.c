/* The thread for what takes long: order, and an end that leaves nothing undone. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
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
    assert_int_equal(background_start(&background, &error), STATUS_OK);
    for (int i = 0; i < N_JOBS; i++) {
        jobs[i] =
            (struct numbered){.job = {.accept = accept, .run = run, .user = &jobs[i]}, .number = i};
        assert_true(background_do(background, &jobs[i].job));
    }
    background_stop(background);
    assert_int_equal(test.n_accepted, N_JOBS);
    assert_int_equal(test.n_run, N_JOBS);
    for (int i = 0; i < N_JOBS; i++) {
        assert_int_equal(test.order[i], i);
    }
    assert_false(background_do(background, &jobs[0].job));
    assert_int_equal(test.n_accepted, N_JOBS);
    background_stop(background);
    background_free(background);
    background_stop(NULL);
    background_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_run_in_their_order_and_before_the_stop_returns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
