/* Sweeps by halving in the store: when a rung ends, who goes on, and what stands by itself. */
#include "tests/daemon/store_fixture.h"

#include <math.h>

#include "core/base/cleanup.h"
#include "daemon/store/change/sweep_change.h"
#include "daemon/store/db.h"
#include "daemon/store/query/watch.h"
#include "daemon/store/table/webhook_table.h"

enum { MOST_RUNS = 16, EPOCHS = 30 };

struct halving {
    struct store_fixture f;
    int64_t sweep;
    int64_t *ids;
    size_t n;
};

static int set_up(void **state) {
    static struct halving h;
    memset(&h, 0, sizeof(h));
    fixture_begin(&h.f);
    *state = &h;
    return 0;
}

static int tear_down(void **state) {
    struct halving *h = *state;
    free(h->ids);
    fixture_end(&h->f);
    return 0;
}

/* Rungs at 2, 6 and 18 of 30 epochs. settings: of each run, or NULL. */
static void add_sweep(struct halving *h, size_t n, const char *const *settings) {
    struct run_config config = fixture_config();
    struct run_draft runs[MOST_RUNS] = {{.name = NULL}};
    const struct halving_rule rule = {.first_epochs = 2, .eta = 3, .metric = "val_error"};
    config.epochs = EPOCHS;
    for (size_t i = 0; i < n; i++) {
        runs[i] = (struct run_draft){
            .name = "child", .labels_json = "{}", .config_json = "{}", .config = &config};
    }
    const struct sweep_draft draft = {.name = "",
                                      .spec_json = "{}",
                                      .runs = runs,
                                      .n_runs = n,
                                      .halving = &rule,
                                      .settings = settings};
    ASSERT_OK(sweep_table_insert(h->f.store, &draft, 1, &h->sweep, &fixture_error));
    ASSERT_OK(sweep_table_runs(h->f.store, h->sweep, &h->ids, &h->n, &fixture_error));
    assert_int_equal(h->n, n);
}

static void move(struct halving *h, int64_t id, enum run_state from, enum run_state to,
                 const char *reason) {
    const struct run_move wanted = {.id = id,
                                    .from = from,
                                    .to = to,
                                    .reason = reason,
                                    .next_attempt = to == RUN_QUEUED,
                                    .now_ms = 2};
    ASSERT_OK(run_table_move(h->f.store, &wanted, &fixture_error));
}

static void put_epoch(struct halving *h, int64_t id, int epoch, int wrong) {
    const struct epoch_row row = {.report.epoch = epoch,
                                  .report.val_wrong = wrong,
                                  .report.val_total = 1000,
                                  .report.seconds = 1,
                                  .at_ms = 2};
    ASSERT_OK(epoch_table_put(h->f.store, id, &row, &fixture_error));
}

/* The run trains up to its epoch with so many wrong, and its attempt ends there. */
static void train(struct halving *h, int64_t id, int from, int to, int wrong) {
    move(h, id, RUN_QUEUED, RUN_RUNNING, "");
    for (int epoch = from; epoch <= to; epoch++) {
        put_epoch(h, id, epoch, wrong);
    }
    move(h, id, RUN_RUNNING, RUN_PAUSED, "waits");
}

static int count(struct halving *h, enum run_state state) {
    int n = 0;
    for (size_t i = 0; i < h->n; i++) {
        n += fixture_state(h->f.store, h->ids[i]) == state;
    }
    return n;
}

static bool has_ended(struct halving *h) {
    const struct watch watch = {.kind = WATCH_SWEEP, .id = h->sweep};
    enum watch_state state;
    ASSERT_OK(watch_table_state(h->f.store, &watch, &state, &fixture_error));
    return state == WATCH_FINAL;
}

static void assert_run(struct halving *h, int i, enum run_state state, const char *reason,
                       int pause_at, bool ranked_out) {
    CLEANUP(run_row_clear) struct run_row row = fixture_get_run(h->f.store, h->ids[i]);
    assert_int_equal(row.state, state);
    assert_string_equal(row.reason, reason);
    assert_int_equal(row.pause_at, pause_at);
    assert_int_equal(row.ranked_out, ranked_out);
}

