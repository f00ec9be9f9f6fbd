/* Owners: whose turn it is, what each has used, and what each may have. */
#include "tests/daemon/store_fixture.h"

#include <sqlite3.h>

#include "daemon/store/change/run_report.h"
#include "daemon/store/owner/owner_list.h"
#include "daemon/store/owner/usage.h"
#include "daemon/store/query/run_queue.h"

enum { HOUR_S = 3600 };
static const int64_t BEGIN_MS = 1000 * 3600 * 1000LL; /* a whole hour */

struct owners_fixture {
    struct store_fixture f;
    int64_t now_ms;
    int cores;
    int max_running;
};

static int set_up(void **state) {
    struct owners_fixture *o = calloc(1, sizeof(*o));
    fixture_begin(&o->f);
    o->now_ms = BEGIN_MS;
    o->cores = 2;
    *state = o;
    return 0;
}

static int tear_down(void **state) {
    struct owners_fixture *o = *state;
    fixture_end(&o->f);
    free(o);
    return 0;
}

static struct run_draft draft_of(const char *owner, int priority, const struct run_config *config) {
    return (struct run_draft){.name = "",
                              .priority = priority,
                              .labels_json = "{}",
                              .config_json = "{}",
                              .config = config,
                              .owner = owner};
}

static int64_t add(struct owners_fixture *o, const char *owner, int priority) {
    const struct run_config config = fixture_config();
    const struct run_draft draft = draft_of(owner, priority, &config);
    int64_t id = 0;
    ASSERT_OK(run_table_insert(o->f.store, &draft, o->now_ms, &id, &fixture_error));
    return id;
}

static int cores_of(void *user, const char *executor) {
    const struct owners_fixture *o = user;
    assert_string_equal(executor, "local");
    return o->cores;
}

/* 0: none. */
static int64_t claim(struct owners_fixture *o) {
    const struct run_claim wanted = {.max_running = o->max_running, .cores = cores_of, .user = o};
    struct run_row row = {0};
    enum status status = run_table_claim(o->f.store, &wanted, o->now_ms, &row, &fixture_error);
    int64_t id = row.id;
    run_row_clear(&row);
    if (status != STATUS_NOT_FOUND) {
        ASSERT_OK(status);
    }
    return id;
}

static void end(struct owners_fixture *o, int64_t id) {
    const struct run_move move = {
        .id = id, .from = RUN_RUNNING, .to = RUN_SUCCEEDED, .reason = "", .now_ms = o->now_ms};
    ASSERT_OK(run_table_move(o->f.store, &move, &fixture_error));
}

static void train(struct owners_fixture *o, int64_t id, int seconds) {
    assert_int_equal(claim(o), id);
    o->now_ms += seconds * 1000;
    end(o, id);
}

static struct owner_row owner(struct owners_fixture *o, const char *name) {
    struct owner_list list;
    struct owner_row row = {.n_queued = -1};
    ASSERT_OK(owner_list_read(o->f.store, NULL, 100, o->now_ms, &list, &fixture_error));
    for (size_t i = 0; i < list.n; i++) {
        row = strcmp(list.rows[i].name, name) == 0 ? list.rows[i] : row;
    }
    owner_list_clear(&list);
    assert_true(row.n_queued >= 0);
    return row;
}

static void set_half_life(struct owners_fixture *o, int seconds) {
    ASSERT_OK(usage_set_half_life(o->f.store, seconds, o->now_ms, &fixture_error));
}

static void assert_near(double value, double expected) {
    if (!(value > expected - 1e-6 && value < expected + 1e-6)) {
        fail_msg("%.9f instead of %.9f", value, expected);
    }
}

static void without_a_half_life_who_comes_first_goes_first(void **state) {
    struct owners_fixture *o = *state;
    int64_t a1 = add(o, "anna", 0);
    int64_t a2 = add(o, "anna", 0);
    int64_t b1 = add(o, "bert", 0);
    train(o, a1, 100);
    train(o, a2, 100);
    train(o, b1, 100);
    assert_int_equal(claim(o), 0);
}

static void who_has_used_least_goes_first_within_a_priority(void **state) {
    struct owners_fixture *o = *state;
    set_half_life(o, HOUR_S);
    int64_t a1 = add(o, "anna", 0);
    int64_t a2 = add(o, "anna", 0);
    int64_t a3 = add(o, "anna", 0);
    int64_t b1 = add(o, "bert", 0);
    int64_t b2 = add(o, "bert", 0);
    int64_t urgent = add(o, "anna", 1);
    train(o, urgent, 10); /* a higher priority goes first, whosever it is */
    train(o, b1, 100);
    train(o, a1, 30); /* 10 against 100 */
    train(o, a2, 200);
    train(o, b2, 1);
    train(o, a3, 1);
}

