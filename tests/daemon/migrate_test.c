/* Migrations: in order, once, whole or not at all; strangers are refused. */
#include "tests/daemon/migrate_fixture.h"

static const struct migration steps[] = {
    {1, "0001_first", "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1);"},
    {2, "0002_second", "ALTER TABLE a ADD COLUMN y INTEGER; UPDATE a SET y = x + 1;"},
    {3, "0003_broken", "CREATE TABLE b (x INTEGER) STRICT; CREATE TABEL c (x);"},
};

static void migrations_are_applied_in_order_and_only_once(void **state) {
    sqlite3 *handle = *state;
    ASSERT_OK(migrate_apply(handle, steps, 1, &fixture_error));
    assert_int_equal(read_number(handle, "PRAGMA user_version"), 1);
    ASSERT_OK(migrate_apply(handle, steps, 2, &fixture_error));
    ASSERT_OK(migrate_apply(handle, steps, 2, &fixture_error));
    assert_int_equal(read_number(handle, "PRAGMA user_version"), 2);
    assert_int_equal(read_number(handle, "SELECT sum(y) FROM a"), 2);
    assert_int_equal(read_number(handle, "SELECT count(*) FROM migration"), 2);
    assert_int_equal(read_number(handle, "SELECT min(applied_ms) > 1700000000000 FROM migration"),
                     1);
}

static void a_migration_that_fails_leaves_nothing_behind(void **state) {
    sqlite3 *handle = *state;
    assert_int_equal(migrate_apply(handle, steps, 3, &fixture_error), STATUS_INTERNAL);
    assert_non_null(strstr(fixture_error.message, "0003_broken"));
    assert_int_equal(read_number(handle, "PRAGMA user_version"), 2);
    assert_int_equal(read_number(handle, "SELECT count(*) FROM sqlite_master WHERE name = 'b'"), 0);
}

static void a_newer_database_is_refused(void **state) {
    sqlite3 *handle = *state;
    ASSERT_OK(migrate_apply(handle, steps, 2, &fixture_error));
    assert_int_equal(migrate_apply(handle, steps, 1, &fixture_error), STATUS_UNSUPPORTED);
    assert_non_null(strstr(fixture_error.message, "version 2, this program knows up to 1"));
    assert_int_equal(read_number(handle, "SELECT sum(y) FROM a"), 2);
}

static void a_database_of_another_program_is_refused(void **state) {
    sqlite3 *handle = *state;
    assert_int_equal(sqlite3_exec(handle, "CREATE TABLE bookmark (url TEXT)", 0, 0, 0), SQLITE_OK);
    assert_int_equal(migrate_apply(handle, steps, 2, &fixture_error), STATUS_UNSUPPORTED);
    assert_non_null(strstr(fixture_error.message, "another program"));
    assert_int_equal(read_number(handle, "SELECT count(*) FROM sqlite_schema"), 1);
    assert_int_equal(sqlite3_exec(handle, "PRAGMA user_version = 7", 0, 0, 0), SQLITE_OK);
    assert_int_equal(migrate_apply(handle, steps, 2, &fixture_error), STATUS_UNSUPPORTED);
    assert_non_null(strstr(fixture_error.message, "another program"));
}

static void a_changed_old_migration_is_refused(void **state) {
    sqlite3 *handle = *state;
    const struct migration changed[] = {{1, "0001_first", "CREATE TABLE a (x TEXT) STRICT;"},
                                        steps[1]};
    ASSERT_OK(migrate_apply(handle, steps, 1, &fixture_error));
    assert_int_equal(migrate_apply(handle, changed, 2, &fixture_error), STATUS_CORRUPT);
    assert_non_null(strstr(fixture_error.message, "0001_first was changed"));
    assert_int_equal(read_number(handle, "PRAGMA user_version"), 1);
}

static void a_history_with_a_hole_is_refused(void **state) {
    sqlite3 *handle = *state;
    ASSERT_OK(migrate_apply(handle, steps, 2, &fixture_error));
    assert_int_equal(sqlite3_exec(handle, "DELETE FROM migration WHERE version = 2", 0, 0, 0),
                     SQLITE_OK);
    assert_int_equal(migrate_apply(handle, steps, 2, &fixture_error), STATUS_CORRUPT);
}

