/* A full disk: training waits, says why, and goes on as soon as there is room. */
#include "tests/daemon/pool_fixture.h"

#include <sys/stat.h>

#include "daemon/config/state_dir.h"

/* Without looking for room it would take so long. */
static const double FOR_EVER_S = 1000.0;

static void a_run_without_room_for_its_checkpoint_goes_on_once_there_is(void **state) {
    struct pool_fixture *p = *state;
    p->script = DISK_FULL_ONCE;
    p->w.options.retry_delay_s = FOR_EVER_S;
    work_start(&p->w);
    int64_t id = submit(p, "shapes");
    work_wait_until(&p->w, id, work_is_final, "final");
    assert_run(p, id, RUN_SUCCEEDED, 2, "");
}

static bool has_waited(const struct run_row *row) {
    return row->state == RUN_QUEUED && row->attempt == 2;
}

static void it_says_what_it_waits_for_until_it_goes_on(void **state) {
    struct pool_fixture *p = *state;
    struct pool_status status;
    p->script = DISK_FULL_ONCE;
    p->w.options.retry_delay_s = FOR_EVER_S;
    work_start(&p->w);
    pool_get_status(p->w.pool, &status);
    assert_string_equal(status.waits_for, "");
    int64_t id = submit(p, "shapes");
    work_wait_until(&p->w, id, has_waited, "queued again");
    (void)alarm(60); /* the row is stored first */
    for (status.waits_for[0] = '\0'; !status.waits_for[0]; sched_yield()) {
        pool_get_status(p->w.pool, &status);
    }
    (void)alarm(0);
    assert_string_equal(status.waits_for, "no room for a checkpoint");
    work_wait_until(&p->w, id, work_is_final, "final");
    pool_get_status(p->w.pool, &status);
    assert_string_equal(status.waits_for, "");
}

/* The board's words for the run, once there are any. */
static void wait_for_words(struct pool_fixture *p, int64_t id, struct progress *ret_progress) {
    bool told = false;
    bool in_time = true;
    notifier_set(p->w.notifier, work_note_change, &p->w);
    while (!told && in_time) {
        int seen = work_changes(&p->w);
        told = progress_board_find(p->w.progress, id, ret_progress) && ret_progress->waits[0];
        in_time = told || work_wait_for_change(&p->w, seen);
    }
    notifier_set(p->w.notifier, NULL, NULL);
    assert_true(told);
}

static void an_end_that_cannot_be_stored_is_told_and_stored_once_there_is_room(void **state) {
    struct pool_fixture *p = *state;
    char ballast[128];
    struct progress progress;
    (void)snprintf(ballast, sizeof(ballast), "%s/ballast", p->w.f.dir);
    assert_int_equal(mkdir(ballast, 0700), 0); /* cannot be dropped */
    p->w.options.n_workers = 1;
    p->w.options.retry_delay_s = FOR_EVER_S;
    work_start(&p->w);
    /* submitted, claimed, origin, begun, two times two, final */
    store_inject_failure(p->w.f.store, 9);
    int64_t id = submit(p, "shapes");
    wait_for_words(p, id, &progress);
    assert_non_null(strstr(progress.waits, "cannot be stored"));
    assert_non_null(strstr(progress.waits, "the disk is full"));
    work_wait_until(&p->w, id, work_is_final, "final");
    assert_run(p, id, RUN_SUCCEEDED, 1, "");
}

static void a_claim_that_cannot_be_stored_is_tried_once_there_is_room(void **state) {
    struct pool_fixture *p = *state;
    p->w.options.retry_delay_s = FOR_EVER_S;
    work_start(&p->w);
    store_inject_failure(p->w.f.store, 2);
    int64_t id = submit(p, "shapes");
    work_wait_until(&p->w, id, work_is_final, "final");
    assert_run(p, id, RUN_SUCCEEDED, 1, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, pool_set_up, pool_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_run_without_room_for_its_checkpoint_goes_on_once_there_is),
        TEST(it_says_what_it_waits_for_until_it_goes_on),
        TEST(an_end_that_cannot_be_stored_is_told_and_stored_once_there_is_room),
        TEST(a_claim_that_cannot_be_stored_is_tried_once_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
