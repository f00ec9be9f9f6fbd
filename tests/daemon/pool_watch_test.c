/* What those who watch a pool see of it: whether it moves, and whether checkpoints are being
 * written. */
#include "tests/daemon/pool_fixture.h"

#include <sched.h>

#include "daemon/main/watchdog.h"

/* ---- the scheduler ---- */

static atomic_bool start_is_held;
static atomic_bool start_was_reached;
static struct executor held;

static enum status start_when_allowed(void *user, const struct run_row *run, struct error *error) {
    atomic_store(&start_was_reached, true);
    while (atomic_load(&start_is_held)) {
        sched_yield();
    }
    return fixture.w.executor.start(user, run, error);
}

static void a_scheduler_that_hangs_is_told_from_one_that_has_nothing_to_do(void **state) {
    struct pool_fixture *p = *state;
    held = p->w.executor;
    held.start = start_when_allowed;
    p->w.options.executors = &held;
    atomic_store(&start_is_held, true);
    atomic_store(&start_was_reached, false);
    work_start(&p->w);
    /* Also before it has made a round: not since the machine started. */
    assert_true(pool_scheduler_stalled_s(p->w.pool) < 30.0);
    while (pool_scheduler_stalled_s(p->w.pool) > 0.0) {
        sched_yield(); /* a round was asked for, and takes a moment */
    }
    int64_t id = submit(p, "shapes");
    while (!atomic_load(&start_was_reached)) {
        sched_yield();
    }
    (void)pool_scheduler_stalled_s(p->w.pool); /* takes note of the last round */
    double first = pool_scheduler_stalled_s(p->w.pool);
    assert_true(first > 0.0);
    assert_true(pool_scheduler_stalled_s(p->w.pool) > first);
    atomic_store(&start_is_held, false);
    work_wait_until(&p->w, id, work_is_final, "final");
    while (pool_scheduler_stalled_s(p->w.pool) > 0.0) {
        sched_yield();
    }
}

/* ---- the end ---- */

static atomic_bool may_end;

static enum status save_for_long(const struct trainer_options *options,
                                 const struct trainer_callbacks *c,
                                 struct trainer_result *ret_result, struct error *error) {
    memset(ret_result, 0, sizeof(*ret_result));
    TRY(report_epoch(options, c, 1, error));
    while (!c->should_stop(c->user)) {
        sched_yield();
    }
    while (!atomic_load(&may_end)) {
        sched_yield();
    }
    return error_set(error, STATUS_STOPPED, "stopped");
}

static void a_checkpoint_that_is_being_written_can_be_waited_for(void **state) {
    struct pool_fixture *p = *state;
    p->w.local.train = save_for_long;
    atomic_store(&may_end, false);
    work_start(&p->w);
    int64_t id = submit(p, "shapes");
    work_wait_until(&p->w, id, work_has_trained, "running");
    assert_false(pool_is_saving(p->w.pool));
    assert_int_equal(pool_wait_idle(p->w.pool, 0.0), 1);
    pool_ask_stop(p->w.pool);
    while (!pool_is_saving(p->w.pool)) {
        sched_yield();
    }
    assert_int_equal(pool_wait_idle(p->w.pool, 0.01), 1);
    assert_true(pool_is_saving(p->w.pool));
    atomic_store(&may_end, true);
    assert_int_equal(pool_wait_idle(p->w.pool, WORK_DEADLINE_S), 0);
    work_stop(&p->w);
    assert_run(p, id, RUN_QUEUED, 2, "daemon stopped");
}

/* ---- the watchdog ---- */

static void the_watchdog_starves_as_soon_as_one_part_stands_still(void **state) {
    (void)state;
    struct watchdog watchdog;
    watchdog_init(&watchdog, 120.0);
    const double moving[WATCHED_COUNT] = {0.0};
    assert_true(watchdog_look(&watchdog, moving));
    static const double patience_s[WATCHED_COUNT] = {600.0, 60.0, 60.0, 60.0};
    for (int i = 0; i < WATCHED_COUNT; i++) {
        double stalled_s[WATCHED_COUNT] = {0.0};
        stalled_s[i] = patience_s[i];
        assert_true(watchdog_look(&watchdog, stalled_s));
        stalled_s[i] = patience_s[i] + 1.0;
        assert_false(watchdog_look(&watchdog, stalled_s));
        assert_false(watchdog_look(&watchdog, stalled_s));
        assert_true(watchdog_look(&watchdog, moving));
    }
}

static void a_short_limit_of_the_unit_shortens_the_patience(void **state) {
    (void)state;
    struct watchdog watchdog;
    watchdog_init(&watchdog, 4.0);
    const double slow_step[WATCHED_COUNT] = {[WATCHED_RUNS] = 300.0};
    const double slow_http[WATCHED_COUNT] = {[WATCHED_HTTP] = 3.0};
    assert_true(watchdog_look(&watchdog, slow_step));
    assert_false(watchdog_look(&watchdog, slow_http));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, pool_set_up, pool_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_scheduler_that_hangs_is_told_from_one_that_has_nothing_to_do),
        TEST(a_checkpoint_that_is_being_written_can_be_waited_for),
        cmocka_unit_test(the_watchdog_starves_as_soon_as_one_part_stands_still),
        cmocka_unit_test(a_short_limit_of_the_unit_shortens_the_patience),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