static void the_store_refuses_a_newer_database_and_keeps_it(void **state) {
    (void)state;
    struct store_fixture f;
    fixture_begin(&f);
    int64_t id = fixture_add_run(f.store, 0);
    assert_int_equal(store_schema_version(f.store), migrations_embedded_count);
    store_close(f.store);
    f.store = NULL;

    sqlite3 *handle = NULL;
    assert_int_equal(sqlite3_open(f.path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, "PRAGMA user_version = 999", 0, 0, 0), SQLITE_OK);
    assert_int_equal(store_open(f.path, &f.store, &fixture_error), STATUS_UNSUPPORTED);
    assert_non_null(strstr(fixture_error.message, f.path));
    assert_null(f.store);
    char back[64];
    (void)snprintf(back, sizeof(back), "PRAGMA user_version = %d", migrations_embedded_count);
    assert_int_equal(sqlite3_exec(handle, back, 0, 0, 0), SQLITE_OK);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);

    fixture_open_store(&f);
    assert_int_equal(fixture_state(f.store, id), RUN_QUEUED);
    fixture_end(&f);
}

/* A database as the first version left it: a run with history, one being canceled, a fresh one. */
static const char first_version_rows[] =
    "INSERT INTO run (name, priority, labels_json, config_json, preset, dataset, depth, epochs, m,"
    " cutout_size, seed, state, cancel_requested, epochs_done, best_epoch, best_wrong, last_wrong,"
    " val_total, created_ms, updated_ms) VALUES"
    " ('a', 0, '{\"team\":\"vision\",\"x\":\"1\"}', "
    "'{\"copies\":\"aliased\",\"optimizer\":\"adam\"}',"
    "  'paper', 'shapes', 8, 6, 2, 4, 1, 'succeeded', 0, 6, 2, 10, 40, 100, 1, 1),"
    " ('b', 0, '{}', '{}', 'paper', 'shapes', 8, 6, 2, 4, 1, 'running', 1, 0, NULL, NULL, NULL, "
    "NULL,"
    "  1, 1),"
    " ('c', 0, '{}', '{}', 'paper', 'shapes', 8, 6, 2, 4, 1, 'queued', 0, 0, NULL, NULL, NULL, "
    "NULL,"
    "  1, 1);"
    "INSERT INTO epoch (run_id, epoch, val_wrong, val_total, lr, seconds, at_ms) VALUES"
    " (1, 1, 90, 100, 0.1, 1, 1), (1, 2, 10, 100, 0.1, 2, 1), (1, 3, 20, 100, 0.1, 3, 1),"
    " (1, 4, 20, 100, 0.1, 4, 1), (1, 5, 20, 100, 0.1, 5, 1), (1, 6, 40, 100, 0.1, 6, 1);";

static void runs_of_the_first_version_are_carried_over(void **state) {
    sqlite3 *handle = *state;
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 1, &fixture_error));
    assert_int_equal(sqlite3_exec(handle, first_version_rows, 0, 0, 0), SQLITE_OK);
    ASSERT_OK(
        migrate_apply(handle, migrations_embedded, migrations_embedded_count, &fixture_error));
    assert_int_equal(read_number(handle, "SELECT count(*) FROM run WHERE owner = ''"
                                         " AND sweep_id IS NULL AND forked_from IS NULL"),
                     3);
    assert_int_equal(read_number(handle, "SELECT count(*) FROM run WHERE id = 1 AND request = ''"
                                         " AND copies = 'aliased' AND optimizer = 'adam'"
                                         " AND best_error = 0.1 AND last_error = 0.4"
                                         " AND abs(mean_last_5 - 0.22) < 1e-9"
                                         " AND train_seconds = 21"),
                     1);
    assert_int_equal(read_number(handle, "SELECT count(*) FROM run WHERE id = 2"
                                         " AND request = 'cancel' AND best_error IS NULL"),
                     1);
    assert_int_equal(read_number(handle, "SELECT count(*) FROM run WHERE id = 3 AND request = ''"
                                         " AND train_seconds = 0 AND mean_last_5 IS NULL"),
                     1);
    assert_int_equal(read_number(handle,
                                 "SELECT count(*) FROM run_label WHERE run_id = 1 AND"
                                 " (key, value) IN (VALUES ('team', 'vision'), ('x', '1'))"),
                     2);
}

