/* The queue: who is next, that one run goes to one worker, and how waiting ends. */
#include "tests/daemon/store_fixture.h"

#include <pthread.h>

#include "daemon/queue/queue.h"

struct queue_fixture {
    struct store_fixture f;
    struct queue *queue;
};

static int set_up(void **state) {
    static struct queue_fixture q;
    fixture_begin(&q.f);
    ASSERT_OK(queue_create(q.f.store, &clock_system, &q.queue, &fixture_error));
    *state = &q;
    return 0;
}

static int tear_down(void **state) {
    struct queue_fixture *q = *state;
    queue_free(q->queue);
    fixture_end(&q->f);
    return 0;
}

static int64_t claim(struct queue *queue) {
    struct run_row row = {0};
    enum status status = queue_claim(queue, &(struct run_claim){0}, &row, &fixture_error);
    int64_t id = row.id;
    if (status == STATUS_OK) {
        assert_int_equal(row.state, RUN_RUNNING);
        assert_true(row.started_ms > 0);
        run_row_clear(&row);
        return id;
    }
    assert_int_equal(status, STATUS_NOT_FOUND);
    return 0;
}

static void higher_priority_goes_first_then_order_of_arrival(void **state) {
    struct queue_fixture *q = *state;
    static const int priorities[] = {0, 5, 0, 9, 5, -3};
    for (size_t i = 0; i < 6; i++) {
        (void)fixture_add_run(q->f.store, priorities[i]);
    }
    static const int64_t order[] = {4, 2, 5, 1, 3, 6, 0};
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(claim(q->queue), order[i]);
    }
}

static void a_requeued_run_keeps_its_place_and_counts_an_attempt(void **state) {
    struct queue_fixture *q = *state;
    int64_t first = fixture_add_run(q->f.store, 0);
    (void)fixture_add_run(q->f.store, 0);
    assert_int_equal(claim(q->queue), first);
    ASSERT_OK(queue_requeue(q->queue, first, "daemon stopped", false, &fixture_error));
    struct run_row row = fixture_get_run(q->f.store, first);
    assert_int_equal(row.state, RUN_QUEUED);
    assert_int_equal(row.attempt, 2);
    assert_string_equal(row.reason, "daemon stopped");
    assert_int_equal(row.finished_ms, 0);
    run_row_clear(&row);
    assert_int_equal(claim(q->queue), first);
}

static void finishing_notes_reason_and_time(void **state) {
    struct queue_fixture *q = *state;
    int64_t id = fixture_add_run(q->f.store, 0);
    assert_int_equal(queue_finish(q->queue, id, RUN_FAILED, "x", &fixture_error), STATUS_CONFLICT);
    assert_int_equal(claim(q->queue), id);
    ASSERT_OK(queue_finish(q->queue, id, RUN_FAILED, "no such data", &fixture_error));
    struct run_row row = fixture_get_run(q->f.store, id);
    assert_int_equal(row.state, RUN_FAILED);
    assert_string_equal(row.reason, "no such data");
    assert_true(row.finished_ms >= row.started_ms);
    run_row_clear(&row);
    assert_int_equal(queue_finish(q->queue, id, RUN_SUCCEEDED, "", &fixture_error),
                     STATUS_CONFLICT);
}

/* One run; what it answers to the action. */
static enum status act(struct queue_fixture *q, enum run_action action, int64_t id) {
    const struct queue_action asked = {.action = action, .ids = &id, .n_ids = 1};
    struct run_outcomes outcomes;
    ASSERT_OK(queue_act(q->queue, &asked, &outcomes, &fixture_error));
    enum status status = outcomes.items[0].error.code;
    run_outcomes_clear(&outcomes);
    return status;
}

static void only_runs_that_wait_are_canceled_at_once(void **state) {
    struct queue_fixture *q = *state;
    int64_t id = fixture_add_run(q->f.store, 0);
    int64_t running = fixture_add_run(q->f.store, 1);
    assert_int_equal(claim(q->queue), running);
    assert_int_equal(act(q, RUN_ACTION_CANCEL, id), STATUS_OK);
    assert_int_equal(fixture_state(q->f.store, id), RUN_CANCELED);
    assert_int_equal(act(q, RUN_ACTION_CANCEL, id), STATUS_CONFLICT);
    assert_int_equal(act(q, RUN_ACTION_CANCEL, running), STATUS_OK);
    struct run_row row = fixture_get_run(q->f.store, running);
    assert_int_equal(row.state, RUN_RUNNING);
    assert_int_equal(row.request, RUN_REQUEST_CANCEL);
    run_row_clear(&row);
    assert_int_equal(act(q, RUN_ACTION_PAUSE, running), STATUS_CONFLICT);
    assert_int_equal(act(q, RUN_ACTION_CANCEL, 99), STATUS_NOT_FOUND);

    int64_t held = fixture_add_run(q->f.store, 0);
    const struct run_move hold = {.id = held, .from = RUN_QUEUED, .to = RUN_HELD, .reason = ""};
    ASSERT_OK(run_table_move(q->f.store, &hold, &fixture_error));
    assert_int_equal(act(q, RUN_ACTION_CANCEL, held), STATUS_OK);
    assert_int_equal(fixture_state(q->f.store, held), RUN_CANCELED);
}

