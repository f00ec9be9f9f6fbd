/* Event feeds: what comes, in which order, once each, and when it ends. */
#include "tests/api/fixture.h"

#include <unistd.h>

#include "api/feed.h"

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
    enum status status = feed_next(feed, &fixture->context, &text, &n_bytes, &error);
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(strlen(text), n_bytes);
    return text;
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
    feed_init(&feed, id, -1, fixture->now_s);
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
    feed_init(&feed, id, -1, fixture->now_s);
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
    feed_init(&all, id, 0, fixture->now_s);
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
    feed_init(&rest, id, first_epoch_id, fixture->now_s);
    free(text);
    text = next(fixture, &rest);
    assert_null(strstr(text, "\"state\":\"running\""));
    assert_null(strstr(text, "\"epoch\":1,\"train_loss\""));
    assert_contains(text, "\"epoch\":2,\"train_loss\"");
    assert_contains(text, "event: end");
    free(text);
    /* From the very last id: only the end. */
    struct feed last;
    feed_init(&last, id, all.last_id, fixture->now_s);
    text = next(fixture, &last);
    assert_null(strstr(text, "event: state"));
    assert_contains(text, "event: end");
    free(text);
}

static void id_from_nowhere_gets_a_snapshot(void **state) {
    struct fixture *fixture = *state;
    int64_t id = submit(fixture, "{}");
    struct feed feed;
    feed_init(&feed, id, 1000000, fixture->now_s);
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
    feed_init(&feed, id, -1, fixture->now_s);
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
    feed_init(&feed, id, -1, fixture->now_s);
    free(next(fixture, &feed));
    free(next(fixture, &feed));
    assert_true(feed.wake_s == fixture->now_s + FEED_HEARTBEAT_S);
    fixture->now_s += FEED_HEARTBEAT_S;
    char *text = next(fixture, &feed);
    assert_string_equal(text, ": still here\n\n");
    free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(snapshot_comes_first_and_nothing_twice),
        TEST(end_is_the_last),
        TEST(finished_run_replays_from_any_id),
        TEST(id_from_nowhere_gets_a_snapshot),
        TEST(steps_come_once_a_second_and_the_held_one_later),
        TEST(silence_is_broken_by_a_heartbeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