static void the_best_third_goes_on_when_the_last_run_comes_to_the_rung(void **state) {
    struct halving *h = *state;
    static const int wrong[] = {500, 300, 700, 300, 900, 100, 800}; /* 7: three go on */
    add_sweep(h, 7, NULL);
    for (int i = 0; i < 6; i++) {
        train(h, h->ids[i], 1, 2, wrong[i]);
        assert_int_equal(count(h, RUN_QUEUED), 6 - i); /* nobody goes on yet */
    }
    train(h, h->ids[6], 1, 2, wrong[6]);
    assert_int_equal(count(h, RUN_QUEUED), 3);
    assert_run(h, 5, RUN_QUEUED, "rank 1 of 7 at epoch 2: goes on", 6, false);
    assert_run(h, 1, RUN_QUEUED, "rank 2 of 7 at epoch 2: goes on", 6, false);
    assert_run(h, 3, RUN_QUEUED, "rank 3 of 7 at epoch 2: goes on", 6, false);
    assert_run(h, 0, RUN_PAUSED,
               "rank 4 of 7 at epoch 2 (val_error 0.5): the first 3 went on; resume it to train on",
               0, true);
    assert_false(has_ended(h));

    struct halving_state view;
    ASSERT_OK(sweep_table_halving(h->f.store, h->sweep, &view, &fixture_error));
    assert_true(view.there && view.n_rungs == 1 && view.rungs[0].epochs == 2);
    assert_non_null(strstr(view.rungs[0].ranking_json,
                           "{\"rank\":2,\"setting\":null,\"value\":0.3,\"promoted\":true,"
                           "\"runs\":[\"2\"]}"));
    halving_state_clear(&view);

    /* One of three goes on, and there is nobody left to be ranked with. */
    train(h, h->ids[5], 3, 6, 400);
    train(h, h->ids[1], 3, 6, 200);
    train(h, h->ids[3], 3, 6, 200);
    assert_run(h, 1, RUN_QUEUED, "rank 1 of 3 at epoch 6: goes on to its end", 0, false);
    assert_run(h, 3, RUN_PAUSED,
               "rank 2 of 3 at epoch 6 (val_error 0.2): the first 1 went on; resume it to train on",
               0, true);
    assert_false(has_ended(h));
    move(h, h->ids[1], RUN_QUEUED, RUN_RUNNING, "");
    put_epoch(h, h->ids[1], 7, 100);
    move(h, h->ids[1], RUN_RUNNING, RUN_SUCCEEDED, "");
    assert_true(has_ended(h)); /* although six are paused */
    struct sweep_progress progress;
    ASSERT_OK(sweep_table_progress(h->f.store, h->sweep, &progress, &fixture_error));
    assert_int_equal(progress.n_ranked_out, 6);
    assert_int_equal(progress.epochs_saved, 4 * 28 + 2 * 24);
}

static void an_interrupted_run_at_its_rung_pauses_instead_of_training_on(void **state) {
    struct halving *h = *state;
    add_sweep(h, 2, NULL);
    move(h, h->ids[0], RUN_QUEUED, RUN_RUNNING, "");
    put_epoch(h, h->ids[0], 1, 5);
    move(h, h->ids[0], RUN_RUNNING, RUN_QUEUED, "interrupted");
    assert_run(h, 0, RUN_QUEUED, "interrupted", 2, false); /* before its rung */
    move(h, h->ids[0], RUN_QUEUED, RUN_RUNNING, "");
    put_epoch(h, h->ids[0], 2, 5);
    move(h, h->ids[0], RUN_RUNNING, RUN_QUEUED, "interrupted");
    assert_run(h, 0, RUN_PAUSED, "waits at epoch 2 for the other runs of its rung", 2, false);
}

static void failed_and_canceled_runs_are_not_waited_for(void **state) {
    struct halving *h = *state;
    add_sweep(h, 4, NULL);
    train(h, h->ids[1], 1, 2, 300);
    train(h, h->ids[2], 1, 2, 200);
    move(h, h->ids[0], RUN_QUEUED, RUN_CANCELED, "by the user");
    assert_int_equal(count(h, RUN_PAUSED), 2);
    move(h, h->ids[3], RUN_QUEUED, RUN_RUNNING, "");
    move(h, h->ids[3], RUN_RUNNING, RUN_FAILED, "diverged");
    assert_run(h, 2, RUN_QUEUED, "rank 1 of 2 at epoch 2: goes on to its end", 0, false);
    assert_run(h, 1, RUN_PAUSED,
               "rank 2 of 2 at epoch 2 (val_error 0.3): the first 1 went on; resume it to train on",
               0, true);
}