static void lists_get_their_indexes_and_runs_stay(void **state) {
    sqlite3 *handle = *state;
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 2, &fixture_error));
    assert_int_equal(
        sqlite3_exec(handle,
                     "INSERT INTO run (name, priority, labels_json, config_json, preset, dataset,"
                     " depth, epochs, m, cutout_size, seed, state, created_ms, updated_ms)"
                     " VALUES ('a', 1, '{}', '{}', 'p', 'd', 8, 2, 4, 12, 7, 'held', 5, 6)",
                     NULL, NULL, NULL),
        SQLITE_OK);
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 3, &fixture_error));
    assert_int_equal(read_number(handle, "SELECT seed FROM run INDEXED BY run_facts"
                                         " WHERE id > 0 AND name = 'a' AND m = 4"),
                     7);
    assert_int_equal(read_number(handle, "SELECT count(*) FROM run INDEXED BY run_facts_unfinished"
                                         " WHERE state IN ('queued', 'held', 'running', 'paused')"),
                     1);
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 6, &fixture_error));
    assert_int_equal(read_number(handle, "SELECT seed FROM run INDEXED BY run_by_name"
                                         " WHERE name = 'a' AND m = 4"),
                     7);
    assert_int_equal(read_number(handle, "SELECT count(*) FROM run INDEXED BY run_by_best"
                                         " WHERE best_error IS NOT NULL AND state = 'held'"),
                     0);
}

static void events_keep_their_ids_and_new_ones_go_on_behind_them(void **state) {
    sqlite3 *handle = *state;
    static const char rows[] =
        "INSERT INTO run (name, priority, labels_json, config_json, preset, dataset, depth, epochs,"
        " m, cutout_size, seed, state, created_ms, updated_ms)"
        " VALUES ('a', 1, '{}', '{}', 'p', 'd', 8, 2, 4, 12, 7, 'held', 5, 6);"
        "INSERT INTO event (run_id, type, at_ms, state, attempt, reason, epoch, step,"
        " checkpoint_kind) VALUES (1, 'state', 5, 'held', 1, 'why', NULL, NULL, NULL),"
        " (1, 'epoch', 6, NULL, NULL, NULL, 3, NULL, NULL),"
        " (1, 'checkpoint', 7, NULL, NULL, NULL, 3, 4, 'best'),"
        " (1, 'state', 8, 'held', 1, '', NULL, NULL, NULL);"
        "DELETE FROM event WHERE id = 4;";
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 4, &fixture_error));
    assert_int_equal(sqlite3_exec(handle, rows, 0, 0, 0), SQLITE_OK);
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 5, &fixture_error));
    assert_int_equal(read_number(handle,
                                 "SELECT count(*) FROM event WHERE (id, run_id, type, at_ms,"
                                 " state, attempt, reason) = (1, 1, 'state', 5, 'held', 1,"
                                 " 'why') OR (id, type, epoch) = (2, 'epoch', 3)"
                                 " OR (id, type, epoch, step, checkpoint_kind)"
                                 " = (3, 'checkpoint', 3, 4, 'best')"),
                     3);
    assert_int_equal(sqlite3_exec(handle,
                                  "INSERT INTO event (run_id, type, at_ms, name, priority,"
                                  " labels_json) VALUES (1, 'edit', 9, 'b', 2, '{}')",
                                  0, 0, 0),
                     SQLITE_OK);
    assert_int_equal(read_number(handle, "SELECT id FROM event WHERE type = 'edit'"), 5);
    assert_int_not_equal(sqlite3_exec(handle,
                                      "INSERT INTO event (run_id, type, at_ms)"
                                      " VALUES (1, 'nonsense', 9)",
                                      0, 0, 0),
                         SQLITE_OK);
    assert_int_equal(read_number(handle, "SELECT count(*) FROM pragma_integrity_check"
                                         " WHERE integrity_check = 'ok'"),
                     1);
    /* What the table promised before. */
    assert_int_equal(read_number(handle, "SELECT count(*) FROM sqlite_schema WHERE type = 'index'"
                                         " AND name IN ('event_of_run', 'event_once_an_epoch')"),
                     2);
    assert_int_equal(sqlite3_exec(handle, "PRAGMA foreign_keys = ON; DELETE FROM run", 0, 0, 0),
                     SQLITE_OK);
    assert_int_equal(read_number(handle, "SELECT count(*) FROM event"), 0);
}

