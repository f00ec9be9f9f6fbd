/* Event feeds: what comes, in which order, and when it ends. */
#include "tests/api/feed_fixture.h"

#include "daemon/store/change/old_rows.h"

static void snapshot_comes_first_and_nothing_twice(void **state) {
    struct fixture *fixture = *state;
    int64_t id = submit(fixture, "{}");
    struct feed feed;
    begin(fixture, &feed, id, -1);
    char *text = next(fixture, &feed);
    static const char *const first[] = {"retry: 2000\n\n", "id: ", "event: snapshot\n",
                                        "data: {\"id\":\"1\"", "\n\n"};
    assert_order(text, first, 5);
    assert_null(strstr(text, "event: state"));
    assert_false(feed.more);
    free(text);
    text = next(fixture, &feed);
    assert_string_equal(text, "");
    free(text);
    claim(fixture, id);
    text = next(fixture, &feed);
    assert_contains(text, "event: state\ndata: {\"run\":\"1\",\"at\":\"2026-03-01T12:00:00.250Z\","
                          "\"state\":\"running\"");
    free(text);
    put_epoch_row(fixture, id, 1, 2.0, 150);
    text = next(fixture, &feed);
    assert_contains(text, "event: epoch\n");
    assert_contains(text, "\"epoch\":1,\"train_loss\":2,");
    free(text);
    assert_false(feed.ended);
}

static void a_client_from_before_the_oldest_event_gets_a_resync(void **state) {
    struct fixture *fixture = *state;
    struct error error;
    int64_t id = submit(fixture, "{}");
    claim(fixture, id);
    int64_t newest = 0;
    assert_int_equal(event_table_newest(fixture->context.options.store, &newest, &error),
                     STATUS_OK);
    int n = 0;
    assert_int_equal(old_events_delete(fixture->context.options.store,
                                       clock_unix_ms(&fixture->clock) + 1, &n, &error),
                     STATUS_OK);
    assert_int_equal(n, 2);
    put_epoch_row(fixture, id, 1, 2.0, 150);
    struct feed feed;
    begin(fixture, &feed, id, 0);
    char *text = next(fixture, &feed);
    assert_contains(text, "event: resync\ndata: {\"id\":\"1\"");
    assert_null(strstr(text, "event: epoch")); /* it is in the snapshot */
    free(text);
    put_epoch_row(fixture, id, 2, 2.0, 150);
    text = next(fixture, &feed);
    assert_contains(text, "event: epoch\n");
    assert_null(strstr(text, "resync"));
    free(text);
    /* Who has seen all that is gone misses nothing. */
    begin(fixture, &feed, id, newest);
    text = next(fixture, &feed);
    assert_contains(text, "\"epoch\":1,\"train_loss\"");
    assert_null(strstr(text, "resync"));
    free(text);
}

static void end_is_the_last(void **state) {
    struct fixture *fixture = *state;
    int64_t id = submit(fixture, "{}");
    struct feed feed;
    begin(fixture, &feed, id, -1);
    free(next(fixture, &feed));
    claim(fixture, id);
    put_epoch_row(fixture, id, 1, 2.0, 150);
    finish(fixture, id);
    char *text = next(fixture, &feed);
    static const char *const parts[] = {"\"state\":\"running\"", "event: epoch",
                                        "\"state\":\"succeeded\"", "event: end\ndata: {\"id\":"};
    assert_order(text, parts, 4);
    assert_true(feed.ended);
    free(text);
}

static void finished_run_replays_from_any_id(void **state) {
    struct fixture *fixture = *state;
    int64_t id = submit(fixture, "{}");
    claim(fixture, id);
    put_epoch_row(fixture, id, 1, 2.0, 150);
    put_epoch_row(fixture, id, 2, 2.0, 140);
    finish(fixture, id);
    struct feed all;
    begin(fixture, &all, id, 0);
    char *text = next(fixture, &all);
    static const char *const parts[] = {
        "\"state\":\"queued\"", "\"state\":\"running\"",   "\"epoch\":1,",
        "\"epoch\":2,",         "\"state\":\"succeeded\"", "event: end"};
    assert_order(text, parts, 6);
    assert_null(strstr(text, "snapshot"));
    assert_true(all.ended);
    /* From the id of the first epoch on, only what came after it. */
    int64_t first_epoch_id = id_in_front_of(text, "event: epoch");
    struct feed rest;
    begin(fixture, &rest, id, first_epoch_id);
    free(text);
    text = next(fixture, &rest);
    assert_null(strstr(text, "\"state\":\"running\""));
    assert_null(strstr(text, "\"epoch\":1,\"train_loss\""));
    assert_contains(text, "\"epoch\":2,\"train_loss\"");
    assert_contains(text, "event: end");
    free(text);
    /* From the very last id: only the end. */
    struct feed last;
    begin(fixture, &last, id, all.last_id);
    text = next(fixture, &last);
    assert_null(strstr(text, "event: state"));
    assert_contains(text, "event: end");
    free(text);
}