static void a_run_that_is_paused_by_hand_before_its_rung_is_waited_for(void **state) {
    struct halving *h = *state;
    add_sweep(h, 2, NULL);
    train(h, h->ids[0], 1, 2, 300);
    train(h, h->ids[1], 1, 1, 200); /* paused in the middle */
    assert_int_equal(count(h, RUN_PAUSED), 2);
    move(h, h->ids[1], RUN_PAUSED, RUN_QUEUED, "resumed by the user");
    assert_run(h, 1, RUN_QUEUED, "resumed by the user", 2, false);
    train(h, h->ids[1], 2, 2, 200);
    assert_int_equal(count(h, RUN_QUEUED), 1);
}

static void a_run_that_is_resumed_by_hand_has_left(void **state) {
    struct halving *h = *state;
    add_sweep(h, 4, NULL);
    train(h, h->ids[0], 1, 2, 100);
    move(h, h->ids[0], RUN_PAUSED, RUN_QUEUED, "resumed by the user");
    assert_run(h, 0, RUN_QUEUED, "resumed by the user", 0, false);
    for (int i = 1; i < 4; i++) {
        train(h, h->ids[i], 1, 2, 100 * i);
    }
    assert_run(h, 1, RUN_QUEUED, "rank 1 of 3 at epoch 2: goes on to its end", 0, false);
    move(h, h->ids[3], RUN_PAUSED, RUN_QUEUED, "resumed by the user"); /* and so may one of those */
    assert_run(h, 3, RUN_QUEUED, "resumed by the user", 0, false);
}

static void settings_are_ranked_by_their_means_and_go_on_together(void **state) {
    struct halving *h = *state;
    static const char *const settings[] = {"m=1", "m=1", "m=2", "m=2", "m=4", "m=4", "m=8", "m=8"};
    static const int wrong[] = {100, 900, 300, 400, 200, 450, 800, 800};
    add_sweep(h, 8, settings);
    for (int i = 0; i < 8; i++) {
        train(h, h->ids[i], 1, 2, wrong[i]);
    }
    /* Means .5, .35, .325, .8: of four settings two go on, each with both of its runs. */
    assert_int_equal(count(h, RUN_QUEUED), 4);
    assert_run(h, 4, RUN_QUEUED, "rank 1 of 4 at epoch 2: goes on", 6, false);
    assert_run(h, 5, RUN_QUEUED, "rank 1 of 4 at epoch 2: goes on", 6, false);
    assert_run(h, 3, RUN_QUEUED, "rank 2 of 4 at epoch 2: goes on", 6, false);
    assert_int_equal(fixture_state(h->f.store, h->ids[0]), RUN_PAUSED);
    struct halving_state view;
    ASSERT_OK(sweep_table_halving(h->f.store, h->sweep, &view, &fixture_error));
    assert_non_null(strstr(view.rungs[0].ranking_json,
                           "{\"rank\":1,\"setting\":\"m=4\",\"value\":0.325,\"promoted\":true,"
                           "\"runs\":[\"5\",\"6\"]}"));
    halving_state_clear(&view);
}

/* In binary 0.8 + 0.1 is more than 0.3 + 0.6. */
static void settings_with_as_many_errors_are_ranked_by_their_ids(void **state) {
    struct halving *h = *state;
    static const char *const settings[] = {"m=1", "m=1", "m=2", "m=2"};
    static const int wrong[] = {800, 100, 300, 600};
    add_sweep(h, 4, settings);
    for (int i = 0; i < 4; i++) {
        train(h, h->ids[i], 1, 2, wrong[i]);
    }
    assert_run(h, 0, RUN_QUEUED, "rank 1 of 2 at epoch 2: goes on to its end", 0, false);
    assert_int_equal(fixture_state(h->f.store, h->ids[2]), RUN_PAUSED);
}

