/* Event feeds of those who come back, come late, or do not keep up: nothing is told twice, and
 * nothing is left out without a resync. */
#include "tests/api/feed_fixture.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(whoever_comes_back_hears_the_rest_once),
        TEST(who_falls_too_far_behind_gets_a_resync),
        TEST(what_was_asked_for_is_told_in_full),
        TEST(sweep_finds_its_events_among_many),
        TEST(snapshot_names_the_first_runs_and_counts_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