static void runs_get_what_the_time_of_their_epochs_depends_on(void **state) {
    sqlite3 *handle = *state;
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 6, &fixture_error));
    assert_int_equal(
        sqlite3_exec(
            handle,
            "INSERT INTO run (name, priority, labels_json, config_json, preset, dataset,"
            " depth, epochs, m, cutout_size, seed, state, created_ms, updated_ms) VALUES"
            " ('a', 1, '{}', '{\"batch_size\":64,\"train_images\":1000,\"drop_last\":true}',"
            "  'p', 'd', 8, 2, 4, 12, 7, 'held', 5, 6),"
            " ('b', 1, '{}', '{}', 'p', 'd', 8, 2, 4, 12, 7, 'held', 5, 6)",
            NULL, NULL, NULL),
        SQLITE_OK);
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 8, &fixture_error));
    assert_int_equal(read_number(handle, "SELECT count(*) FROM run INDEXED BY run_of_owner"
                                         " WHERE owner = ''"),
                     2);
    assert_int_equal(read_number(handle, "SELECT count(*) FROM run WHERE id = 1 AND"
                                         " (batch_size, train_images, drop_last) = (64, 1000, 1)"),
                     1);
    assert_int_equal(read_number(handle, "SELECT count(*) FROM run WHERE id = 2 AND"
                                         " (batch_size, train_images, drop_last) = (0, 0, 0)"),
                     1);
}

static void runs_get_the_local_executor(void **state) {
    sqlite3 *handle = *state;
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 8, &fixture_error));
    assert_int_equal(
        sqlite3_exec(handle,
                     "INSERT INTO run (name, priority, labels_json, config_json, preset, dataset,"
                     " depth, epochs, m, cutout_size, seed, state, created_ms, updated_ms) VALUES"
                     " ('a', 1, '{}', '{}', 'p', 'd', 8, 2, 4, 12, 7, 'running', 5, 6)",
                     NULL, NULL, NULL),
        SQLITE_OK);
    ASSERT_OK(
        migrate_apply(handle, migrations_embedded, migrations_embedded_count, &fixture_error));
    assert_int_equal(read_number(handle, "SELECT count(*) FROM run WHERE executor = 'local'"
                                         " AND handle = '' AND reports = 0 AND name = 'a'"),
                     1);
}

static void runs_of_before_have_an_arithmetic_that_nobody_noted(void **state) {
    sqlite3 *handle = *state;
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 11, &fixture_error));
    assert_int_equal(
        sqlite3_exec(handle,
                     "INSERT INTO run (name, priority, labels_json, config_json, preset, dataset,"
                     " depth, epochs, m, cutout_size, seed, state, created_ms, updated_ms, variant)"
                     " VALUES ('a', 1, '{}', '{}', 'p', 'd', 8, 2, 4, 12, 7, 'paused', 5, 6,"
                     " 'avx2')",
                     NULL, NULL, NULL),
        SQLITE_OK);
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 12, &fixture_error));
    assert_int_equal(read_number(handle, "SELECT count(*) FROM run WHERE arithmetic = ''"
                                         " AND variant = 'avx2' AND name = 'a'"),
                     1);
}

/* Run 1 had 500 images an epoch. 2 is its fork with 8000 from epoch 2 on, 3 a fork of that with 100
 * from epoch 4 on; 4 a fork of 1 that had to start anew; 5 a fork of one that is gone. */