static void runs_that_have_succeeded_are_ranked_and_end_rungs(void **state) {
    struct halving *h = *state;
    add_sweep(h, 2, NULL);
    for (int i = 0; i < 2; i++) {
        move(h, h->ids[i], RUN_QUEUED, RUN_RUNNING, "");
        put_epoch(h, h->ids[i], 1, 100 - i); /* by a rule of `stop`, before the rung */
        move(h, h->ids[i], RUN_RUNNING, RUN_SUCCEEDED, "stopped");
    }
    assert_true(has_ended(h));
    assert_int_equal(count(h, RUN_SUCCEEDED), 2);
    assert_run(h, 0, RUN_SUCCEEDED, "stopped", 0, false);
}

static void a_sweep_by_halving_can_be_deleted(void **state) {
    struct halving *h = *state;
    int64_t *ids = NULL;
    size_t n = 0;
    add_sweep(h, 4, NULL);
    for (int i = 0; i < 3; i++) {
        train(h, h->ids[i], 1, 2, 100);
    }
    ASSERT_OK(sweep_table_delete(h->f.store, h->sweep, 3, &ids, &n, &fixture_error));
    assert_int_equal(n, 4);
    free(ids);
}

/* ---- what webhooks are told ---- */

static int64_t add_webhook(struct halving *h) {
    struct webhook_row row = {.name = "lab",
                              .events = ",sweep_ended,",
                              .url = "http://lab.example/",
                              .target = (double)NAN,
                              .secret = "x"};
    int64_t id = 0;
    ASSERT_OK(webhook_table_add(h->f.store, &row, &id, &fixture_error));
    return id;
}

/* So many times an end of a sweep has been told, the last time at at_ms and with these facts. */
static void assert_told(struct halving *h, int64_t webhook, int times, int64_t at_ms,
                        const char *facts) {
    struct delivery_list list;
    ASSERT_OK(delivery_table_list(h->f.store, webhook, INT64_MAX, 9, &list, &fixture_error));
    assert_int_equal(list.n, times);
    if (times > 0) {
        assert_string_equal(list.rows[0].event, "sweep_ended");
        assert_string_equal(list.rows[0].facts, facts);
        assert_int_equal(list.rows[0].created_ms, at_ms);
    }
    delivery_list_clear(&list);
}

static enum status delete_it(struct db *db, void *arguments, struct error *error) {
    return run_delete(db, *(const int64_t *)arguments, 7, error);
}

/* Asked for by somebody at at_ms. */
static void delete_run(struct halving *h, int64_t id, int64_t at_ms) {
    const struct store_actor actor = {
        .at_ms = at_ms, .owner = "", .peer = "", .request_id = "", .request = "DELETE"};
    store_act_for(&actor);
    ASSERT_OK(store_write(h->f.store, delete_it, &id, &fixture_error));
    store_act_for(NULL);
}

static void finish(struct halving *h, int64_t id, int epoch, int wrong) {
    move(h, id, RUN_QUEUED, RUN_RUNNING, "");
    put_epoch(h, id, epoch, wrong);
    move(h, id, RUN_RUNNING, RUN_SUCCEEDED, "");
}

static void its_end_is_told_once_although_runs_stay_paused(void **state) {
    struct halving *h = *state;
    int64_t webhook = add_webhook(h);
    static const char one_succeeded[] =
        "{\"sweep\":\"1\",\"name\":\"\",\"owner\":\"\",\"runs\":3,\"succeeded\":1,\"failed\":0,"
        "\"canceled\":0,\"ranked_out\":2,\"best_error\":0.1}";
    static const char two_succeeded[] =
        "{\"sweep\":\"1\",\"name\":\"\",\"owner\":\"\",\"runs\":3,\"succeeded\":2,\"failed\":0,"
        "\"canceled\":0,\"ranked_out\":1,\"best_error\":0.1}";
    add_sweep(h, 3, NULL);
    for (int i = 0; i < 3; i++) {
        train(h, h->ids[i], 1, 2, 100 * (i + 1));
    }
    assert_told(h, webhook, 0, 0, "");
    finish(h, h->ids[0], 3, 200);
    assert_true(has_ended(h));
    assert_told(h, webhook, 1, 2, one_succeeded);
    /* One that is resumed opens the sweep again, which then ends once more. */
    move(h, h->ids[1], RUN_PAUSED, RUN_QUEUED, "resumed by the user");
    assert_told(h, webhook, 1, 2, one_succeeded);
    finish(h, h->ids[1], 3, 200);
    assert_told(h, webhook, 2, 2, two_succeeded);
    /* What had ended already ends nothing. */
    move(h, h->ids[2], RUN_PAUSED, RUN_CANCELED, "by the user");
    delete_run(h, h->ids[2], 9);
    assert_told(h, webhook, 2, 2, two_succeeded);
}

