/* Followers of runs, and the progress they read. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#include "daemon/work/hub.h"
#include "daemon/work/progress.h"

static void count(void *user, int64_t run_id) {
    atomic_int *calls = user;
    atomic_fetch_add(calls, (int)run_id);
}

static void followers_hear_of_their_run_or_of_all(void **state) {
    (void)state;
    struct hub *hub = NULL;
    struct hub_subscription *one = NULL;
    struct hub_subscription *all = NULL;
    atomic_int heard_one = 0;
    atomic_int heard_all = 0;
    assert_int_equal(hub_create(&hub, NULL), STATUS_OK);
    assert_int_equal(hub_subscribe(hub, 3, count, &heard_one, &one, NULL), STATUS_OK);
    assert_int_equal(hub_subscribe(hub, 0, count, &heard_all, &all, NULL), STATUS_OK);
    hub_publish(hub, 3);
    hub_publish(hub, 10);
    assert_int_equal(heard_one, 3);
    assert_int_equal(heard_all, 13);
    hub_unsubscribe(hub, one);
    hub_publish(hub, 3);
    assert_int_equal(heard_one, 3);
    assert_int_equal(heard_all, 16);
    hub_unsubscribe(hub, all);
    hub_unsubscribe(hub, NULL);
    hub_free(hub);
}

struct publisher {
    struct hub *hub;
    atomic_bool stop;
};

static void *publish_until_stopped(void *user) {
    struct publisher *p = user;
    while (!atomic_load(&p->stop)) {
        hub_publish(p->hub, 1);
    }
    return NULL;
}

/* What a follower's callback uses may go as soon as hub_unsubscribe returned. */
static void no_callback_comes_after_unsubscribing(void **state) {
    (void)state;
    struct publisher p = {0};
    pthread_t thread;
    assert_int_equal(hub_create(&p.hub, NULL), STATUS_OK);
    assert_int_equal(pthread_create(&thread, NULL, publish_until_stopped, &p), 0);
    for (int round = 0; round < 200; round++) {
        struct hub_subscription *subscription = NULL;
        atomic_int calls = 0;
        assert_int_equal(hub_subscribe(p.hub, 1, count, &calls, &subscription, NULL), STATUS_OK);
        hub_unsubscribe(p.hub, subscription);
        int at_end = atomic_load(&calls);
        hub_publish(p.hub, 1);
        assert_int_equal(atomic_load(&calls), at_end);
    }
    atomic_store(&p.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    hub_free(p.hub);
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
        cmocka_unit_test(followers_hear_of_their_run_or_of_all),
        cmocka_unit_test(no_callback_comes_after_unsubscribing),
        cmocka_unit_test(the_board_shows_what_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