static const char forks[] =
    "INSERT INTO run (id, name, priority, labels_json, config_json, preset, dataset, depth, epochs,"
    " m, cutout_size, seed, state, created_ms, updated_ms, images_per_epoch, steps_per_epoch,"
    " forked_from, forked_epoch) VALUES"
    " (1, '', 0, '{}', '{}', 'p', 'd', 8, 9, 1, 0, 1, 'paused', 10, 1, 500, 10, NULL, NULL),"
    " (2, '', 0, '{}', '{}', 'p', 'd', 8, 9, 16, 0, 1, 'paused', 50, 1, 8000, 160, 1, 1),"
    " (3, '', 0, '{}', '{}', 'p', 'd', 8, 9, 1, 0, 1, 'paused', 70, 1, 100, 2, 2, 3),"
    " (4, '', 0, '{}', '{}', 'p', 'd', 8, 9, 1, 0, 1, 'paused', 50, 1, 8000, 160, 1, 1),"
    " (5, '', 0, '{}', '{}', 'p', 'd', 8, 9, 1, 0, 1, 'paused', 50, 1, 8000, 160, 99, 2);"
    "INSERT INTO epoch (run_id, epoch, val_wrong, val_total, lr, seconds, at_ms) VALUES"
    " (1, 1, 1, 1, 1, 1, 20), (1, 2, 1, 1, 1, 1, 21),"
    " (2, 1, 1, 1, 1, 1, 20), (2, 2, 1, 1, 1, 16, 60), (2, 3, 1, 1, 1, 16, 61),"
    " (3, 1, 1, 1, 1, 1, 20), (3, 2, 1, 1, 1, 16, 60), (3, 3, 1, 1, 1, 16, 61),"
    " (3, 4, 1, 1, 1, .2, 80),"
    " (4, 1, 1, 1, 1, 16, 60), (4, 2, 1, 1, 1, 16, 61),"
    " (5, 1, 1, 1, 1, 1, 20), (5, 2, 1, 1, 1, 1, 21), (5, 3, 1, 1, 1, 16, 60);";

static void inherited_epochs_get_the_images_of_the_run_that_trained_them(void **state) {
    sqlite3 *handle = *state;
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 8, &fixture_error));
    assert_int_equal(sqlite3_exec(handle, forks, 0, 0, 0), SQLITE_OK);
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 9, &fixture_error));
    /* What a run trained itself is not written. */
    assert_int_equal(read_number(handle, "SELECT count(*) FROM epoch WHERE images IS NOT NULL"), 6);
    assert_int_equal(read_number(handle,
                                 "SELECT count(*) FROM epoch WHERE (run_id, epoch, images, steps)"
                                 " IN (VALUES (2, 1, 500, 10), (3, 1, 500, 10), (3, 2, 8000, 160),"
                                 " (3, 3, 8000, 160), (5, 1, 0, 0), (5, 2, 0, 0))"),
                     6);
    assert_int_equal(read_number(handle, "SELECT count(*) FROM run WHERE (id, inherited_epochs,"
                                         " inherited_seconds) IN (VALUES (1, 0, 0.0), (2, 1, 1.0),"
                                         " (3, 3, 33.0), (4, 0, 0.0), (5, 2, 2.0))"),
                     5);
    assert_int_equal(
        read_number(handle, "SELECT value FROM setting WHERE name = 'config_rewrite_upto'"), 5);
}

static void runs_of_before_have_no_errors_by_class(void **state) {
    sqlite3 *handle = *state;
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 8, &fixture_error));
    assert_int_equal(sqlite3_exec(handle, forks, 0, 0, 0), SQLITE_OK);
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 13, &fixture_error));
    assert_int_equal(read_number(handle, "SELECT count(*) FROM run"), 5);
    assert_int_equal(read_number(handle, "SELECT count(*) FROM confusion"), 0);
    assert_int_equal(sqlite3_exec(handle,
                                  "PRAGMA foreign_keys = ON;"
                                  "INSERT INTO confusion VALUES (1, 2, 'a', '1');"
                                  "DELETE FROM run WHERE id = 1",
                                  0, 0, 0),
                     SQLITE_OK);
    assert_int_equal(read_number(handle, "SELECT count(*) FROM confusion"), 0);
}