static uint64_t count_commits(struct queue_fixture *q) {
    struct histogram_reading reading;
    histogram_read(store_commits(q->f.store), &reading);
    return reading.n;
}

static int64_t add_run_after(struct queue_fixture *q, int64_t after) {
    const struct run_config config = fixture_config();
    const struct run_draft draft = {.name = "",
                                    .labels_json = "{}",
                                    .config_json = "{}",
                                    .config = &config,
                                    .after_ids = &after,
                                    .n_after = 1};
    int64_t id = 0;
    ASSERT_OK(queue_submit(q->queue, &draft, &id, &fixture_error));
    return id;
}

static void many_runs_are_changed_in_one_commit_each_on_its_own(void **state) {
    struct queue_fixture *q = *state;
    int64_t running = fixture_add_run(q->f.store, 9);
    int64_t queued = fixture_add_run(q->f.store, 0);
    int64_t dependent = add_run_after(q, queued);
    int64_t left_out = add_run_after(q, queued);
    int64_t other = fixture_add_run(q->f.store, 0);
    assert_int_equal(claim(q->queue), running);
    const int64_t ids[] = {queued, 99, running, queued, dependent, other};
    static const enum status expected[] = {STATUS_OK,       STATUS_NOT_FOUND, STATUS_CONFLICT,
                                           STATUS_CONFLICT, STATUS_OK,        STATUS_OK};
    const struct queue_action hold = {.action = RUN_ACTION_HOLD, .ids = &other, .n_ids = 1};
    const struct queue_action remove = {.action = RUN_ACTION_DELETE, .ids = ids, .n_ids = 6};
    struct queue_action cancel = {.action = RUN_ACTION_CANCEL, .ids = ids, .n_ids = 6};
    struct run_outcomes outcomes;
    ASSERT_OK(queue_act(q->queue, &hold, &outcomes, &fixture_error));
    run_outcomes_clear(&outcomes);
    assert_int_equal(fixture_request(q->f.store, running, RUN_REQUEST_KILL), STATUS_OK);

    uint64_t before = count_commits(q);
    ASSERT_OK(queue_act(q->queue, &cancel, &outcomes, &fixture_error));
    assert_int_equal(count_commits(q), before + 1);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(outcomes.items[i].id, ids[i]);
        assert_int_equal(outcomes.items[i].error.code, expected[i]);
        assert_int_equal(outcomes.items[i].row.id, ids[i] == 99 ? 0 : ids[i]);
    }
    assert_int_equal(outcomes.items[0].row.state, RUN_CANCELED);
    assert_int_equal(outcomes.items[4].row.state, RUN_CANCELED);
    run_outcomes_clear(&outcomes);
    assert_int_equal(fixture_state(q->f.store, running), RUN_RUNNING);
    assert_int_equal(fixture_state(q->f.store, left_out), RUN_FAILED);
    assert_int_equal(fixture_state(q->f.store, other), RUN_CANCELED);

    ASSERT_OK(queue_act(q->queue, &remove, &outcomes, &fixture_error));
    assert_int_equal(outcomes.items[0].action, BATCH_DELETE);
    assert_int_equal(outcomes.items[2].error.code, STATUS_CONFLICT);
    assert_int_equal(outcomes.items[3].error.code, STATUS_NOT_FOUND);
    run_outcomes_clear(&outcomes);
    struct run_row row = {0};
    assert_int_equal(run_table_get(q->f.store, queued, &row, &fixture_error), STATUS_NOT_FOUND);
    assert_int_equal(fixture_state(q->f.store, running), RUN_RUNNING);
}

static void a_chain_of_runs_is_deleted_in_one_go(void **state) {
    struct queue_fixture *q = *state;
    int64_t first = fixture_add_run(q->f.store, 0);
    int64_t second = add_run_after(q, first);
    const int64_t ids[] = {first, second, add_run_after(q, second)};
    const struct queue_action alone = {.action = RUN_ACTION_DELETE, .ids = ids, .n_ids = 2};
    const struct queue_action all = {.action = RUN_ACTION_DELETE, .ids = ids, .n_ids = 3};
    struct run_outcomes outcomes;
    ASSERT_OK(queue_act(q->queue, &alone, &outcomes, &fixture_error));
    assert_int_equal(outcomes.items[0].error.code, STATUS_CONFLICT);
    assert_int_equal(outcomes.items[1].error.code, STATUS_CONFLICT);
    run_outcomes_clear(&outcomes);
    ASSERT_OK(queue_act(q->queue, &all, &outcomes, &fixture_error));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(outcomes.items[i].action, BATCH_DELETE);
    }
    run_outcomes_clear(&outcomes);
}

