/* A pool whose local executor trains by a script: where a run goes after each kind of end. */
#include "tests/daemon/pool_fixture.h"

#include <sched.h>

#include "core/base/log.h"

#include "daemon/config/state_dir.h"
#include "daemon/store/query/event_list.h"
#include "daemon/store/table/checkpoint_table.h"
#include "daemon/store/table/epoch_table.h"
#include "tests/core/slow.h"

static struct work_fixture *told_by_log;

static int tear_down(void **state) {
    told_by_log = NULL;
    return pool_tear_down(state);
}

static void runs_are_trained_to_their_end(void **state) {
    struct pool_fixture *p = *state;
    work_start(&p->w);
    for (int i = 0; i < 5; i++) {
        (void)submit(p, "shapes");
    }
    for (int64_t id = 1; id <= 5; id++) {
        work_wait_until(&p->w, id, work_is_final, "final");
        assert_run(p, id, RUN_SUCCEEDED, 1, "");
        struct run_row row = fixture_get_run(p->w.f.store, id);
        assert_int_equal(row.epochs_done, 2);
        assert_int_equal(row.best_epoch, 2);
        assert_string_equal(row.variant, "ref-fake");
        assert_string_equal(row.arithmetic, "ref-1");
        assert_int_equal(strlen(row.dataset_sha256), 64);
        run_row_clear(&row);
    }
    struct checkpoint_list list = {0};
    ASSERT_OK(checkpoint_table_list(p->w.f.store, 3, &list, &fixture_error));
    assert_int_equal(list.n, 2);
    assert_string_equal(list.rows[0].path, "000002-000000.safetensors");
    checkpoint_list_clear(&list);
}

static void a_failing_run_says_why_and_the_next_one_goes_on(void **state) {
    struct pool_fixture *p = *state;
    p->script = FAIL;
    work_start(&p->w);
    int64_t id = submit(p, "shapes");
    work_wait_until(&p->w, id, work_is_final, "final");
    assert_run(p, id, RUN_FAILED, 1, "the moon is wrong");
    int64_t other = submit(p, "no-such-set");
    work_wait_until(&p->w, other, work_is_final, "final");
    assert_run(p, other, RUN_FAILED, 1, "there is no data set 'no-such-set'");
}

static void a_running_run_is_canceled(void **state) {
    struct pool_fixture *p = *state;
    p->script = WAIT_FOR_STOP;
    work_start(&p->w);
    int64_t id = submit(p, "shapes");
    work_wait_until(&p->w, id, work_has_trained, "running");
    struct progress progress;
    assert_true(progress_board_find(p->w.progress, id, &progress));
    assert_int_equal(progress.epoch, 1);
    assert_int_equal(act(p, RUN_ACTION_CANCEL, id), STATUS_OK);
    work_wait_until(&p->w, id, work_is_final, "final");
    assert_run(p, id, RUN_CANCELED, 1, "canceled by the user");
    assert_int_equal(act(p, RUN_ACTION_CANCEL, id), STATUS_CONFLICT);
    assert_int_equal(act(p, RUN_ACTION_CANCEL, 99), STATUS_NOT_FOUND);
    /* The slot is emptied right after the move was stored. */
    work_stop(&p->w);
    assert_false(progress_board_find(p->w.progress, id, &progress));
}

static void a_queued_run_is_canceled_at_once(void **state) {
    struct pool_fixture *p = *state;
    p->script = WAIT_FOR_STOP;
    work_start(&p->w);
    (void)submit(p, "shapes");
    (void)submit(p, "shapes");
    work_wait_until(&p->w, 1, work_has_trained, "running");
    work_wait_until(&p->w, 2, work_has_trained, "running");
    int64_t third = submit(p, "shapes");
    assert_int_equal(act(p, RUN_ACTION_CANCEL, third), STATUS_OK);
    assert_run(p, third, RUN_CANCELED, 1, "canceled by the user");
}

static bool is_paused(const struct run_row *row) {
    return row->state == RUN_PAUSED;
}

static void a_paused_run_goes_on_where_it_was(void **state) {
    struct pool_fixture *p = *state;
    p->script = WAIT_FOR_STOP;
    work_start(&p->w);
    int64_t id = submit(p, "shapes");
    work_wait_until(&p->w, id, work_has_trained, "running");
    assert_int_equal(act(p, RUN_ACTION_HOLD, id), STATUS_CONFLICT);
    assert_int_equal(act(p, RUN_ACTION_PAUSE, id), STATUS_OK);
    work_wait_until(&p->w, id, is_paused, "paused");
    assert_run(p, id, RUN_PAUSED, 1, "paused by the user");
    assert_int_equal(act(p, RUN_ACTION_PAUSE, id), STATUS_CONFLICT);
    p->script = TRAIN;
    assert_int_equal(act(p, RUN_ACTION_RESUME, id), STATUS_OK);
    work_wait_until(&p->w, id, work_is_final, "final");
    assert_run(p, id, RUN_SUCCEEDED, 2, "");
    assert_string_equal(p->resumed[1], "000001-000000.safetensors");
    assert_int_equal(act(p, RUN_ACTION_REQUEUE, id), STATUS_CONFLICT);
}

