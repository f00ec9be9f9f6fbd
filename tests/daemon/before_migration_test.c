/* Before a newer program changes the database, it keeps a copy of it. */
#include "tests/daemon/store_fixture.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include "daemon/store/before_migration.h"
#include "daemon/store/migrate.h"
#include "daemon/store/query/inspect.h"

static int set_up(void **state) {
    static struct store_fixture f;
    fixture_begin(&f);
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    fixture_end(*state);
    return 0;
}

/* As an older program would have left it. */
static void set_version(struct store_fixture *f, int version) {
    sqlite3 *handle = NULL;
    char sql[64];
    (void)snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", version);
    assert_int_equal(sqlite3_open(f->path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

static enum status keep(struct store_fixture *f) {
    struct db db;
    ASSERT_OK(db_open(&db, f->path, true, &fixture_error));
    enum status status = before_migration_keep(&db, f->path, &fixture_error);
    db_close(&db);
    return status;
}

static bool has_copy(const struct store_fixture *f, int version) {
    char path[160];
    struct inspection found;
    (void)snprintf(path, sizeof(path), "%s/before-migration/version-%d.db", f->dir, version);
    if (access(path, F_OK) != 0) {
        return false;
    }
    ASSERT_OK(inspect_database(path, &found, &fixture_error));
    assert_int_equal(found.version, version);
    assert_int_equal(found.n_runs, 1);
    return true;
}

static void nothing_is_kept_where_nothing_changes(void **state) {
    struct store_fixture *f = *state;
    char path[160];
    ASSERT_OK(keep(f));
    (void)snprintf(path, sizeof(path), "%s/before-migration", f->dir);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void the_newest_copies_are_kept(void **state) {
    struct store_fixture *f = *state;
    int newest = migrations_embedded_count;
    const struct run_config config = fixture_config();
    (void)fixture_add_run_like(f->store, 0, &config);
    store_close(f->store);
    f->store = NULL;
    for (int version = newest - 6; version < newest; version++) {
        set_version(f, version);
        ASSERT_OK(keep(f));
        assert_true(has_copy(f, version));
    }
    ASSERT_OK(keep(f)); /* the same once more takes the place of the first */
    for (int version = newest - 6; version < newest; version++) {
        assert_int_equal(has_copy(f, version), version >= newest - BEFORE_MIGRATION_KEPT);
    }
}

static void without_a_copy_nothing_is_changed(void **state) {
    struct store_fixture *f = *state;
    char path[160];
    store_close(f->store);
    f->store = NULL;
    set_version(f, migrations_embedded_count - 1);
    (void)snprintf(path, sizeof(path), "%s/before-migration", f->dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_not_equal(store_open(f->path, &f->store, &fixture_error), STATUS_OK);
    assert_non_null(strstr(fixture_error.message, "cannot keep a copy"));
    struct inspection found;
    ASSERT_OK(inspect_database(f->path, &found, &fixture_error));
    assert_int_equal(found.version, migrations_embedded_count - 1);
    f->store = NULL;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_kept_where_nothing_changes),
        TEST(the_newest_copies_are_kept),
        TEST(without_a_copy_nothing_is_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
