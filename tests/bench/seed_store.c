/* seed_store DIR N_RUNS N_EPOCHS: fills DIR/cutoutd.db, which must not be there yet, with finished
 * runs and their histories, so that the API can be measured on a store of many years.
 *
 * Over the schema, not over HTTP: 100,000 runs of 50 epochs take less than a minute. The rows are a
 * function of their numbers. No run is queued or running: a daemon on the store stays idle.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "daemon/spec/run_spec_json.h"
#include "daemon/store/change/run_change.h"

#define SERIES                                                                                     \
    "WITH RECURSIVE series(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM series WHERE i < ?1) "

static const char *const steps[] = {
    "INSERT INTO sweep (id, name, spec_json, created_ms)" SERIES
    "SELECT i - 1, 'sweep ' || (i - 1), '{}', 1700000000000 FROM series WHERE i <= ?1 / 15 + 2",

    /* Everything about run i follows from i; columns that are not named are as in run 1. */
    "INSERT INTO run (id, name, priority, labels_json, config_json, preset, dataset, depth, epochs,"
    " m, cutout_size, seed, state, reason, attempt, variant, dataset_sha256, epochs_done,"
    " best_epoch, best_wrong, last_wrong, val_total, images_per_second, created_ms, started_ms,"
    " finished_ms, updated_ms, revision, owner, sweep_id, copies, optimizer, steps_per_epoch,"
    " images_per_epoch, batch_size, train_images, drop_last)" SERIES
    "SELECT i, 'run ' || (i * 7919 % 100003), i % 5, '{\"team\":\"t' || (i % 10) || '\"}',"
    " r.config_json, CASE i % 3 WHEN 0 THEN 'paper' ELSE 'notebook-q3' END,"
    " CASE i % 2 WHEN 0 THEN 'cifar10' ELSE 'shapes' END, 44, ?2, 1 << (i % 6), 4 * (i % 5), i % 7,"
    " CASE WHEN i % 100 < 90 THEN 'succeeded' WHEN i % 100 < 95 THEN 'failed'"
    "  WHEN i % 100 < 98 THEN 'canceled' WHEN i % 100 < 99 THEN 'held' ELSE 'paused' END,"
    " '', 1, 'avx2', lower(hex(zeroblob(32))), ?2, 0, 0, 0, 10000, 500.0,"
    " 1700000000000 + i * 60000, 1700000060000 + i * 60000, 1700003600000 + i * 60000,"
    " 1700003600000 + i * 60000, ?2 + 3, 'user' || (i % 20), i / 15 + 1, 'independent',"
    " CASE i % 4 WHEN 0 THEN 'adam' ELSE 'rmsprop' END, 781, 50000,"
    " r.batch_size, r.train_images, r.drop_last"
    " FROM series CROSS JOIN run r ON r.id = 1",

    "INSERT INTO run_label (run_id, key, value)"
    " SELECT id, 'team', 't' || (id % 10) FROM run WHERE id > 1 AND ?1 = ?1",

    /* A falling error with some noise. */
    "INSERT INTO epoch (run_id, epoch, train_loss, train_accuracy, val_loss, val_accuracy,"
    " val_wrong, val_total, lr, seconds, images_per_second, at_ms) "
    "WITH RECURSIVE series(e) AS (SELECT 1 UNION ALL SELECT e + 1 FROM series WHERE e < ?2)"
    "SELECT id, e, 2.3 / (1 + e * 0.1), 1 - 0.9 / (1 + e * 0.1), 2.5 / (1 + e * 0.1),"
    " 1 - (9000 / (1 + e) + (id * 31 + e * 17) % 400) / 10000.0,"
    " 9000 / (1 + e) + (id * 31 + e * 17) % 400, 10000, 0.001, 60.5 + e % 3, 826.0, created_ms + e"
    " FROM run CROSS JOIN series WHERE id > 1 AND ?1 = ?1",

    "UPDATE run SET"
    " (best_epoch, best_wrong, best_error) = (SELECT epoch, min(val_wrong),"
    "  min(val_wrong) / 10000.0 FROM epoch WHERE run_id = run.id),"
    " (last_wrong, last_error) = (SELECT val_wrong, val_wrong / 10000.0 FROM epoch"
    "  WHERE run_id = run.id AND epoch = ?2),"
    " mean_last_5 = (SELECT avg(val_wrong) / 10000.0 FROM epoch"
    "  WHERE run_id = run.id AND epoch > ?2 - 5),"
    " train_seconds = ?2 * 61.5 WHERE id > 1 AND ?1 = ?1",

    "INSERT INTO event (run_id, type, at_ms, state, attempt, reason)"
    " SELECT id, 'state', created_ms, state, 1, '' FROM run WHERE id > 1 AND ?1 = ?1",
    "UPDATE run SET state = 'canceled' WHERE id = 1 AND ?1 = ?1",
};