static void a_killed_run_is_told_to_drop_what_it_has(void **state) {
    struct pool_fixture *p = *state;
    p->script = WAIT_FOR_STOP;
    work_start(&p->w);
    int64_t id = submit(p, "shapes");
    work_wait_until(&p->w, id, work_has_trained, "running");
    assert_int_equal(act(p, RUN_ACTION_KILL, id), STATUS_OK);
    work_wait_until(&p->w, id, work_is_final, "final");
    assert_run(p, id, RUN_CANCELED, 1, "killed by the user");
    assert_int_equal(atomic_load(&p->n_dropped), 1);
    p->script = TRAIN;
    assert_int_equal(act(p, RUN_ACTION_REQUEUE, id), STATUS_OK);
    work_wait_until(&p->w, id, work_is_final, "final");
    assert_run(p, id, RUN_SUCCEEDED, 2, "");
    assert_string_equal(p->resumed[1], "000001-000000.safetensors");
}

static void workers_hear_what_a_whole_sweep_is_asked(void **state) {
    struct pool_fixture *p = *state;
    static const int64_t ids[] = {1, 2, 3};
    p->script = WAIT_FOR_STOP;
    work_start(&p->w);
    for (int i = 0; i < 3; i++) {
        (void)submit(p, "shapes");
    }
    work_wait_until(&p->w, 1, work_has_trained, "running");
    work_wait_until(&p->w, 2, work_has_trained, "running");
    const struct queue_action asked = {
        .action = RUN_ACTION_PAUSE, .within_sweep = true, .ids = ids, .n_ids = 3};
    struct run_outcomes outcomes;
    ASSERT_OK(pool_act(p->w.pool, &asked, &outcomes, &fixture_error));
    assert_int_equal(outcomes.items[0].action, BATCH_REQUEST);
    assert_int_equal(outcomes.items[1].row.request, RUN_REQUEST_PAUSE);
    assert_int_equal(outcomes.items[2].row.state, RUN_HELD);
    run_outcomes_clear(&outcomes);
    work_note_change(&p->w, 0);
    work_wait_until(&p->w, 1, is_paused, "paused");
    work_wait_until(&p->w, 2, is_paused, "paused");
    assert_run(p, 3, RUN_HELD, 1, "held by the user");
}

static void a_held_run_is_not_taken(void **state) {
    struct pool_fixture *p = *state;
    int64_t id = submit(p, "shapes");
    int64_t next = submit(p, "shapes");
    p->w.options.n_workers = 0;
    work_start(&p->w);
    assert_int_equal(act(p, RUN_ACTION_HOLD, id), STATUS_OK);
    ASSERT_OK(pool_set_workers(p->w.pool, 1, &fixture_error));
    work_wait_until(&p->w, next, work_is_final, "final");
    assert_run(p, id, RUN_HELD, 1, "held by the user");
    assert_int_equal(act(p, RUN_ACTION_RESUME, id), STATUS_CONFLICT);
    assert_int_equal(act(p, RUN_ACTION_RELEASE, id), STATUS_OK);
    work_wait_until(&p->w, id, work_is_final, "final");
    assert_run(p, id, RUN_SUCCEEDED, 1, "");
}

static void stopping_puts_runs_back_and_the_next_start_goes_on(void **state) {
    struct pool_fixture *p = *state;
    p->script = WAIT_FOR_STOP;
    work_start(&p->w);
    int64_t id = submit(p, "shapes");
    work_wait_until(&p->w, id, work_has_trained, "running");
    work_stop(&p->w);
    assert_run(p, id, RUN_QUEUED, 2, "daemon stopped");
    p->script = TRAIN;
    work_start(&p->w);
    work_wait_until(&p->w, id, work_is_final, "final");
    assert_run(p, id, RUN_SUCCEEDED, 2, "");
    assert_string_equal(p->resumed[0], "");
    assert_string_equal(p->resumed[1], "000001-000000.safetensors");
}

