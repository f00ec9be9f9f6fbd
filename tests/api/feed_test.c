/* Event feeds: what comes, in which order, once each, and when it ends. Every test is run with the
 * store alone and with the tail that streams share. */
#include "tests/api/fixture.h"

#include <unistd.h>

#include "api/feed.h"
#include "api/tail.h"
#include "daemon/store/db.h"
#include "daemon/store/event_table.h"

/* Asserts that `parts` follow each other in the text. */
static void assert_order(const char *text, const char *const *parts, size_t n_parts) {
    const char *at = text;
    for (size_t i = 0; i < n_parts; i++) {
        const char *found = strstr(at, parts[i]);
        if (!found) {
            print_error("\"%s\" does not follow in\n%s\n", parts[i], text);
        }
        assert_non_null(found);
        at = found + 1;
    }
}

/* What the feed says now; the caller frees it. Not inlined: GCC 12 would take the returned pointer
 * for that of the local variable and warn. */
__attribute__((noinline)) static char *next(struct fixture *fixture, struct feed *feed) {
    char *text = NULL;
    size_t n_bytes = 0;
    struct error error;
    struct tail_news news;
    if (fixture->context.tail) { /* what the herald does before it wakes a stream */
        assert_int_equal(tail_update(fixture->context.tail, &news, &error), STATUS_OK);
    }
    enum status status = feed_next(feed, &fixture->context, &text, &n_bytes, &error);
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(strlen(text), n_bytes);
    return text;
}

static void begin_watch(struct fixture *fixture, struct feed *feed, enum watch_kind kind,
                        int64_t id, int64_t since) {
    const struct watch watch = {kind, id};
    feed_init(feed, &watch, FEED_SSE, since, fixture->now_s);
}

static void begin(struct fixture *fixture, struct feed *feed, int64_t run_id, int64_t since) {
    begin_watch(fixture, feed, WATCH_RUN, run_id, since);
}

static enum status execute(struct db *db, void *sql, struct error *error) {
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? STATUS_OK : db_status(db->handle, code, sql, error);
}

/* What other parts of the daemon do to the database. */
static void sql(struct fixture *fixture, const char *text) {
    char copy[512];
    struct error error = {.message = ""};
    (void)snprintf(copy, sizeof(copy), "%s", text);
    if (store_write(fixture->context.options.store, execute, copy, &error) != STATUS_OK) {
        fail_msg("%s", error.message);
    }
}

/* Sweep 1 with the runs 1 and 2, and run 3 beside it. */
static void submit_sweep(struct fixture *fixture) {
    assert_int_equal(submit(fixture, "{\"m\":2}"), 1);
    assert_int_equal(submit(fixture, "{\"m\":4}"), 2);
    assert_int_equal(submit(fixture, "{}"), 3);
    sql(fixture, "INSERT INTO sweep (name, spec_json, created_ms) VALUES ('by m', '{}', 1);"
                 "UPDATE run SET sweep_id = 1 WHERE id < 3");
}

static void set_progress(struct fixture *fixture, int64_t id, int step) {
    const struct progress progress = {.run_id = id,
                                      .epoch = 1,
                                      .epochs = 2,
                                      .step = step,
                                      .steps_per_epoch = 15,
                                      .images_per_second = 1,
                                      .eta_seconds = 1,
                                      .n_reports = (uint64_t)step};
    progress_board_set(fixture->context.options.progress, 0, &progress);
}

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

/* The id of the first message of this kind. */
static int64_t id_in_front_of(const char *text, const char *event) {
    size_t end = (size_t)(strstr(text, event) - text);
    int64_t id = 0;
    for (size_t i = 0; i < end; i++) {
        if (!strncmp(text + i, "id: ", 4)) {
            id = strtoll(text + i + 4, NULL, 10);
        }
    }
    return id;
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

/* The ids in a text, in order; returns how many. */
static size_t ids_of(const char *text, int64_t *ids, size_t size) {
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, "id: ")); at++) {
        assert_true(n < size);
        ids[n++] = strtoll(at + 4, NULL, 10);
    }
    return n;
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
    run.check_end = true; /* as the herald asks for */
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

static void whoever_comes_back_hears_the_rest_once(void **state) {
    struct fixture *fixture = *state;
    submit_sweep(fixture);
    for (int64_t id = 1; id <= 3; id++) {
        claim(fixture, id);
        put_epoch_row(fixture, id, 1, 2.0, 150);
    }
    static const struct watch watches[] = {{WATCH_RUN, 2}, {WATCH_SWEEP, 1}, {WATCH_ALL, 0}};
    static const size_t expected[] = {3, 6, 9};
    for (int w = 0; w < 3; w++) {
        int64_t all[16];
        struct feed feed;
        begin_watch(fixture, &feed, watches[w].kind, watches[w].id, 0);
        char *text = next(fixture, &feed);
        size_t n = ids_of(text, all, 16);
        free(text);
        assert_int_equal(n, expected[w]);
        for (size_t i = 0; i < n; i++) {
            int64_t rest[16];
            begin_watch(fixture, &feed, watches[w].kind, watches[w].id, all[i]);
            text = next(fixture, &feed);
            assert_int_equal(ids_of(text, rest, 16), n - 1 - i);
            assert_memory_equal(rest, all + i + 1, (n - 1 - i) * sizeof(rest[0]));
            free(text);
        }
    }
}

