/* Old events go in steps, their ids never come back; old configs lose what columns hold; what no
 * version has written is damage. */
#include "tests/daemon/store_fixture.h"

#include <sqlite3.h>

#include "daemon/store/change/old_rows.h"
#include "daemon/store/query/event_list.h"
#include "daemon/store/table/setting_table.h"

static int set_up(void **state) {
    static struct store_fixture fixture;
    fixture_begin(&fixture);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state) {
    fixture_end(*state);
    return 0;
}

static void put_epoch(struct store *store, int64_t run, int epoch, int64_t at_ms) {
    const struct epoch_row row = {
        .report.epoch = epoch, .report.val_total = 10, .report.lr = 1, .at_ms = at_ms};
    ASSERT_OK(epoch_table_put(store, run, &row, &fixture_error));
}

static int delete_before(struct store *store, int64_t before_ms) {
    int n = 1;
    int all = 0;
    for (; n > 0; all += n) {
        ASSERT_OK(old_events_delete(store, before_ms, &n, &fixture_error));
    }
    return all;
}

static struct event_list follow(struct store *store, enum watch_kind kind, int64_t id,
                                int64_t after_id) {
    const struct watch watch = {kind, id};
    struct event_list list = {0};
    ASSERT_OK(event_table_follow(store, &watch, after_id, 5000, &list, &fixture_error));
    return list;
}

static void assert_expired(struct store *store, enum watch_kind kind, int64_t id, int64_t after_id,
                           bool expected) {
    struct event_list list = follow(store, kind, id, after_id);
    assert_int_equal(list.expired, expected);
    event_list_clear(&list);
}

static void old_events_go_and_histories_stay(void **state) {
    const struct store_fixture *f = *state;
    int64_t old = fixture_add_run(f->store, 0); /* at 1000 */
    for (int epoch = 1; epoch <= 2500; epoch++) {
        put_epoch(f->store, old, epoch, 2000 + epoch);
    }
    int64_t newest = 0;
    ASSERT_OK(event_table_newest(f->store, &newest, &fixture_error));
    assert_int_equal(newest, 2501);
    assert_int_equal(delete_before(f->store, 1000), 0);
    assert_int_equal(delete_before(f->store, 4402), 2402); /* three steps */
    struct event_list list = follow(f->store, WATCH_RUN, old, 2402);
    assert_int_equal(list.n, 99);
    assert_int_equal(list.rows[0].row.report.epoch, 2402);
    assert_false(list.expired);
    event_list_clear(&list);
    struct epoch_list epochs = {0};
    ASSERT_OK(epoch_table_list(f->store, old, 0, 0, &epochs, &fixture_error));
    assert_int_equal(epochs.n, 2500);
    epoch_list_clear(&epochs);
    /* All of them: the next id is a new one. */
    assert_int_equal(delete_before(f->store, 100000), 99);
    ASSERT_OK(event_table_newest(f->store, &newest, &fixture_error));
    assert_int_equal(newest, 2501);
    (void)fixture_add_run(f->store, 0);
    list = follow(f->store, WATCH_ALL, 0, 2501);
    assert_int_equal(list.n, 1);
    assert_int_equal(list.rows[0].id, 2502);
    event_list_clear(&list);
}

/* Trained again after a crash: it was told long ago. */
static void an_epoch_whose_event_is_gone_is_not_told_again(void **state) {
    const struct store_fixture *f = *state;
    int64_t run = fixture_add_run(f->store, 0);
    put_epoch(f->store, run, 1, 2000);
    put_epoch(f->store, run, 2, 3000);
    assert_int_equal(delete_before(f->store, 2500), 2);
    put_epoch(f->store, run, 1, 4000);
    put_epoch(f->store, run, 3, 5000);
    struct event_list list = follow(f->store, WATCH_RUN, run, 0);
    assert_int_equal(list.n, 2);
    assert_int_equal(list.rows[0].epoch, 2);
    assert_int_equal(list.rows[1].epoch, 3);
    event_list_clear(&list);
}