static void running_runs_count_at_once(void **state) {
    struct owners_fixture *o = *state;
    set_half_life(o, HOUR_S);
    int64_t a1 = add(o, "anna", 0);
    int64_t a2 = add(o, "anna", 0);
    int64_t b1 = add(o, "bert", 0);
    assert_int_equal(claim(o), a1);
    assert_int_equal(claim(o), b1); /* in the same millisecond: bert has none running */
    o->now_ms += 1;
    end(o, b1);
    int64_t b2 = add(o, "bert", 0);
    o->now_ms += 1000; /* anna's run goes on, and nobody has reported */
    assert_int_equal(claim(o), b2);
    assert_int_equal(claim(o), a2);
}

static void what_was_used_is_forgotten_by_halves(void **state) {
    struct owners_fixture *o = *state;
    set_half_life(o, HOUR_S);
    train(o, add(o, "anna", 0), 100);
    assert_near(owner(o, "anna").recent, 200);
    o->now_ms += 2 * HOUR_S * 1000;
    assert_near(owner(o, "anna").recent, 50);
    train(o, add(o, "bert", 0), 30);
    assert_near(owner(o, "bert").recent, 60);
    int64_t a = add(o, "anna", 0);
    int64_t b = add(o, "bert", 0);
    assert_int_equal(claim(o), a); /* 200 once, and less than 60 by now */
    assert_int_equal(claim(o), b);
}

static void hours_days_and_months_add_up(void **state) {
    struct owners_fixture *o = *state;
    int64_t id = add(o, "anna", 0);
    assert_int_equal(claim(o), id);
    o->now_ms += (HOUR_S + 1800) * 1000;         /* into the next hour */
    assert_near(owner(o, "anna").day, 2 * 5400); /* while it runs */
    end(o, id);
    struct owner_row row = owner(o, "anna");
    assert_near(row.day, 2 * 5400);
    assert_near(row.month, 2 * 5400);
    assert_near(row.recent, 0);        /* no half-life */
    o->now_ms += 23LL * HOUR_S * 1000; /* its first hour is over a day ago */
    assert_near(owner(o, "anna").day, 2 * 1800);
    o->now_ms += 24LL * HOUR_S * 1000;
    row = owner(o, "anna");
    assert_near(row.day, 0);
    assert_near(row.week, 2 * 5400);
    o->now_ms += 31LL * 24 * HOUR_S * 1000;
    assert_near(owner(o, "anna").month, 0);
}

static void another_half_life_is_made_of_the_hours(void **state) {
    struct owners_fixture *o = *state;
    train(o, add(o, "anna", 0), 1800);
    train(o, add(o, "bert", 0), 900);
    assert_near(owner(o, "anna").recent, 0);
    o->now_ms =
        BEGIN_MS + (HOUR_S / 2 + HOUR_S) * 1000LL; /* an hour after the middle of the first */
    set_half_life(o, HOUR_S);
    assert_near(owner(o, "anna").recent, 1800);
    assert_near(owner(o, "bert").recent, 900);
    set_half_life(o, HOUR_S / 2);
    assert_near(owner(o, "anna").recent, 900);
    set_half_life(o, 0);
    assert_near(owner(o, "anna").recent, 0);
}

static void what_an_interrupted_run_did_after_its_last_report_is_not_charged(void **state) {
    struct owners_fixture *o = *state;
    int64_t id = add(o, "anna", 0);
    assert_int_equal(claim(o), id);
    o->now_ms += 60 * 1000;
    const struct epoch_row epoch = {.report = {.epoch = 1, .val_total = 10, .seconds = 1},
                                    .at_ms = o->now_ms};
    const struct run_report report = {.run_id = id, .attempt = 1};
    ASSERT_OK(run_report_epoch(o->f.store, &report, &epoch, &fixture_error));
    o->now_ms += 40 * 24 * HOUR_S * 1000LL; /* the daemon was away */
    const struct run_move back = {.id = id,
                                  .from = RUN_RUNNING,
                                  .to = RUN_QUEUED,
                                  .reason = "interrupted",
                                  .next_attempt = true,
                                  .abandoned = true,
                                  .now_ms = o->now_ms};
    ASSERT_OK(run_table_move(o->f.store, &back, &fixture_error));
    assert_near(owner(o, "anna").month, 0);
    o->now_ms = BEGIN_MS + 60 * 1000;
    assert_near(owner(o, "anna").month, 120);
}

static void an_owner_has_no_more_running_than_it_may(void **state) {
    struct owners_fixture *o = *state;
    o->max_running = 1;
    int64_t a1 = add(o, "anna", 5);
    int64_t a2 = add(o, "anna", 5);
    int64_t b1 = add(o, "bert", 0);
    assert_int_equal(claim(o), a1);
    assert_int_equal(claim(o), b1);
    assert_int_equal(claim(o), 0);
    end(o, a1);
    assert_int_equal(claim(o), a2);
    o->max_running = 0;
}