static void put_many_events(struct fixture *fixture, int n) {
    char text[256];
    (void)snprintf(text, sizeof(text),
                   "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
                   " INSERT INTO event (run_id, type, at_ms, state, attempt, reason)"
                   " SELECT 1, 'state', i, 'running', i, '' FROM n",
                   n);
    sql(fixture, text);
}

static void who_falls_too_far_behind_gets_a_resync(void **state) {
    struct fixture *fixture = *state;
    submit_sweep(fixture);
    static const struct watch watches[] = {{WATCH_RUN, 1}, {WATCH_SWEEP, 1}, {WATCH_ALL, 0}};
    static const int backlogs[] = {5, TAIL_ENTRIES + 100};
    for (int i = 0; i < 6; i++) {
        const struct watch *watch = &watches[i % 3];
        int most = backlogs[i / 3];
        fixture->context.options.stream_backlog = most;
        struct feed feed;
        begin_watch(fixture, &feed, watch->kind, watch->id, -1);
        free(next(fixture, &feed));
        put_many_events(fixture, most);
        int64_t before = feed.last_id;
        while (feed.last_id < before + most) { /* as many as may wait: all of them come */
            char *text = next(fixture, &feed);
            assert_contains(text, "event: state");
            assert_null(strstr(text, "event: resync"));
            free(text);
        }
        put_many_events(fixture, most + 1);
        char *text = next(fixture, &feed);
        assert_contains(text, "event: resync\ndata: {");
        assert_null(strstr(text, "event: state"));
        assert_int_equal(id_in_front_of(text, "event: resync"), before + 2 * most + 1);
        free(text);
        claim(fixture, i / 3 == 0 && i % 3 == 0 ? 1 : submit(fixture, "{\"priority\":9}"));
        text = next(fixture, &feed);
        assert_null(strstr(text, "event: resync"));
        free(text);
    }
}

static void what_was_asked_for_is_told_in_full(void **state) {
    struct fixture *fixture = *state;
    submit_sweep(fixture);
    fixture->context.options.stream_backlog = 5;
    put_many_events(fixture, 500);
    struct feed feed;
    begin_watch(fixture, &feed, WATCH_SWEEP, 1, 2);
    int64_t expected = 4; /* 3 is of another run */
    while (feed.last_id < 503) {
        int64_t ids[512];
        char *text = next(fixture, &feed);
        size_t n = ids_of(text, ids, 512);
        assert_true(n > 0 && n <= 100);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(ids[i], expected++);
        }
        free(text);
    }
}

/* The events of a sweep are found far apart, between those of others. */
static void sweep_finds_its_events_among_many(void **state) {
    struct fixture *fixture = *state;
    submit_sweep(fixture);
    sql(fixture, "UPDATE run SET sweep_id = NULL WHERE id = 1");
    put_many_events(fixture, 20000);
    claim(fixture, 1);
    claim(fixture, 2);
    struct feed feed;
    begin_watch(fixture, &feed, WATCH_SWEEP, 1, 0);
    static const int64_t expected[] = {2, 20005};
    for (int i = 0; i < 2; i++) {
        int64_t ids[4];
        char *text = next(fixture, &feed);
        assert_int_equal(ids_of(text, ids, 4), 1);
        assert_int_equal(ids[0], expected[i]);
        free(text);
    }
}

static void snapshot_names_the_first_runs_and_counts_all(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(submit(fixture, "{}"), 1);
    sql(fixture, "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 200)"
                 " INSERT INTO run (name, priority, labels_json, config_json, preset, dataset,"
                 " depth, epochs, m, cutout_size, seed, state, created_ms, updated_ms)"
                 " SELECT '', i = 7, '{}', '{}', '', '', 8, 1, 1, 0, i, 'queued', 1, 1 FROM n");
    struct feed feed;
    begin_watch(fixture, &feed, WATCH_ALL, 0, -1);
    char *text = next(fixture, &feed);
    assert_contains(text, "\"runs\":201,\"items\":[{\"id\":\"8\"");
    assert_contains(text, "\"id\":\"100\"");
    assert_null(strstr(text, "\"id\":\"101\""));
    assert_contains(text, "\"more\":true}");
    free(text);
}

static int open_with_tail(void **state) {
    (void)fixture_open(state);
    struct fixture *fixture = *state;
    struct error error;
    return tail_create(fixture->context.options.store, &fixture->context.tail, &error) == STATUS_OK
               ? 0
               : -1;
}

static int close_with_tail(void **state) {
    struct fixture *fixture = *state;
    tail_free(fixture->context.tail);
    return fixture_close(state);
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close), {                          \
#name "_with_tail", name, open_with_tail, close_with_tail, NULL                            \
    }

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(snapshot_comes_first_and_nothing_twice),
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
        TEST(lines_of_ndjson_hold_an_event_each),
        TEST(whoever_comes_back_hears_the_rest_once),
        TEST(who_falls_too_far_behind_gets_a_resync),
        TEST(what_was_asked_for_is_told_in_full),
        TEST(sweep_finds_its_events_among_many),
        TEST(snapshot_names_the_first_runs_and_counts_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
