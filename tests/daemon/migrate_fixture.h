/* A database in memory, for the tests of migrations. */
#ifndef CUTOUTD_TESTS_DAEMON_MIGRATE_FIXTURE_H
#define CUTOUTD_TESTS_DAEMON_MIGRATE_FIXTURE_H

#include "tests/daemon/store_fixture.h"

#include <sqlite3.h>

#include "daemon/store/migrate.h"

static int set_up(void **state) {
    sqlite3 *handle = NULL;
    assert_int_equal(sqlite3_open(":memory:", &handle), SQLITE_OK);
    *state = handle;
    return 0;
}

static int tear_down(void **state) {
    return sqlite3_close(*state);
}

static int read_number(sqlite3 *handle, const char *sql) {
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int number = sqlite3_column_int(statement, 0);
    (void)sqlite3_finalize(statement);
    return number;
}

#endif