static void an_owner_has_no_more_in_the_queue_than_it_may(void **state) {
    struct owners_fixture *o = *state;
    const struct run_config config = fixture_config();
    struct run_draft draft = draft_of("anna", 0, &config);
    int64_t id = 0;
    draft.max_queued = 2;
    ASSERT_OK(run_table_insert(o->f.store, &draft, o->now_ms, &id, &fixture_error));
    draft.held = true; /* held ones count */
    ASSERT_OK(run_table_insert(o->f.store, &draft, o->now_ms, &id, &fixture_error));
    assert_int_equal(run_table_insert(o->f.store, &draft, o->now_ms, &id, &fixture_error),
                     STATUS_QUOTA);
    assert_non_null(strstr(fixture_error.message, "3 runs of anna"));
    assert_int_equal(owner(o, "anna").n_queued + owner(o, "anna").n_held, 2);
    assert_true(claim(o) > 0); /* running ones do not */
    ASSERT_OK(run_table_insert(o->f.store, &draft, o->now_ms, &id, &fixture_error));
}

static void a_run_does_not_start_before_its_time(void **state) {
    struct owners_fixture *o = *state;
    const struct run_config config = fixture_config();
    struct run_draft draft = draft_of("anna", 9, &config);
    int64_t late = 0;
    int64_t at_ms = 0;
    draft.not_before_ms = o->now_ms + 1000;
    ASSERT_OK(run_table_insert(o->f.store, &draft, o->now_ms, &late, &fixture_error));
    int64_t early = add(o, "anna", 0);
    ASSERT_OK(run_queue_next_start(o->f.store, o->now_ms, &at_ms, &fixture_error));
    assert_int_equal(at_ms, draft.not_before_ms);
    assert_int_equal(claim(o), early);
    assert_int_equal(claim(o), 0);
    o->now_ms += 1000;
    assert_int_equal(claim(o), late);
    ASSERT_OK(run_queue_next_start(o->f.store, o->now_ms, &at_ms, &fixture_error));
    assert_int_equal(at_ms, 0);
}

/* The whole queue in pages of `limit`. */
static size_t read_queue(struct owners_fixture *o, int limit, int64_t ids[32]) {
    struct queue_place place;
    struct queue_page page;
    size_t n = 0;
    bool first = true;
    do {
        ASSERT_OK(run_queue_page(o->f.store, first ? NULL : &place, o->now_ms, limit, &page,
                                 &fixture_error));
        assert_true(page.first_position == (int64_t)n + 1 || page.list.n == 0);
        for (size_t i = 0; i < page.list.n; i++) {
            const struct run_row *row = &page.list.rows[i];
            ids[n++] = row->id;
            place = (struct queue_place){.priority = row->priority, .id = row->id};
            memcpy(place.owner, row->owner, sizeof(place.owner));
            int n_ahead = -1;
            ASSERT_OK(
                run_queue_count_ahead(o->f.store, row, o->now_ms, 100, &n_ahead, &fixture_error));
            assert_int_equal(n_ahead, n - 1);
        }
        first = false;
        if (!page.list.more) {
            queue_page_clear(&page);
            return n;
        }
        queue_page_clear(&page);
    } while (n < 32);
    fail_msg("the queue does not end");
    return 0;
}

static void the_queue_shows_the_turns_also_in_pages(void **state) {
    struct owners_fixture *o = *state;
    set_half_life(o, HOUR_S);
    train(o, add(o, "anna", 0), 10);
    train(o, add(o, "carl", 0), 20);
    int64_t a1 = add(o, "anna", 0);
    int64_t c1 = add(o, "carl", 3);
    int64_t c2 = add(o, "carl", 0);
    int64_t b1 = add(o, "bert", 0);
    int64_t a2 = add(o, "anna", 0);
    int64_t low = add(o, "bert", -1);
    const int64_t expected[] = {c1, b1, a1, a2, c2, low};
    for (int limit = 1; limit <= 7; limit++) {
        int64_t ids[32];
        assert_int_equal(read_queue(o, limit, ids), 6);
        assert_memory_equal(ids, expected, sizeof(expected));
    }
    /* The owner of the place is gone from the queue between two pages. */
    struct queue_place place = {.priority = 0, .id = b1, .owner = "bert"};
    struct queue_page page;
    assert_int_equal(claim(o), c1);
    assert_int_equal(claim(o), b1);
    ASSERT_OK(run_queue_page(o->f.store, &place, o->now_ms, 10, &page, &fixture_error));
    assert_int_equal(page.list.n, 4);
    assert_int_equal(page.list.rows[0].id, a1);
    queue_page_clear(&page);
}