static void links_go_with_their_sweep(void **state) {
    sqlite3 *handle = *state;
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 13, &fixture_error));
    assert_int_equal(sqlite3_exec(handle,
                                  "INSERT INTO sweep (name, spec_json, created_ms)"
                                  " VALUES ('a', '{}', 1), ('b', '{}', 1)",
                                  0, 0, 0),
                     SQLITE_OK);
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 14, &fixture_error));
    assert_int_equal(read_number(handle, "SELECT count(*) FROM sweep"), 2);
    assert_int_equal(sqlite3_exec(handle,
                                  "PRAGMA foreign_keys = ON;"
                                  "INSERT INTO link (sweep_id, sha256, owner, created_ms,"
                                  " expires_ms) VALUES (1, 'x', '', 1, 2), (2, 'y', '', 1, 2);"
                                  "DELETE FROM sweep WHERE id = 1",
                                  0, 0, 0),
                     SQLITE_OK);
    assert_int_equal(read_number(handle, "SELECT sweep_id FROM link"), 2);
}

static void runs_of_before_are_stopped_by_no_rule_and_keep_what_paper_was(void **state) {
    sqlite3 *handle = *state;
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 14, &fixture_error));
    assert_int_equal(sqlite3_exec(handle, forks, 0, 0, 0), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(handle,
                     "UPDATE run SET preset = 'paper', config_json = '{\"preset\":\"paper\"}'"
                     " WHERE id = 3;"
                     "INSERT INTO sweep (name, spec_json, created_ms) VALUES"
                     " ('a', '{\"base\":{\"preset\":\"paper\",\"m\":2}}', 1),"
                     " ('b', '{\"base\":{},\"grid\":{\"preset\":[\"paper\",\"p\"]}}', 1),"
                     " ('c', 'no JSON', 1)",
                     0, 0, 0),
        SQLITE_OK);
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 16, &fixture_error));
    assert_int_equal(read_number(handle, "SELECT count(*) FROM run WHERE stopped_by IS NULL"
                                         " AND max_seconds IS NULL"),
                     5);
    assert_int_equal(read_number(handle, "SELECT id FROM run WHERE preset = 'paper-v1'"), 3);
    assert_int_equal(read_number(handle,
                                 "SELECT count(*) FROM sweep WHERE spec_json IN ("
                                 "'{\"base\":{\"preset\":\"paper-v1\",\"m\":2}}',"
                                 "'{\"base\":{},\"grid\":{\"preset\":[\"paper-v1\",\"p\"]}}',"
                                 "'no JSON')"),
                     3);
}

static void older_runs_have_no_placement(void **state) {
    sqlite3 *handle = *state;
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 8, &fixture_error));
    assert_int_equal(sqlite3_exec(handle, forks, 0, 0, 0), SQLITE_OK);
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 17, &fixture_error));
    assert_int_equal(read_number(handle, "SELECT count(*) FROM run WHERE job = '' AND node = ''"
                                         " AND job_state = '' AND job_reason = ''"),
                     5);
}

static void runs_of_before_are_counted_for_their_owners(void **state) {
    sqlite3 *handle = *state;
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 14, &fixture_error));
    assert_int_equal(
        sqlite3_exec(handle,
                     "INSERT INTO run (name, priority, labels_json, config_json, preset, dataset,"
                     " depth, epochs, m, cutout_size, seed, state, owner, created_ms, updated_ms)"
                     " SELECT 'x', column2, '{}', '{}', 'p', 'shapes', 8, 1, 1, 12, 1, column1,"
                     " column3, 1, 1 FROM (VALUES ('queued', 0, 'anna'), ('queued', 0, 'anna'),"
                     " ('queued', 2, 'anna'), ('held', 0, 'anna'), ('running', 0, 'bert'),"
                     " ('failed', 0, ''))",
                     0, 0, 0),
        SQLITE_OK);
    ASSERT_OK(
        migrate_apply(handle, migrations_embedded, migrations_embedded_count, &fixture_error));
    assert_int_equal(read_number(handle, "SELECT count(*) FROM owner"), 3);
    assert_int_equal(read_number(handle, "SELECT queued * 10 + held FROM owner WHERE name ="
                                         " 'anna'"),
                     31);
    assert_int_equal(read_number(handle, "SELECT running FROM owner WHERE name = 'bert'"), 1);
    assert_int_equal(read_number(handle, "SELECT count(*) FROM waiting"), 2);
    assert_int_equal(read_number(handle, "SELECT n FROM waiting WHERE priority = 0"), 2);
    assert_int_equal(read_number(handle, "SELECT count(*) FROM run WHERE charged_ms IS NULL"), 6);
}