/* Makes the database and its first run, whose configuration the others have. */
static enum status make_first(const char *path, struct error *error) {
    const struct run_spec_context context = {.dataset_names = (const char *const[]){"shapes"},
                                             .n_dataset_names = 1,
                                             .default_dataset = "shapes"};
    struct run_spec spec;
    struct field_errors errors;
    TRY(run_spec_parse("{}", 2, &context, &spec, &errors));
    CLEANUP(free_pointer) char *config_json = run_spec_to_json(&spec);
    const struct run_draft draft = {
        .name = "", .labels_json = "{}", .config_json = config_json, .config = &spec.config};
    struct store *store = NULL;
    int64_t id = 0;
    TRY(store_open(path, &store, error));
    enum status status = run_table_insert(store, &draft, 1700000000000, &id, error);
    store_close(store);
    return status;
}

static bool run_step(sqlite3 *handle, const char *sql, int n_runs, int n_epochs) {
    sqlite3_stmt *statement = NULL;
    bool ok = sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) == SQLITE_OK;
    if (ok) {
        (void)sqlite3_bind_int(statement, 1, n_runs);
        (void)sqlite3_bind_int(statement, 2, n_epochs);
        ok = sqlite3_step(statement) == SQLITE_DONE;
    }
    if (!ok) {
        (void)fprintf(stderr, "seed_store: %s\n%s\n", sqlite3_errmsg(handle), sql);
    }
    (void)sqlite3_finalize(statement);
    return ok;
}

static bool fill(const char *path, int n_runs, int n_epochs) {
    sqlite3 *handle = NULL;
    /* Nothing is lost when this is interrupted but the time it took. */
    bool ok = sqlite3_open(path, &handle) == SQLITE_OK &&
              sqlite3_exec(handle,
                           "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
                           "PRAGMA cache_size = -200000; BEGIN",
                           NULL, NULL, NULL) == SQLITE_OK;
    for (size_t i = 0; ok && i < sizeof(steps) / sizeof(steps[0]); i++) {
        ok = run_step(handle, steps[i], n_runs, n_epochs);
    }
    ok = ok && sqlite3_exec(handle, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
    return sqlite3_close(handle) == SQLITE_OK && ok;
}

int main(int argc, char **argv) {
    int n_runs = argc == 4 ? atoi(argv[2]) : 0;
    int n_epochs = argc == 4 ? atoi(argv[3]) : 0;
    if (n_runs < 2 || n_epochs < 1) {
        (void)fprintf(stderr, "usage: seed_store DIR N_RUNS N_EPOCHS\n");
        return 2;
    }
    char path[4096];
    struct error error;
    (void)snprintf(path, sizeof(path), "%s/cutoutd.db", argv[1]);
    if (access(path, F_OK) == 0) {
        (void)fprintf(stderr, "seed_store: %s is there already\n", path);
        return 1;
    }
    if (make_first(path, &error) != STATUS_OK) {
        (void)fprintf(stderr, "seed_store: %s\n", error.message);
        return 1;
    }
    return fill(path, n_runs, n_epochs) ? 0 : 1;
}