static void its_end_is_told_when_ranking_is_the_last_that_happens(void **state) {
    struct halving *h = *state;
    int64_t webhook = add_webhook(h);
    add_sweep(h, 2, NULL);
    train(h, h->ids[1], 1, 2, 300);
    move(h, h->ids[0], RUN_QUEUED, RUN_RUNNING, "");
    put_epoch(h, h->ids[0], 1, 100); /* by a rule of `stop`, before the rung */
    const struct run_move stopped = {
        .id = h->ids[0], .from = RUN_RUNNING, .to = RUN_SUCCEEDED, .reason = "", .now_ms = 5};
    ASSERT_OK(run_table_move(h->f.store, &stopped, &fixture_error));
    assert_true(has_ended(h));
    assert_told(h, webhook, 1, 5,
                "{\"sweep\":\"1\",\"name\":\"\",\"owner\":\"\",\"runs\":2,\"succeeded\":1,"
                "\"failed\":0,\"canceled\":0,\"ranked_out\":1,\"best_error\":0.1}");
}

static void its_end_is_told_when_the_last_open_run_is_deleted(void **state) {
    static const char facts[] =
        "{\"sweep\":\"1\",\"name\":\"\",\"owner\":\"\",\"runs\":1,\"succeeded\":0,"
        "\"failed\":0,\"canceled\":0,\"ranked_out\":1,\"best_error\":0.3}";
    struct halving *h = *state;
    int64_t webhook = add_webhook(h);
    add_sweep(h, 3, NULL);
    train(h, h->ids[0], 1, 2, 300);
    train(h, h->ids[2], 1, 2, 200);
    delete_run(h, h->ids[1], 8); /* and so the rung ends, and one goes on */
    assert_told(h, webhook, 0, 0, "");
    delete_run(h, h->ids[2], 9);
    assert_true(has_ended(h));
    assert_told(h, webhook, 1, 9, facts);
    delete_run(h, h->ids[0], 10);
    assert_told(h, webhook, 1, 9, facts);
}

static void a_sweep_that_is_deleted_has_not_ended(void **state) {
    struct halving *h = *state;
    int64_t webhook = add_webhook(h);
    int64_t *ids = NULL;
    size_t n = 0;
    add_sweep(h, 3, NULL);
    move(h, h->ids[0], RUN_QUEUED, RUN_CANCELED, "by the user");
    ASSERT_OK(sweep_table_delete(h->f.store, h->sweep, 3, &ids, &n, &fixture_error));
    assert_int_equal(n, 3);
    free(ids);
    assert_told(h, webhook, 0, 0, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_best_third_goes_on_when_the_last_run_comes_to_the_rung),
        TEST(an_interrupted_run_at_its_rung_pauses_instead_of_training_on),
        TEST(failed_and_canceled_runs_are_not_waited_for),
        TEST(a_run_that_is_paused_by_hand_before_its_rung_is_waited_for),
        TEST(a_run_that_is_resumed_by_hand_has_left),
        TEST(settings_are_ranked_by_their_means_and_go_on_together),
        TEST(settings_with_as_many_errors_are_ranked_by_their_ids),
        TEST(runs_that_have_succeeded_are_ranked_and_end_rungs),
        TEST(a_sweep_by_halving_can_be_deleted),
        TEST(its_end_is_told_once_although_runs_stay_paused),
        TEST(its_end_is_told_when_ranking_is_the_last_that_happens),
        TEST(its_end_is_told_when_the_last_open_run_is_deleted),
        TEST(a_sweep_that_is_deleted_has_not_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