static void a_full_disk_puts_the_run_back_until_it_is_not(void **state) {
    struct pool_fixture *p = *state;
    p->script = DISK_FULL_ONCE;
    work_start(&p->w);
    int64_t id = submit(p, "shapes");
    work_wait_until(&p->w, id, work_is_final, "final");
    assert_run(p, id, RUN_SUCCEEDED, 2, "");
    struct event_list events = {0};
    ASSERT_OK(event_table_list(p->w.f.store, id, 0, 10, &events, &fixture_error));
    assert_int_equal(events.rows[2].state, RUN_QUEUED);
    assert_non_null(strstr(events.rows[2].reason, "no room for a checkpoint"));
    event_list_clear(&events);
}

/* After the run is stored: 1 claim, 2 origin, 3 begin, 4 epoch, 5 checkpoint, 6 and 7 the same of
 * the second epoch, 8 the last move. */
static void no_failing_write_loses_the_run(void **state) {
    static const enum status statuses[] = {STATUS_NO_SPACE, STATUS_IO, STATUS_CORRUPT,
                                           STATUS_NO_MEMORY};
    struct pool_fixture *p = *state;
    p->w.options.n_workers = 1;
    work_start(&p->w);
    for (int i = 0; i < 4 * 8; i++) {
        int nth = 1 + i % 8;
        store_inject_status(p->w.f.store, statuses[i / 8]);
        store_inject_failure(p->w.f.store, 1 + nth);
        int64_t id = submit(p, "shapes");
        work_wait_until(&p->w, id, work_is_final, "final");
        struct run_row row = fixture_get_run(p->w.f.store, id);
        assert_string_equal(run_state_name(row.state), "succeeded");
        assert_int_equal(row.epochs_done, 2);
        /* A claim or a last move that failed is repeated; anything else costs an attempt. */
        assert_int_equal(row.attempt, nth == 1 || nth == 8 ? 1 : 2);
        run_row_clear(&row);
        store_inject_failure(p->w.f.store, 0);
    }
}

static void on_a_full_disk_the_ballast_makes_room_for_the_last_move(void **state) {
    struct pool_fixture *p = *state;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/ballast", p->w.f.dir);
    p->w.options.n_workers = 1;
    p->w.options.retry_delay_s = 1000.0;
    work_start(&p->w);
    int64_t id = submit(p, "shapes");
    work_wait_until(&p->w, id, work_is_final, "final");
    assert_int_equal(access(path, F_OK), 0);
    /* submitted, claimed, origin, begun, two times two, final */
    store_inject_failure(p->w.f.store, 9);
    id = submit(p, "shapes");
    work_wait_until(&p->w, id, work_is_final, "final");
    struct run_row row = fixture_get_run(p->w.f.store, id);
    assert_string_equal(run_state_name(row.state), "succeeded");
    assert_int_equal(row.attempt, 1);
    run_row_clear(&row);
    assert_int_equal(access(path, F_OK), -1);
}

static void damaged_checkpoints_fall_back_to_the_one_before(void **state) {
    struct pool_fixture *p = *state;
    int64_t id = submit(p, "shapes");
    for (int epoch = 1; epoch <= 2; epoch++) {
        struct checkpoint_row row = {.kind = CHECKPOINT_LAST, .epochs_done = epoch};
        memset(row.sha256, 'b', sizeof(row.sha256) - 1);
        (void)snprintf(row.path, sizeof(row.path), "%06d-000000.safetensors", epoch);
        ASSERT_OK(checkpoint_table_put(p->w.f.store, id, &row, 1, &fixture_error));
    }
    (void)snprintf(p->damaged[0], sizeof(p->damaged[0]), "000002-000000");
    work_start(&p->w);
    work_wait_until(&p->w, id, work_is_final, "final");
    assert_int_equal(p->n_calls, 2);
    assert_string_equal(p->resumed[0], "000002-000000.safetensors");
    assert_string_equal(p->resumed[1], "000001-000000.safetensors");
    struct event_list events = {0};
    ASSERT_OK(event_table_list(p->w.f.store, id, 0, 20, &events, &fixture_error));
    bool told = false;
    for (size_t i = 0; i < events.n; i++) {
        told = told || strstr(events.rows[i].reason, "went on from epoch 1, step 0");
    }
    assert_true(told);
    event_list_clear(&events);
}

