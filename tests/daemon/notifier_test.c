/* The follower of runs, and the progress it reads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#include "daemon/work/notifier.h"
#include "daemon/work/progress.h"

static void count(void *user, int64_t run_id) {
    atomic_int *calls = user;
    atomic_fetch_add(calls, (int)run_id);
}

static void the_follower_hears_of_every_run_until_another_follows(void **state) {
    (void)state;
    struct notifier *notifier = NULL;
    atomic_int first = 0;
    atomic_int second = 0;
    assert_int_equal(notifier_create(&notifier, NULL), STATUS_OK);
    notifier_publish(notifier, 3); /* nobody follows */
    notifier_set(notifier, count, &first);
    notifier_publish(notifier, 3);
    notifier_publish(notifier, 10);
    assert_int_equal(first, 13);
    notifier_set(notifier, count, &second);
    notifier_publish(notifier, 5);
    notifier_set(notifier, NULL, NULL);
    notifier_publish(notifier, 7);
    assert_int_equal(first, 13);
    assert_int_equal(second, 5);
    notifier_free(notifier);
    notifier_free(NULL);
}

struct publisher {
    struct notifier *notifier;
    atomic_bool stop;
};

static void *publish_until_stopped(void *user) {
    struct publisher *p = user;
    while (!atomic_load(&p->stop)) {
        notifier_publish(p->notifier, 1);
    }
    return NULL;
}

/* What a follower's callback uses may go as soon as notifier_set returned. */
static void no_callback_comes_after_following_ends(void **state) {
    (void)state;
    struct publisher p = {0};
    pthread_t thread;
    assert_int_equal(notifier_create(&p.notifier, NULL), STATUS_OK);
    assert_int_equal(pthread_create(&thread, NULL, publish_until_stopped, &p), 0);
    for (int round = 0; round < 200; round++) {
        atomic_int calls = 0;
        notifier_set(p.notifier, count, &calls);
        notifier_set(p.notifier, NULL, NULL);
        int at_end = atomic_load(&calls);
        notifier_publish(p.notifier, 1);
        assert_int_equal(atomic_load(&calls), at_end);
    }
    atomic_store(&p.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    notifier_free(p.notifier);
}

static void the_board_shows_what_runs(void **state) {
    (void)state;
    struct progress_board *board = NULL;
    struct progress all[4];
    struct progress found = {.step = -1};
    assert_int_equal(progress_board_create(3, &board, NULL), STATUS_OK);
    assert_int_equal(progress_board_all(board, all, 4), 0);
    const struct progress second = {.run_id = 8, .epoch = 2, .step = 5};
    const struct progress first = {.run_id = 6, .epoch = 1, .step = 1};
    progress_board_set(board, 2, &second);
    progress_board_set(board, 0, &first);
    assert_int_equal(progress_board_all(board, all, 4), 2);
    assert_int_equal(progress_board_all(board, all, 1), 1);
    assert_true(progress_board_find(board, 8, &found));
    assert_int_equal(found.step, 5);
    progress_board_clear(board, 2);
    found.step = -1;
    assert_false(progress_board_find(board, 8, &found));
    assert_int_equal(found.step, -1);
    progress_board_free(board);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_follower_hears_of_every_run_until_another_follows),
        cmocka_unit_test(no_callback_comes_after_following_ends),
        cmocka_unit_test(the_board_shows_what_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
