/* Migrations of what webhooks are told. */
#include "tests/daemon/migrate_fixture.h"

/* The ends of sweeps of before stay as they were told; from now on one has ended whose other runs
 * stay paused, ranked out. */
static void sweeps_of_before_are_told_when_they_end(void **state) {
    sqlite3 *handle = *state;
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 26, &fixture_error));
    assert_int_equal(
        sqlite3_exec(
            handle,
            "INSERT INTO sweep (name, spec_json, created_ms)"
            " VALUES ('a \"b\"', '{}', 1), ('over', '{}', 1);"
            "INSERT INTO run (name, priority, labels_json, config_json, preset, dataset,"
            " depth, epochs, m, cutout_size, seed, state, sweep_id, ranked_out, created_ms,"
            " updated_ms) SELECT '', 0, '{}', '{}', 'p', 'd', 8, 9, 1, 0, 1, column1,"
            " column2, column3, 1, 1 FROM (VALUES ('paused', 1, 1), ('queued', 1, 0),"
            " ('paused', 2, 1), ('running', 2, 0));"
            "INSERT INTO webhook (name, url, events, template, secret, owner, created_ms)"
            " VALUES ('lab', 'u', ',sweep_ended,', 'json', 's', '', 1);"
            "UPDATE run SET state = 'succeeded' WHERE id = 4",
            0, 0, 0),
        SQLITE_OK);
    ASSERT_OK(
        migrate_apply(handle, migrations_embedded, migrations_embedded_count, &fixture_error));
    assert_int_equal(read_number(handle, "SELECT count(*) FROM run"), 4);
    assert_int_equal(read_number(handle, "SELECT count(*) FROM delivery"), 0);
    assert_int_equal(sqlite3_exec(handle,
                                  "UPDATE run SET state = 'failed', updated_ms = 7 WHERE id = 2", 0,
                                  0, 0),
                     SQLITE_OK);
    assert_int_equal(read_number(handle, "SELECT count(*) FROM delivery WHERE created_ms = 7"
                                         " AND json_extract(facts, '$.name') = 'a \"b\"'"
                                         " AND json_extract(facts, '$.ranked_out') = 1"),
                     1);
    assert_int_equal(read_number(handle, "SELECT count(*) FROM delivery"), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sweeps_of_before_are_told_when_they_end, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
