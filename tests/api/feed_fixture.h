/* A feed over the fixture's store, with and without the tail that streams share. */
#ifndef CUTOUTD_TESTS_API_FEED_FIXTURE_H
#define CUTOUTD_TESTS_API_FEED_FIXTURE_H

#include "tests/api/fixture.h"

#include "api/stream/feed.h"
#include "api/stream/tail.h"
#include "daemon/store/db.h"

/* Asserts that `parts` follow each other in the text. */
static inline void assert_order(const char *text, const char *const *parts, size_t n_parts) {
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

/* A stream takes feed.more at its word and waits. */
static inline void assert_nothing_more(struct fixture *fixture, const struct feed *feed) {
    struct feed asked_again = *feed;
    char *text = NULL;
    size_t n_bytes = 0;
    struct error error;
    assert_int_equal(feed_next(&asked_again, &fixture->context, &text, &n_bytes, &error),
                     STATUS_OK);
    assert_string_equal(text, "");
    free(text);
}

/* What the feed says now; the caller frees it. Not inlined: GCC 12 would take the returned pointer
 * for that of the local variable and warn. */
__attribute__((noinline, unused)) static char *next(struct fixture *fixture, struct feed *feed) {
    char *text = NULL;
    size_t n_bytes = 0;
    struct error error;
    struct tail_news news;
    if (fixture->context.tail) { /* what the waker does before it wakes a stream */
        assert_int_equal(tail_update(fixture->context.tail, &news, &error), STATUS_OK);
    }
    enum status status = feed_next(feed, &fixture->context, &text, &n_bytes, &error);
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(strlen(text), n_bytes);
    if (!feed->more && !feed->ended) {
        assert_nothing_more(fixture, feed);
    }
    return text;
}

static inline void begin_watch(struct fixture *fixture, struct feed *feed, enum watch_kind kind,
                               int64_t id, int64_t since) {
    const struct watch watch = {kind, id};
    feed_init(feed, &watch, FEED_SSE, since, fixture->now_s);
}

static inline void begin(struct fixture *fixture, struct feed *feed, int64_t run_id,
                         int64_t since) {
    begin_watch(fixture, feed, WATCH_RUN, run_id, since);
}

static inline enum status execute(struct db *db, void *sql, struct error *error) {
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? STATUS_OK : db_status(db->handle, code, sql, error);
}

/* What other parts of the daemon do to the database. */
static inline void sql(struct fixture *fixture, const char *text) {
    char copy[512];
    struct error error = {.message = ""};
    (void)snprintf(copy, sizeof(copy), "%s", text);
    if (store_write(fixture->context.options.store, execute, copy, &error) != STATUS_OK) {
        fail_msg("%s", error.message);
    }
}

/* Sweep 1 with the runs 1 and 2, and run 3 beside it. */
static inline void submit_sweep(struct fixture *fixture) {
    assert_int_equal(submit(fixture, "{\"m\":2}"), 1);
    assert_int_equal(submit(fixture, "{\"m\":4}"), 2);
    assert_int_equal(submit(fixture, "{}"), 3);
    sql(fixture, "INSERT INTO sweep (name, spec_json, created_ms) VALUES ('by m', '{}', 1);"
                 "UPDATE run SET sweep_id = 1 WHERE id < 3");
}

static inline void set_progress(struct fixture *fixture, int64_t id, int step) {
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

/* The id of the first message of this kind. */
static inline int64_t id_in_front_of(const char *text, const char *event) {
    size_t end = (size_t)(strstr(text, event) - text);
    int64_t id = 0;
    for (size_t i = 0; i < end; i++) {
        if (!strncmp(text + i, "id: ", 4)) {
            id = strtoll(text + i + 4, NULL, 10);
        }
    }
    return id;
}

/* The ids in a text, in order; returns how many. */
static inline size_t ids_of(const char *text, int64_t *ids, size_t size) {
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, "id: ")); at++) {
        assert_true(n < size);
        ids[n++] = strtoll(at + 4, NULL, 10);
    }
    return n;
}

static inline int open_with_tail(void **state) {
    (void)fixture_open(state);
    struct fixture *fixture = *state;
    struct error error;
    return tail_create(fixture->context.options.store, &fixture->context.tail, &error) == STATUS_OK
               ? 0
               : -1;
}

static inline int close_with_tail(void **state) {
    struct fixture *fixture = *state;
    tail_free(fixture->context.tail);
    return fixture_close(state);
}

/* Each test is run with the store alone and with the tail. */
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close), {                          \
#name "_with_tail", name, open_with_tail, close_with_tail, NULL                            \
    }

#endif