/* Lines that were written stay as they are; triggers write none of settings any more. */
static void the_audit_of_before_stays_and_open_deliveries_are_found(void **state) {
    sqlite3 *handle = *state;
    ASSERT_OK(migrate_apply(handle, migrations_embedded, 24, &fixture_error));
    assert_int_equal(
        sqlite3_exec(handle,
                     "INSERT INTO actor VALUES (1, 'root', '', '', 'PATCH /api/v1/scheduler');"
                     "INSERT INTO setting (name, value) VALUES ('workers', '2');"
                     "INSERT INTO webhook (name, url, events, template, secret, owner, created_ms)"
                     " VALUES ('lab', 'u', '', 'json', 's', '', 1);"
                     "INSERT INTO delivery (webhook_id, event, facts, created_ms, state, next_ms)"
                     " SELECT 1, 'test', '{}', 1, column1, 1 FROM (VALUES ('delivered'), ('dead'),"
                     " ('pending'))",
                     0, 0, 0),
        SQLITE_OK);
    ASSERT_OK(
        migrate_apply(handle, migrations_embedded, migrations_embedded_count, &fixture_error));
    assert_int_equal(
        sqlite3_exec(handle, "UPDATE setting SET value = '3' WHERE name = 'workers'", 0, 0, 0),
        SQLITE_OK);
    assert_int_equal(read_number(handle, "SELECT count(*) FROM audit WHERE subject = 'setting'"),
                     1);
    assert_int_equal(read_number(handle, "SELECT count(*) FROM delivery INDEXED BY delivery_open"
                                         " WHERE webhook_id = 1 AND state <> 'delivered'"),
                     2);
}

static void a_file_that_is_no_database_is_refused(void **state) {
    (void)state;
    struct store_fixture f;
    fixture_begin(&f);
    store_close(f.store);
    f.store = NULL;
    FILE *file = fopen(f.path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++) {
        (void)fputs("this is not a database ", file);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(store_open(f.path, &f.store, &fixture_error), STATUS_CORRUPT);
    fixture_end(&f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(migrations_are_applied_in_order_and_only_once),
        TEST(a_migration_that_fails_leaves_nothing_behind),
        TEST(a_newer_database_is_refused),
        TEST(a_database_of_another_program_is_refused),
        TEST(a_changed_old_migration_is_refused),
        TEST(a_history_with_a_hole_is_refused),
        TEST(runs_of_the_first_version_are_carried_over),
        TEST(lists_get_their_indexes_and_runs_stay),
        TEST(runs_get_what_the_time_of_their_epochs_depends_on),
        TEST(runs_get_the_local_executor),
        TEST(runs_of_before_have_an_arithmetic_that_nobody_noted),
        TEST(inherited_epochs_get_the_images_of_the_run_that_trained_them),
        TEST(runs_of_before_have_no_errors_by_class),
        TEST(links_go_with_their_sweep),
        TEST(runs_of_before_are_stopped_by_no_rule_and_keep_what_paper_was),
        TEST(older_runs_have_no_placement),
        TEST(runs_of_before_are_counted_for_their_owners),
        TEST(the_audit_of_before_stays_and_open_deliveries_are_found),
        TEST(events_keep_their_ids_and_new_ones_go_on_behind_them),
        cmocka_unit_test(the_store_refuses_a_newer_database_and_keeps_it),
        cmocka_unit_test(a_file_that_is_no_database_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
