/* Thread rule: one thread. */
#include "tests/sim/databases.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/store/migrate.h"
#include "tests/sim/disk.h"
#include "tests/sim/model.h"
#include "tests/sim/receiver.h"
#include "tests/sim/sched.h"
#include "tests/sim/sim.h"
#include "tests/sim/vfs.h"

static void execute(sqlite3 *handle, const char *sql) {
    char *message = NULL;
    if (sqlite3_exec(handle, sql, NULL, NULL, &message) != SQLITE_OK) {
        sim_fail("the simulator works", "%s: %s", sql, message);
    }
}

/* With columns that every version has. A run that succeeded has its epochs, and no files. */
static void add_run(sqlite3 *handle, struct wanted *w, int number, bool finished) {
    char sql[1600];
    (void)snprintf(
        sql, sizeof(sql),
        "INSERT INTO run (id, name, priority, labels_json, config_json, preset, dataset, depth,"
        " epochs, m, cutout_size, seed, state, created_ms, updated_ms) VALUES (%d, '%s', %d, '{}',"
        " '{\"preset\":\"notebook-q3\",\"dataset\":\"shapes\",\"depth\":8,\"epochs\":%d,\"m\":1,"
        "\"batch_size\":2,\"seed\":%" PRIu64 ",\"name\":\"%s\",\"priority\":%d,\"labels\":{}}',"
        " 'notebook-q3', 'shapes', 8, %d, 1, 12, %" PRIu64 ", 'queued', 1000, 1000);"
        "INSERT INTO event (run_id, type, at_ms, state, attempt, reason)"
        " VALUES (%d, 'state', 1000, 'queued', 1, '')",
        number, w->name, w->priority, w->epochs, w->seed, w->name, w->priority, w->epochs, w->seed,
        number);
    execute(handle, sql);
    if (!finished) {
        return;
    }
    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO event (run_id, type, at_ms, state, attempt, reason)"
                   " VALUES (%d, 'state', 1001, 'running', 1, '')",
                   number);
    execute(handle, sql);
    for (int epoch = 1; epoch <= w->epochs; epoch++) {
        (void)snprintf(sql, sizeof(sql),
                       "INSERT INTO epoch (run_id, epoch, train_loss, val_wrong, val_total, lr,"
                       " at_ms) VALUES (%d, %d, %.17g, %d, %d, 0.001, 1002);"
                       "INSERT INTO event (run_id, type, at_ms, epoch)"
                       " VALUES (%d, 'epoch', 1002, %d)",
                       number, epoch, metric_loss(w->seed, epoch), metric_wrong(w->seed, epoch),
                       METRIC_TOTAL, number, epoch);
        execute(handle, sql);
    }
    int best = metric_best(w->seed, w->epochs);
    (void)snprintf(sql, sizeof(sql),
                   "UPDATE run SET state = 'succeeded', epochs_done = %d, best_epoch = %d,"
                   " best_wrong = %d, last_wrong = %d, val_total = %d, started_ms = 1001,"
                   " finished_ms = 1003 WHERE id = %d;"
                   "INSERT INTO event (run_id, type, at_ms, state, attempt, reason)"
                   " VALUES (%d, 'state', 1003, 'succeeded', 1, '')",
                   w->epochs, best, metric_wrong(w->seed, best), metric_wrong(w->seed, w->epochs),
                   METRIC_TOTAL, number, number);
    execute(handle, sql);
}

static const char path[] = SIM_STATE_DIR "/cutoutd.db";

/* A new database of that version, open. */
static sqlite3 *make(int version) {
    sqlite3 *handle = NULL;
    struct error error = {.message = ""};
    (void)sqlite3_open_v2(path, &handle,
                          SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    execute(handle, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    if (migrate_apply(handle, migrations_embedded, version, &error) != STATUS_OK) {
        sim_fail("the simulator works", "%s", error.message);
    }
    return handle;
}

static unsigned char *empty;
static size_t n_empty;

void databases_prepare(void) {
    disk_format();
    sqlite3 *handle = make(migrations_embedded_count);
    receiver_add_hook(handle);
    (void)sqlite3_close(handle);
    const struct node *node = disk_find(path);
    n_empty = (size_t)disk_size(node);
    empty = malloc(n_empty);
    if (!empty || disk_read(node, empty, n_empty, 0) != n_empty) {
        (void)fprintf(stderr, "sim: no empty database\n");
        abort();
    }
    vfs_reset();
}

void databases_put_empty(void) {
    struct node *node = NULL;
    (void)disk_make(path, false, &node);
    (void)disk_write(node, empty, n_empty, 0);
    disk_sync(node);
}

void databases_make_old(struct stream *choices) {
    int version = 1 + stream_below(choices, migrations_embedded_count);
    int n_runs = 1 + stream_below(choices, 4);
    int n_finished = stream_below(choices, n_runs + 1); /* the first ones: they came first */
    sqlite3 *handle = make(version);
    for (int i = 1; i <= n_runs; i++) {
        struct wanted *w = model_want();
        (void)snprintf(w->name, sizeof(w->name), "old%d", i);
        w->seed = mix((uint64_t)i + 77) % 1000000;
        w->epochs = 1 + stream_below(choices, 4);
        w->priority = stream_below(choices, 3);
        w->accepted = true;
        w->older = true;
        add_run(handle, w, i, i <= n_finished);
    }
    char sql[256];
    (void)snprintf(sql, sizeof(sql),
                   "UPDATE event SET at_ms = at_ms + %" PRId64 ";"
                   "UPDATE run SET created_ms = created_ms + %" PRId64
                   ", finished_ms = finished_ms + %" PRId64,
                   sched_unix_ms(), sched_unix_ms(), sched_unix_ms());
    execute(handle, sql);
    (void)sqlite3_close(handle);
    vfs_reset();
    sim_tell("the database of version %d with %d runs", version, n_runs);
}