static void who_asks_for_what_is_gone_is_told(void **state) {
    const struct store_fixture *f = *state;
    int64_t old = fixture_add_run(f->store, 0);
    put_epoch(f->store, old, 1, 2000);
    put_epoch(f->store, old, 2, 9000);
    assert_expired(f->store, WATCH_RUN, old, 0, false);
    assert_int_equal(delete_before(f->store, 5000), 2);
    assert_expired(f->store, WATCH_RUN, old, 0, true);
    assert_expired(f->store, WATCH_RUN, old, 1, true);
    assert_expired(f->store, WATCH_RUN, old, 2, false);
    assert_expired(f->store, WATCH_ALL, 0, 1, true);
    assert_expired(f->store, WATCH_ALL, 0, 2, false);
    /* A run that is younger than all that is gone lacks nothing. */
    const struct run_config config = fixture_config();
    const struct run_draft draft = {
        .name = "", .labels_json = "{}", .config_json = "{}", .config = &config};
    int64_t young = 0;
    ASSERT_OK(run_table_insert(f->store, &draft, 6000, &young, &fixture_error));
    assert_expired(f->store, WATCH_RUN, young, 0, false);
    struct event_list latest = {0};
    ASSERT_OK(event_table_latest(f->store, old, 5, &latest, &fixture_error));
    assert_int_equal(latest.n, 1);
    assert_false(latest.more);
    assert_true(latest.expired);
    event_list_clear(&latest);
}

static void the_latest_events_are_in_order_and_say_whether_there_are_older_ones(void **state) {
    const struct store_fixture *f = *state;
    int64_t run = fixture_add_run(f->store, 0);
    for (int epoch = 1; epoch <= 4; epoch++) {
        put_epoch(f->store, run, epoch, 2000 + epoch);
    }
    struct event_list list = {0};
    ASSERT_OK(event_table_latest(f->store, run, 3, &list, &fixture_error));
    assert_int_equal(list.n, 3);
    assert_true(list.more);
    assert_int_equal(list.rows[0].row.report.epoch, 2);
    assert_int_equal(list.rows[2].row.report.epoch, 4);
    event_list_clear(&list);
    ASSERT_OK(event_table_latest(f->store, run, 5, &list, &fixture_error));
    assert_int_equal(list.n, 5);
    assert_false(list.more);
    event_list_clear(&list);
}

static void configs_of_an_earlier_version_lose_what_columns_hold(void **state) {
    const struct store_fixture *f = *state;
    const struct run_config config = fixture_config();
    const struct run_draft draft = {.name = "a",
                                    .labels_json = "{}",
                                    .config_json =
                                        "{\"name\":\"a\",\"m\":2,\"seed\":9007199254740991,"
                                        "\"lr\":0.1,\"priority\":0,\"labels\":{}}",
                                    .config = &config};
    int64_t id = 0;
    for (int i = 0; i < 1200; i++) {
        ASSERT_OK(run_table_insert(f->store, &draft, 1000, &id, &fixture_error));
    }
    sqlite3 *handle = NULL;
    assert_int_equal(sqlite3_open(f->path, &handle), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(handle, "UPDATE setting SET value = '1199' WHERE name = 'config_rewrite_upto'",
                     0, 0, 0),
        SQLITE_OK);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
    int n = 0;
    for (bool more = true; more; n++) {
        ASSERT_OK(old_configs_rewrite(f->store, &more, &fixture_error));
    }
    assert_int_equal(n, 3);
    for (int64_t run = 1; run <= 1199; run += 599) {
        struct run_row row = fixture_get_run(f->store, run);
        assert_string_equal(row.config_json, "{\"m\":2,\"seed\":9007199254740991,\"lr\":0.1}");
        assert_string_equal(row.name, "a");
        run_row_clear(&row);
    }
    struct run_row row = fixture_get_run(f->store, 1200);
    assert_string_equal(row.config_json, draft.config_json); /* a new one is as it was stored */
    run_row_clear(&row);
}

static void a_state_that_no_version_has_written_is_damage_and_there_is_a_remedy(void **state) {
    struct store_fixture *f = *state;
    int64_t id = fixture_add_run(f->store, 0);
    struct run_row row = {0};
    sqlite3 *handle = NULL;
    assert_int_equal(sqlite3_open(f->path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle,
                                  "PRAGMA ignore_check_constraints = ON;"
                                  "UPDATE run SET state = ''",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
    assert_int_equal(run_table_get(f->store, id, &row, &fixture_error), STATUS_CORRUPT);
    assert_non_null(strstr(fixture_error.message, "restore a backup"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(old_events_go_and_histories_stay),
        TEST(an_epoch_whose_event_is_gone_is_not_told_again),
        TEST(who_asks_for_what_is_gone_is_told),
        TEST(the_latest_events_are_in_order_and_say_whether_there_are_older_ones),
        TEST(a_state_that_no_version_has_written_is_damage_and_there_is_a_remedy),
        TEST(configs_of_an_earlier_version_lose_what_columns_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