static int64_t read_number(const struct owners_fixture *o, const char *sql) {
    sqlite3 *handle = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(o->f.path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(handle);
    return number;
}

/* Rows that differ from what counting gives. */
static void assert_counts_are_true(const struct owners_fixture *o) {
    assert_int_equal(
        read_number(o, "SELECT count(*) FROM (SELECT name, queued, held, running FROM owner EXCEPT"
                       " SELECT owner, sum(state = 'queued'), sum(state = 'held'),"
                       " sum(state = 'running') FROM run GROUP BY owner)"),
        0);
    assert_int_equal(
        read_number(o, "SELECT count(*) + (SELECT count(*) FROM waiting) FROM (SELECT priority,"
                       " owner, count(*) AS n FROM run WHERE state = 'queued' GROUP BY 1, 2)") -
            2 * read_number(o, "SELECT count(*) FROM waiting JOIN (SELECT priority, owner,"
                               " count(*) AS n FROM run WHERE state = 'queued' GROUP BY 1, 2)"
                               " USING (priority, owner, n)"),
        0);
}

static void the_counts_follow_every_change(void **state) {
    struct owners_fixture *o = *state;
    int64_t a1 = add(o, "anna", 0);
    int64_t a2 = add(o, "anna", 0);
    (void)add(o, "", 1);
    assert_counts_are_true(o);
    int priority = 4;
    const struct run_edit edit = {.priority = &priority};
    ASSERT_OK(run_table_edit(o->f.store, a2, &edit, o->now_ms, &fixture_error));
    assert_counts_are_true(o);
    assert_int_equal(claim(o), a2);
    assert_counts_are_true(o);
    ASSERT_OK(run_table_edit(o->f.store, a2, &edit, o->now_ms, &fixture_error));
    const struct run_move hold = {.id = a1, .from = RUN_QUEUED, .to = RUN_HELD, .reason = ""};
    ASSERT_OK(run_table_move(o->f.store, &hold, &fixture_error));
    assert_counts_are_true(o);
    ASSERT_OK(run_table_edit(o->f.store, a1, &edit, o->now_ms, &fixture_error));
    const struct run_move release = {.id = a1, .from = RUN_HELD, .to = RUN_QUEUED, .reason = ""};
    ASSERT_OK(run_table_move(o->f.store, &release, &fixture_error));
    assert_counts_are_true(o);
    struct batch_action gone = {.kind = BATCH_DELETE};
    const struct run_batch batch = {
        .ids = &a1, .n_ids = 1, .choose = fixture_choose_request, .choose_user = &gone};
    struct run_outcomes outcomes;
    ASSERT_OK(run_table_batch(o->f.store, &batch, &outcomes, &fixture_error));
    run_outcomes_clear(&outcomes);
    end(o, a2);
    assert_counts_are_true(o);
    assert_int_equal(owner(o, "anna").n_queued, 0);
    ASSERT_OK(usage_forget(o->f.store, o->now_ms, &fixture_error));
    assert_int_equal(owner(o, "anna").n_running, 0); /* it has a run yet */
}

static void what_is_old_is_forgotten(void **state) {
    struct owners_fixture *o = *state;
    int64_t id = add(o, "anna", 0);
    train(o, id, 100);
    struct batch_action gone = {.kind = BATCH_DELETE};
    const struct run_batch batch = {
        .ids = &id, .n_ids = 1, .choose = fixture_choose_request, .choose_user = &gone};
    struct run_outcomes outcomes;
    ASSERT_OK(run_table_batch(o->f.store, &batch, &outcomes, &fixture_error));
    run_outcomes_clear(&outcomes);
    ASSERT_OK(usage_forget(o->f.store, BEGIN_MS, &fixture_error));
    assert_near(owner(o, "anna").day, 200); /* who has deleted it has used it nevertheless */
    ASSERT_OK(usage_forget(o->f.store, BEGIN_MS + HOUR_S * 1000, &fixture_error));
    assert_int_equal(read_number(o, "SELECT count(*) FROM owner"), 0);
    assert_int_equal(read_number(o, "SELECT count(*) FROM usage"), 0);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(without_a_half_life_who_comes_first_goes_first),
        TEST(who_has_used_least_goes_first_within_a_priority),
        TEST(running_runs_count_at_once),
        TEST(what_was_used_is_forgotten_by_halves),
        TEST(hours_days_and_months_add_up),
        TEST(another_half_life_is_made_of_the_hours),
        TEST(what_an_interrupted_run_did_after_its_last_report_is_not_charged),
        TEST(an_owner_has_no_more_running_than_it_may),
        TEST(an_owner_has_no_more_in_the_queue_than_it_may),
        TEST(a_run_does_not_start_before_its_time),
        TEST(the_queue_shows_the_turns_also_in_pages),
        TEST(the_counts_follow_every_change),
        TEST(what_is_old_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
