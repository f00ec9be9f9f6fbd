/* Quiet hours begin and end by the clock on the wall, without anybody waking the pool. */
#include "tests/daemon/pool_fixture.h"

#include <sched.h>

#include "core/base/time_text.h"

/* A clock that stands at `stands_ms`, or, when that is 0, goes on from `begins_ms` with the real
 * one. */
static atomic_llong stands_ms;
static atomic_llong begins_ms;
static atomic_llong began_real_ms;

static int64_t unix_ms(void *user) {
    (void)user;
    int64_t stands = atomic_load(&stands_ms);
    return stands > 0 ? stands
                      : atomic_load(&begins_ms) + clock_unix_ms(&clock_system) -
                            atomic_load(&began_real_ms);
}

static double monotonic_s(void *user) {
    (void)user;
    return clock_monotonic_s(&clock_system);
}

static const struct clock wall_clock = {.unix_ms = unix_ms, .monotonic_s = monotonic_s};

static void stand_at(const char *text) {
    int64_t at_ms = 0;
    assert_true(time_parse(text, &at_ms));
    atomic_store(&stands_ms, at_ms);
}

static void go_on(void) {
    atomic_store(&begins_ms, atomic_load(&stands_ms));
    atomic_store(&began_real_ms, clock_unix_ms(&clock_system));
    atomic_store(&stands_ms, 0);
}

static enum status train_until_stopped_by_clock(const struct trainer_options *options,
                                                const struct trainer_callbacks *c,
                                                struct trainer_result *ret_result,
                                                struct error *error) {
    memset(ret_result, 0, sizeof(*ret_result));
    if (options->resume_path) {
        return report_epoch(options, c, 2, error);
    }
    TRY(report_epoch(options, c, 1, error));
    while (!c->should_stop(c->user)) {
        sched_yield();
    }
    return error_set(error, STATUS_STOPPED, "stopped");
}

static int set_up(void **state) {
    (void)setenv("TZ", "UTC", 1);
    tzset();
    stand_at("2026-11-26T07:59:59.700Z");
    (void)pool_set_up(state);
    struct pool_fixture *p = *state;
    p->w.local.train = train_until_stopped_by_clock;
    p->w.options.clock = &wall_clock;
    ASSERT_OK(quiet_hours_parse("08:00-08:01", &p->w.options.quiet, &fixture_error));
    return 0;
}

static bool is_queued(const struct run_row *row) {
    return row->state == RUN_QUEUED;
}

static void what_runs_stops_when_they_begin_and_goes_on_when_they_end(void **state) {
    struct pool_fixture *p = *state;
    struct pool_status status;
    work_start(&p->w);
    int64_t id = submit(p, "shapes");
    work_wait_until(&p->w, id, work_has_trained, "training");
    go_on();
    work_wait_until(&p->w, id, is_queued, "queued");
    assert_run(p, id, RUN_QUEUED, 2, "goes on after 2026-11-26T08:01:00.000Z");
    pool_get_status(p->w.pool, &status);
    assert_true(status.quiet_until_ms > 0);
    /* Shortly before their end; the pool would look at the clock again after a minute. */
    stand_at("2026-11-26T08:00:59.700Z");
    pool_set_quiet(p->w.pool, &p->w.options.quiet);
    assert_run(p, id, RUN_QUEUED, 2, "stopped for quiet hours");
    go_on();
    work_wait_until(&p->w, id, work_is_final, "final");
    assert_run(p, id, RUN_SUCCEEDED, 2, "");
    pool_get_status(p->w.pool, &status);
    assert_int_equal(status.quiet_until_ms, 0);
}

static void a_run_that_comes_in_them_waits_for_their_end(void **state) {
    struct pool_fixture *p = *state;
    stand_at("2026-11-26T08:00:59.700Z");
    work_start(&p->w);
    int64_t id = submit(p, "shapes");
    while (pool_scheduler_stalled_s(p->w.pool) > 0.0) {
        sched_yield(); /* the scheduler has looked at the queue */
    }
    assert_run(p, id, RUN_QUEUED, 1, "");
    go_on();
    work_wait_until(&p->w, id, work_has_trained, "training");
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, pool_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_runs_stops_when_they_begin_and_goes_on_when_they_end),
        TEST(a_run_that_comes_in_them_waits_for_their_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
