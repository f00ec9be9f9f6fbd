/* Thread rule: see the header. */
#include "tests/sim/looker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/sha256.h"
#include "tests/sim/disk.h"
#include "tests/sim/sched.h"
#include "tests/sim/sim.h"

enum { MOST_QUERIES = 24 };

static sqlite3 *handle;
static struct {
    const char *sql;
    sqlite3_stmt *statement;
} queries[MOST_QUERIES];

void looker_forget(void) {
    handle = NULL;
    memset(queries, 0, sizeof(queries));
}

void looker_let_go(void) {
    sched_calm++;
    for (int i = 0; i < MOST_QUERIES; i++) {
        (void)sqlite3_finalize(queries[i].statement);
    }
    if (sqlite3_close(handle) != SQLITE_OK) {
        sim_fail("the simulator works", "the looker cannot close: %s", sqlite3_errmsg(handle));
    }
    sched_calm--;
    looker_forget();
}

bool looker_begin(void) {
    sched_calm++;
    if (!handle) {
        (void)sqlite3_open_v2(SIM_STATE_DIR "/cutoutd.db", &handle,
                              SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
        (void)sqlite3_exec(handle, "PRAGMA wal_autocheckpoint = 0", NULL, NULL, NULL);
    }
    int code = sqlite3_exec(handle, "BEGIN; SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    if (code == SQLITE_OK) {
        return true;
    }
    if (code != SQLITE_BUSY && code != SQLITE_PROTOCOL && code != SQLITE_CANTOPEN) {
        sim_fail("the database can be read", "%s", sqlite3_errmsg(handle));
    }
    looker_end();
    return false;
}

void looker_end(void) {
    for (int i = 0; i < MOST_QUERIES; i++) {
        (void)sqlite3_reset(queries[i].statement);
    }
    if (!sqlite3_get_autocommit(handle)) {
        (void)sqlite3_exec(handle, "COMMIT", NULL, NULL, NULL);
    }
    sched_calm--;
}

sqlite3_stmt *looker_query(const char *sql, int64_t first) {
    int i = 0;
    while (queries[i].sql && queries[i].sql != sql) {
        i++;
    }
    if (!queries[i].sql) {
        queries[i].sql = sql;
        if (i + 1 == MOST_QUERIES ||
            sqlite3_prepare_v2(handle, sql, -1, &queries[i].statement, NULL) != SQLITE_OK) {
            sim_fail("the simulator works", "%s: %s", sql, sqlite3_errmsg(handle));
        }
    }
    sqlite3_stmt *statement = queries[i].statement;
    (void)sqlite3_reset(statement);
    if (sqlite3_bind_parameter_count(statement) > 0) {
        (void)sqlite3_bind_int64(statement, 1, first);
    }
    return statement;
}

bool looker_step(sqlite3_stmt *statement) {
    int code = sqlite3_step(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        sim_fail("the database can be read", "%s", sqlite3_errmsg(handle));
    }
    return code == SQLITE_ROW;
}

bool looker_file_is(const char *path, const char *sha256) {
    char hex[SHA256_HEX_SIZE];
    struct sha256 sha;
    unsigned char bytes[4096];
    const struct node *node = disk_find(path);
    if (!node) {
        return false;
    }
    sha256_begin(&sha);
    for (int64_t at = 0; at < disk_size(node); at += (int64_t)sizeof(bytes)) {
        sha256_update(&sha, bytes, disk_read(node, bytes, sizeof(bytes), at));
    }
    sha256_end(&sha, hex);
    return strcmp(hex, sha256) == 0;
}