static void without_an_intact_checkpoint_it_starts_anew(void **state) {
    struct pool_fixture *p = *state;
    int64_t id = submit(p, "shapes");
    struct checkpoint_row row = {.kind = CHECKPOINT_LAST, .epochs_done = 2};
    memset(row.sha256, 'b', sizeof(row.sha256) - 1);
    (void)snprintf(row.path, sizeof(row.path), "000002-000000.safetensors");
    ASSERT_OK(checkpoint_table_put(p->w.f.store, id, &row, 1, &fixture_error));
    (void)snprintf(p->damaged[0], sizeof(p->damaged[0]), "000002-000000");
    work_start(&p->w);
    work_wait_until(&p->w, id, work_is_final, "final");
    assert_int_equal(p->n_calls, 2);
    assert_string_equal(p->resumed[1], "");
    assert_run(p, id, RUN_SUCCEEDED, 1, "");
}

static void changed_images_fail_the_run_instead_of_mixing(void **state) {
    struct pool_fixture *p = *state;
    int64_t id = submit(p, "shapes");
    ASSERT_OK(run_table_set_origin(p->w.f.store, id,
                                   &(struct run_origin){.variant = "ref-fake",
                                                        .arithmetic = "ref-1",
                                                        .dataset_sha256 = "0123456789abcdef"},
                                   1, &fixture_error));
    work_start(&p->w);
    work_wait_until(&p->w, id, work_is_final, "final");
    assert_run(p, id, RUN_FAILED, 1, "is not the one this run started with");
    assert_int_equal(p->n_calls, 0);
}

static void a_run_that_hangs_is_told_from_one_that_moves(void **state) {
    struct pool_fixture *p = *state;
    work_start(&p->w);
    assert_true(pool_runs_stalled_s(p->w.pool) == 0.0);
    p->script = WAIT_FOR_STOP;
    int64_t id = submit(p, "shapes");
    work_wait_until(&p->w, id, work_has_trained, "running");
    /* Each change is a step of this run, after which it waits. */
    while (atomic_load(&p->n_asked) == 0) {
        sched_yield();
    }
    (void)pool_runs_stalled_s(p->w.pool);
    assert_true(pool_runs_stalled_s(p->w.pool) > 0.0);
    int asked = atomic_load(&p->n_asked);
    work_note_change(&p->w, id);
    while (atomic_load(&p->n_asked) == asked) {
        sched_yield();
    }
    assert_true(pool_runs_stalled_s(p->w.pool) == 0.0);
}

static void training_comes_after_the_rest_of_the_process(void **state) {
    struct pool_fixture *p = *state;
    work_start(&p->w);
    int64_t id = submit(p, "shapes");
    work_wait_until(&p->w, id, work_is_final, "final");
    int mine = getpriority(PRIO_PROCESS, 0);
    assert_int_equal(atomic_load(&p->niceness), mine + 10 < 19 ? mine + 10 : 19);
}

/* Whatever else the daemon still waits for before it stops the pool. */
static void being_asked_to_stop_is_enough_for_training_to_end(void **state) {
    struct pool_fixture *p = *state;
    p->script = WAIT_FOR_STOP;
    work_start(&p->w);
    int64_t id = submit(p, "shapes");
    work_wait_until(&p->w, id, work_has_trained, "running");
    pool_ask_stop(p->w.pool);
    work_note_change(&p->w, id);
    work_wait_until(&p->w, id, work_has_left, "queued");
    assert_run(p, id, RUN_QUEUED, 2, "daemon stopped");
}

/* ---- what can come in between ---- */

static atomic_int n_not_stored;

static void count_not_stored(void *user, enum log_level level, const struct log_subject *subject,
                             const char *message) {
    (void)user;
    (void)level;
    (void)subject;
    if (told_by_log && strstr(message, "cannot store that it is")) {
        atomic_fetch_add(&n_not_stored, 1);
        work_note_change(told_by_log, 0);
    }
}

/* The move to `paused` cannot be stored at first; a cancel that is accepted meanwhile counts. */
static void a_cancel_while_a_pause_is_being_stored_is_not_lost(void **state) {
    struct pool_fixture *p = *state;
    p->script = WAIT_FOR_STOP;
    p->w.options.retry_delay_s = 0.2;
    work_start(&p->w);
    int64_t id = submit(p, "shapes");
    work_wait_until(&p->w, id, work_has_trained, "running");
    told_by_log = &p->w;
    atomic_store(&n_not_stored, 0);
    /* After the checkpoint: 1 the request, 2 the move. */
    while (atomic_load(&p->n_asked) == 0) {
        sched_yield();
    }
    (void)state_dir_drop_ballast(p->w.f.dir); /* its room would let the move be stored at once */
    store_inject_failure(p->w.f.store, 2);
    assert_int_equal(act(p, RUN_ACTION_PAUSE, id), STATUS_OK);
    int seen = work_changes(&p->w);
    while (atomic_load(&n_not_stored) == 0 && work_wait_for_change(&p->w, seen)) {
        seen = work_changes(&p->w);
    }
    assert_int_equal(atomic_load(&n_not_stored), 1);
    assert_int_equal(act(p, RUN_ACTION_CANCEL, id), STATUS_OK);
    work_wait_until(&p->w, id, work_has_left, "not running");
    assert_run(p, id, RUN_CANCELED, 1, "canceled by the user");
}