static void id_from_nowhere_gets_a_snapshot(void **state) {
    struct fixture *fixture = *state;
    int64_t id = submit(fixture, "{}");
    struct feed feed;
    begin(fixture, &feed, id, 1000000);
    char *text = next(fixture, &feed);
    assert_contains(text, "event: snapshot");
    assert_true(feed.last_id < 1000000);
    free(text);
}

static void steps_come_once_a_second_and_the_held_one_later(void **state) {
    struct fixture *fixture = *state;
    int64_t id = submit(fixture, "{}");
    claim(fixture, id);
    struct feed feed;
    begin(fixture, &feed, id, -1);
    free(next(fixture, &feed));
    set_progress(fixture, id, 1);
    char *text = next(fixture, &feed);
    assert_contains(text, "event: step\ndata: {\"run\":\"1\",\"epoch\":1,\"epochs\":2,\"step\":1,");
    assert_null(strstr(text, "id: "));
    free(text);
    fixture->now_s += 0.25;
    set_progress(fixture, id, 2);
    text = next(fixture, &feed);
    assert_string_equal(text, "");
    free(text);
    assert_true(feed.wake_s == fixture->now_s + 0.75);
    fixture->now_s += 0.75;
    text = next(fixture, &feed);
    assert_contains(text, "\"step\":2,");
    free(text);
    fixture->now_s += 5;
    text = next(fixture, &feed);
    assert_string_equal(text, "");
    free(text);
}

static void silence_is_broken_by_a_heartbeat(void **state) {
    struct fixture *fixture = *state;
    int64_t id = submit(fixture, "{}");
    struct feed feed;
    begin(fixture, &feed, id, -1);
    free(next(fixture, &feed));
    free(next(fixture, &feed));
    assert_true(feed.wake_s == fixture->now_s + FEED_HEARTBEAT_S);
    fixture->now_s += FEED_HEARTBEAT_S;
    char *text = next(fixture, &feed);
    assert_string_equal(text, ": still here\n\n");
    free(text);
}

static void sweep_is_told_of_its_own_runs(void **state) {
    struct fixture *fixture = *state;
    submit_sweep(fixture);
    struct feed feed;
    begin_watch(fixture, &feed, WATCH_SWEEP, 1, -1);
    char *text = next(fixture, &feed);
    static const char *const parts[] = {"event: snapshot\ndata: {\"sweep\":\"1\",\"name\":\"by m\"",
                                        "\"by_state\":{\"queued\":2,\"held\":0,",
                                        "\"runs\":2,",
                                        "\"items\":[{\"id\":\"1\"",
                                        "{\"id\":\"2\"",
                                        "\"more\":false"};
    assert_order(text, parts, 6);
    assert_null(strstr(text, "\"id\":\"3\""));
    free(text);
    claim(fixture, 1);
    claim(fixture, 2);
    claim(fixture, 3);
    put_epoch_row(fixture, 3, 1, 2.0, 150);
    put_epoch_row(fixture, 2, 1, 2.0, 150);
    text = next(fixture, &feed);
    static const char *const events[] = {"{\"run\":\"1\"", "\"state\":\"running\"",
                                         "{\"run\":\"2\"", "\"state\":\"running\"",
                                         "event: epoch\ndata: {\"run\":\"2\""};
    assert_order(text, events, 5);
    assert_null(strstr(text, "\"run\":\"3\""));
    free(text);
}

static void sweep_ends_with_the_last_of_its_runs(void **state) {
    struct fixture *fixture = *state;
    submit_sweep(fixture);
    struct feed feed;
    begin_watch(fixture, &feed, WATCH_SWEEP, 1, 0);
    free(next(fixture, &feed));
    claim(fixture, 1);
    finish(fixture, 1);
    free(next(fixture, &feed));
    assert_false(feed.ended);
    claim(fixture, 2);
    finish(fixture, 2);
    char *text = next(fixture, &feed);
    static const char *const parts[] = {"\"state\":\"succeeded\"", "event: end\n",
                                        "\"by_state\":{\"queued\":0,", "\"succeeded\":2"};
    assert_order(text, parts, 4);
    assert_true(feed.ended);
    free(text);
}

static void everything_is_every_run_and_never_ends(void **state) {
    struct fixture *fixture = *state;
    submit_sweep(fixture);
    struct feed feed;
    begin_watch(fixture, &feed, WATCH_ALL, 0, -1);
    char *text = next(fixture, &feed);
    assert_contains(text, "event: snapshot\ndata: {\"sweep\":null,\"name\":null,");
    assert_contains(text, "\"runs\":3,");
    free(text);
    for (int64_t id = 1; id <= 3; id++) {
        claim(fixture, id);
        finish(fixture, id);
    }
    assert_int_equal(submit(fixture, "{}"), 4);
    text = next(fixture, &feed);
    static const char *const parts[] = {"\"run\":\"1\"", "\"run\":\"2\"", "\"run\":\"3\"",
                                        "\"run\":\"4\""};
    assert_order(text, parts, 4);
    assert_null(strstr(text, "event: end"));
    assert_false(feed.ended);
    free(text);
}