static void requeue_that_could_never_start_changes_nothing_of_the_run(void **state) {
    struct queue_fixture *q = *state;
    int64_t first = fixture_add_run(q->f.store, 0);
    int64_t second = add_run_after(q, first);
    assert_int_equal(act(q, RUN_ACTION_CANCEL, first), STATUS_OK);
    struct run_row before = fixture_get_run(q->f.store, second);
    const int64_t ids[] = {second, first, second};
    const struct queue_action requeue = {.action = RUN_ACTION_REQUEUE, .ids = ids, .n_ids = 3};
    struct run_outcomes outcomes;
    ASSERT_OK(queue_act(q->queue, &requeue, &outcomes, &fixture_error));
    assert_int_equal(outcomes.items[0].error.code, STATUS_CONFLICT);
    assert_int_equal(outcomes.items[0].row.state, RUN_FAILED);
    assert_int_equal(outcomes.items[0].row.revision, before.revision);
    assert_int_equal(outcomes.items[1].error.code, STATUS_OK);
    assert_int_equal(outcomes.items[2].row.state, RUN_QUEUED);
    assert_int_equal(outcomes.items[2].row.revision, before.revision + 1);
    run_outcomes_clear(&outcomes);
    run_row_clear(&before);
}

static void batch_whose_commit_fails_changes_nothing(void **state) {
    struct queue_fixture *q = *state;
    const int64_t ids[] = {fixture_add_run(q->f.store, 0), fixture_add_run(q->f.store, 0)};
    const struct queue_action cancel = {.action = RUN_ACTION_CANCEL, .ids = ids, .n_ids = 2};
    struct run_outcomes outcomes;
    store_inject_failure(q->f.store, 1);
    assert_int_equal(queue_act(q->queue, &cancel, &outcomes, &fixture_error), STATUS_NO_SPACE);
    assert_int_equal(fixture_state(q->f.store, ids[0]), RUN_QUEUED);
    assert_int_equal(fixture_state(q->f.store, ids[1]), RUN_QUEUED);
}

enum { N_RUNS = 60, N_CLAIMERS = 4 };

struct claimer {
    struct queue *queue;
    pthread_t thread;
    int times[N_RUNS + 1];
};

static void *claim_all(void *user) {
    struct claimer *c = user;
    int64_t id = claim(c->queue);
    while (id != 0) {
        c->times[id]++;
        id = claim(c->queue);
    }
    return NULL;
}

static void a_run_is_claimed_by_exactly_one_worker(void **state) {
    struct queue_fixture *q = *state;
    static struct claimer claimers[N_CLAIMERS];
    for (int i = 0; i < N_RUNS; i++) {
        (void)fixture_add_run(q->f.store, i % 3);
    }
    for (int i = 0; i < N_CLAIMERS; i++) {
        claimers[i].queue = q->queue;
        assert_int_equal(pthread_create(&claimers[i].thread, NULL, claim_all, &claimers[i]), 0);
    }
    for (int i = 0; i < N_CLAIMERS; i++) {
        assert_int_equal(pthread_join(claimers[i].thread, NULL), 0);
    }
    for (int id = 1; id <= N_RUNS; id++) {
        int times = 0;
        for (int i = 0; i < N_CLAIMERS; i++) {
            times += claimers[i].times[id];
        }
        assert_int_equal(times, 1);
    }
}

static void *submit_one(void *user) {
    const struct run_config config = fixture_config();
    const struct run_draft draft = {
        .name = "", .labels_json = "{}", .config_json = "{}", .config = &config};
    int64_t id = 0;
    return queue_submit(user, &draft, &id, NULL) == STATUS_OK ? user : NULL;
}

static void submitting_wakes_a_waiting_worker(void **state) {
    struct queue_fixture *q = *state;
    pthread_t thread;
    void *submitted = NULL;
    uint64_t seen = queue_generation(q->queue);
    assert_int_equal(claim(q->queue), 0);
    assert_int_equal(pthread_create(&thread, NULL, submit_one, q->queue), 0);
    queue_wait(q->queue, seen);
    assert_int_equal(claim(q->queue), 1);
    assert_int_equal(pthread_join(thread, &submitted), 0);
    assert_non_null(submitted);
}

static void a_generation_of_the_past_is_not_waited_for(void **state) {
    struct queue_fixture *q = *state;
    uint64_t seen = queue_generation(q->queue);
    queue_wake(q->queue);
    queue_wait(q->queue, seen);
    assert_int_not_equal(queue_generation(q->queue), seen);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(higher_priority_goes_first_then_order_of_arrival),
        TEST(a_requeued_run_keeps_its_place_and_counts_an_attempt),
        TEST(finishing_notes_reason_and_time),
        TEST(only_runs_that_wait_are_canceled_at_once),
        TEST(many_runs_are_changed_in_one_commit_each_on_its_own),
        TEST(a_chain_of_runs_is_deleted_in_one_go),
        TEST(requeue_that_could_never_start_changes_nothing_of_the_run),
        TEST(batch_whose_commit_fails_changes_nothing),
        TEST(a_run_is_claimed_by_exactly_one_worker),
        TEST(submitting_wakes_a_waiting_worker),
        TEST(a_generation_of_the_past_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