/* The linker puts this in front of the queue's function: the dispatcher is held here, after
 * whatever it looked at before, until a stop has come. */
uint64_t __real_queue_generation(struct queue *queue);
uint64_t __wrap_queue_generation(struct queue *queue);

static atomic_bool hold_at_generation;
static atomic_bool held_at_generation;

uint64_t __wrap_queue_generation(struct queue *queue) {
    if (atomic_exchange(&hold_at_generation, false)) {
        uint64_t before = __real_queue_generation(queue);
        atomic_store(&held_at_generation, true);
        while (__real_queue_generation(queue) == before) {
            sched_yield();
        }
    }
    return __real_queue_generation(queue);
}

static void a_stop_right_before_the_generation_is_read_is_not_slept_over(void **state) {
    struct pool_fixture *p = *state;
    (void)alarm(SLOW_BUILD ? 240 : 60);
    ASSERT_OK(pool_create(&p->w.options, &p->w.pool, &fixture_error));
    atomic_store(&held_at_generation, false);
    atomic_store(&hold_at_generation, true);
    ASSERT_OK(pool_begin(p->w.pool, &fixture_error));
    while (!atomic_load(&held_at_generation)) {
        sched_yield();
    }
    pool_stop(p->w.pool);
    p->w.pool = NULL;
    (void)alarm(0);
}

/* A stop between any two looks of a thread is seen. */
static void ten_thousand_starts_and_stops_end(void **state) {
    struct pool_fixture *p = *state;
    (void)alarm(SLOW_BUILD ? 240 : 60);
    for (int i = 0; i < 10000; i++) {
        work_start(&p->w);
        work_stop(&p->w);
    }
    (void)alarm(0);
}

static void an_error_that_passes_costs_an_attempt_and_one_that_stays_the_run(void **state) {
    struct pool_fixture *p = *state;
    p->script = IO_ERROR_ALWAYS;
    work_start(&p->w);
    int64_t id = submit(p, "shapes");
    work_wait_until(&p->w, id, work_is_final, "final");
    assert_run(p, id, RUN_FAILED, 6, "6 times in a row without progress: cannot write");
    assert_int_equal(p->n_calls, 6);
}

static void an_error_before_the_first_step_costs_an_attempt_as_well(void **state) {
    struct pool_fixture *p = *state;
    p->script = IO_ERROR_FIRST;
    work_start(&p->w);
    int64_t id = submit(p, "shapes");
    work_wait_until(&p->w, id, work_is_final, "final");
    assert_run(p, id, RUN_SUCCEEDED, 2, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, pool_set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(runs_are_trained_to_their_end),
        TEST(a_failing_run_says_why_and_the_next_one_goes_on),
        TEST(a_running_run_is_canceled),
        TEST(a_queued_run_is_canceled_at_once),
        TEST(a_paused_run_goes_on_where_it_was),
        TEST(a_killed_run_is_told_to_drop_what_it_has),
        TEST(workers_hear_what_a_whole_sweep_is_asked),
        TEST(a_held_run_is_not_taken),
        TEST(stopping_puts_runs_back_and_the_next_start_goes_on),
        TEST(a_full_disk_puts_the_run_back_until_it_is_not),
        TEST(no_failing_write_loses_the_run),
        TEST(on_a_full_disk_the_ballast_makes_room_for_the_last_move),
        TEST(damaged_checkpoints_fall_back_to_the_one_before),
        TEST(without_an_intact_checkpoint_it_starts_anew),
        TEST(changed_images_fail_the_run_instead_of_mixing),
        TEST(a_run_that_hangs_is_told_from_one_that_moves),
        TEST(training_comes_after_the_rest_of_the_process),
        TEST(being_asked_to_stop_is_enough_for_training_to_end),
        TEST(a_cancel_while_a_pause_is_being_stored_is_not_lost),
        TEST(a_stop_right_before_the_generation_is_read_is_not_slept_over),
        TEST(ten_thousand_starts_and_stops_end),
        TEST(an_error_that_passes_costs_an_attempt_and_one_that_stays_the_run),
        TEST(an_error_before_the_first_step_costs_an_attempt_as_well),
    };
    log_install(count_not_stored, NULL, LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