static void steps_say_whose_they_are(void **state) {
    struct fixture *fixture = *state;
    submit_sweep(fixture);
    claim(fixture, 1);
    struct feed sweep;
    struct feed all;
    struct feed other;
    begin_watch(fixture, &sweep, WATCH_SWEEP, 1, -1);
    begin_watch(fixture, &all, WATCH_ALL, 0, -1);
    begin(fixture, &other, 3, -1);
    const struct progress progress = {
        .run_id = 1, .sweep_id = 1, .epoch = 1, .epochs = 2, .step = 7, .n_reports = 7};
    progress_board_set(fixture->context.options.progress, 0, &progress);
    char *text = next(fixture, &sweep);
    assert_contains(text, "event: step\ndata: {\"run\":\"1\",");
    free(text);
    text = next(fixture, &all);
    assert_contains(text, "event: step\ndata: {\"run\":\"1\",");
    free(text);
    text = next(fixture, &other);
    assert_null(strstr(text, "event: step"));
    free(text);
}

static void deleted_run_ends_its_stream(void **state) {
    struct fixture *fixture = *state;
    submit_sweep(fixture);
    struct feed run;
    struct feed sweep;
    begin(fixture, &run, 2, -1);
    begin_watch(fixture, &sweep, WATCH_SWEEP, 1, -1);
    free(next(fixture, &run));
    free(next(fixture, &sweep));
    sql(fixture, "DELETE FROM run WHERE id = 2");
    run.check_end = true; /* as the waker asks */
    char *text = next(fixture, &run);
    assert_contains(text, "event: end\ndata: {\"run\":\"2\",\"deleted\":true}\n\n");
    assert_true(run.ended);
    free(text);
    sql(fixture, "DELETE FROM run; DELETE FROM sweep");
    fixture->now_s += FEED_HEARTBEAT_S; /* without being told */
    text = next(fixture, &sweep);
    assert_contains(text, "event: end\ndata: {\"sweep\":\"1\",\"deleted\":true}\n\n");
    free(text);
}

/* The tail cannot be read for a moment, in which an event is stored: the next look tells it. */
static void event_is_told_after_a_failed_update_of_the_tail(void **state) {
    struct fixture *fixture = *state;
    int64_t id = submit(fixture, "{}");
    struct feed feed;
    begin(fixture, &feed, id, -1);
    free(next(fixture, &feed));
    claim(fixture, id);
    if (fixture->context.tail) {
        struct tail_news news;
        struct error error;
        sql(fixture, "ALTER TABLE event RENAME TO event_away");
        assert_int_not_equal(tail_update(fixture->context.tail, &news, &error), STATUS_OK);
        sql(fixture, "ALTER TABLE event_away RENAME TO event");
    }
    char *text = NULL;
    size_t n_bytes = 0;
    struct error error;
    assert_int_equal(feed_next(&feed, &fixture->context, &text, &n_bytes, &error), STATUS_OK);
    if (fixture->context.tail) {
        assert_contains(text, "\"state\":\"running\"");
    }
    free(text);
    finish(fixture, id);
    text = next(fixture, &feed); /* and nothing twice once the tail is read again */
    assert_contains(text, "\"state\":\"succeeded\"");
    assert_null(strstr(text, "\"state\":\"running\""));
    free(text);
}

static void lines_of_ndjson_hold_an_event_each(void **state) {
    struct fixture *fixture = *state;
    const struct watch watch = {WATCH_RUN, submit(fixture, "{}")};
    struct feed feed;
    feed_init(&feed, &watch, FEED_NDJSON, 0, fixture->now_s);
    claim(fixture, watch.id);
    set_progress(fixture, watch.id, 1);
    char *text = next(fixture, &feed);
    assert_int_equal(
        strncmp(text, "{\"event\":\"state\",\"id\":\"1\",\"data\":{\"run\":\"1\",", 43), 0);
    assert_contains(text, "}}\n{\"event\":\"state\",\"id\":\"2\",\"data\":{");
    assert_contains(text, "}}\n{\"event\":\"step\",\"id\":null,\"data\":{");
    free(text);
    fixture->now_s += FEED_HEARTBEAT_S;
    text = next(fixture, &feed);
    assert_string_equal(text, "{\"event\":\"heartbeat\"}\n");
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(snapshot_comes_first_and_nothing_twice),
        TEST(a_client_from_before_the_oldest_event_gets_a_resync),
        TEST(end_is_the_last),
        TEST(finished_run_replays_from_any_id),
        TEST(id_from_nowhere_gets_a_snapshot),
        TEST(steps_come_once_a_second_and_the_held_one_later),
        TEST(silence_is_broken_by_a_heartbeat),
        TEST(sweep_is_told_of_its_own_runs),
        TEST(sweep_ends_with_the_last_of_its_runs),
        TEST(everything_is_every_run_and_never_ends),
        TEST(steps_say_whose_they_are),
        TEST(deleted_run_ends_its_stream),
        TEST(event_is_told_after_a_failed_update_of_the_tail),
        TEST(lines_of_ndjson_hold_an_event_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
