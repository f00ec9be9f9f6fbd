/* Thread rule: model.h. */
#include "tests/sim/model_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/sha256.h"
#include "tests/sim/fake_train.h"
#include "tests/sim/looker.h"
#include "tests/sim/receiver.h"
#include "tests/sim/sim.h"

static const char sql_run[] =
    "SELECT name, epochs, seed + (m - 1) * 1000000000, executor, priority, state, attempt, "
    "epochs_done,"
    " coalesce(best_epoch, 0), coalesce(best_wrong, 0), coalesce(last_wrong, 0), handle,"
    " finished_ms IS NOT NULL, interruptions, coalesce(forked_epoch, 0),"
    " (SELECT count(*) FROM run_after WHERE run_id = run.id), coalesce(not_before_ms, 0)"
    " FROM run WHERE id = ?1";
static const char sql_epochs[] =
    "SELECT epoch, val_wrong, val_total, train_loss FROM epoch WHERE run_id = ?1 ORDER BY epoch";
static const char sql_checkpoints[] = "SELECT kind, path, sha256, epochs_done, step"
                                      " FROM checkpoint WHERE run_id = ?1 ORDER BY id DESC";
static const char sql_draining[] =
    "SELECT coalesce((SELECT CAST(value AS INTEGER) FROM setting WHERE name = 'draining'), 0)";

/* Each is 0 when the counts that triggers keep are those of the rows. */
static const char sql_counts[] =
    "SELECT (SELECT total(queued) FROM owner) - (SELECT count(*) FROM run WHERE state = 'queued'),"
    " (SELECT total(held) FROM owner) - (SELECT count(*) FROM run WHERE state = 'held'),"
    " (SELECT total(running) FROM owner) - (SELECT count(*) FROM run WHERE state = 'running'),"
    " (SELECT total(n) FROM waiting) - (SELECT count(*) FROM run WHERE state = 'queued'),"
    " (SELECT total(disk) FROM owner) - (SELECT total(n_bytes) FROM"
    "  (SELECT DISTINCT run_id, path, n_bytes FROM checkpoint)),"
    " (SELECT count(*) FROM actor)";
static const char sql_born[] = "SELECT count(*) FROM audit WHERE subject = 'run'"
                               " AND subject_id = CAST(?1 AS TEXT) AND before IS NULL";

static const char *text(sqlite3_stmt *statement, int column) {
    const char *value = (const char *)sqlite3_column_text(statement, column);
    return value ? value : "";
}

int model_forked_epoch(const struct wanted *w) {
    if (w->forked_from == 0) {
        return 0;
    }
    sqlite3_stmt *row = looker_query(sql_run, w->id);
    int forked_epoch = looker_step(row) ? sqlite3_column_int(row, 14) : 0;
    (void)sqlite3_reset(row);
    return forked_epoch;
}

static void check_values(const struct wanted *w, sqlite3_stmt *row) {
    if (strcmp(w->name, text(row, 0)) != 0 || sqlite3_column_int(row, 1) != w->epochs ||
        (uint64_t)sqlite3_column_int64(row, 2) != w->seed ||
        (strcmp(text(row, 3), SIM_ELSEWHERE) == 0) != w->elsewhere) {
        sim_fail("an accepted run has its values",
                 "run %" PRId64 " is %s, %d epochs, seed %lld, executor %s", w->id, text(row, 0),
                 sqlite3_column_int(row, 1), sqlite3_column_int64(row, 2), text(row, 3));
    }
    if (sqlite3_column_int(row, 4) != w->priority_now) {
        sim_fail("an accepted run has its values", "run %" PRId64 " has priority %d instead of %d",
                 w->id, sqlite3_column_int(row, 4), w->priority_now);
    }
    int64_t not_before_ms = sqlite3_column_int64(row, 16);
    if (not_before_ms < w->not_before.least_ms || not_before_ms > w->not_before.most_ms) {
        sim_fail("an accepted run has its values",
                 "run %" PRId64 " starts after %" PRId64 " and not between %" PRId64
                 " and %" PRId64,
                 w->id, not_before_ms, w->not_before.least_ms, w->not_before.most_ms);
    }
}

static void check_state(const struct wanted *w, sqlite3_stmt *row) {
    enum run_state state = RUN_STATE_COUNT;
    (void)run_state_from_name(text(row, 5), &state);
    if (state != w->state || sqlite3_column_int(row, 6) != w->attempt) {
        sim_fail("the log tells what is so",
                 "run %" PRId64 " is %s at attempt %d, its events say %s at attempt %d", w->id,
                 text(row, 5), sqlite3_column_int(row, 6),
                 w->state == RUN_STATE_COUNT ? "nothing" : run_state_name(w->state), w->attempt);
    }
    bool has_handle = text(row, 11)[0] != '\0';
    if (has_handle != (state == RUN_RUNNING) ||
        (sqlite3_column_int(row, 12) != 0) != run_state_is_final(state)) {
        sim_fail("the row agrees with itself", "run %" PRId64 " is %s, handle '%s', finished %d",
                 w->id, text(row, 5), text(row, 11), sqlite3_column_int(row, 12));
    }
    if (sqlite3_column_int(row, 13) > w->starts) {
        sim_fail("recovery twice is recovery once",
                 "run %" PRId64 " was started %d times since it got on, and interrupted %d times",
                 w->id, w->starts, sqlite3_column_int(row, 13));
    }
}

static int check_epochs(const struct wanted *w) {
    int n = 0;
    sqlite3_stmt *row = looker_query(sql_epochs, w->id);
    while (looker_step(row)) {
        int epoch = sqlite3_column_int(row, 0);
        if (epoch != ++n) {
            sim_fail("epochs without gaps", "run %" PRId64 " has epoch %d in place %d", w->id,
                     epoch, n);
        }
        if (sqlite3_column_int(row, 1) != metric_wrong(w->seed, epoch) ||
            sqlite3_column_int(row, 2) != METRIC_TOTAL ||
            sqlite3_column_double(row, 3) != metric_loss(w->seed, epoch)) {
            sim_fail("the history is the same", "run %" PRId64 ", epoch %d: %d wrong instead of %d",
                     w->id, epoch, sqlite3_column_int(row, 1), metric_wrong(w->seed, epoch));
        }
    }
    return n;
}

static void check_results(const struct wanted *w, sqlite3_stmt *row, int n) {
    int best = metric_best(w->seed, n);
    if (n != w->epochs_seen || sqlite3_column_int(row, 7) != n ||
        sqlite3_column_int(row, 8) != best ||
        (n > 0 && (sqlite3_column_int(row, 9) != metric_wrong(w->seed, best) ||
                   sqlite3_column_int(row, 10) != metric_wrong(w->seed, n)))) {
        sim_fail("best is the best",
                 "run %" PRId64
                 " has %d epochs, %d were told; it says %d, best %d with %d, last %d",
                 w->id, n, w->epochs_seen, sqlite3_column_int(row, 7), sqlite3_column_int(row, 8),
                 sqlite3_column_int(row, 9), sqlite3_column_int(row, 10));
    }
    if (w->state == RUN_SUCCEEDED && n != w->epochs) {
        sim_fail("a run that succeeded is complete", "run %" PRId64 " has %d of %d epochs", w->id,
                 n, w->epochs);
    }
}

/* The best file is that of the best epoch that the newest file has. A fork may have taken over none
 * of that. */
static void check_checkpoints(const struct wanted *w, int forked_epoch) {
    int newest = -1;
    int best = 0;
    char path[256];
    sqlite3_stmt *row = looker_query(sql_checkpoints, w->id);
    while (looker_step(row)) {
        int epochs = sqlite3_column_int(row, 3);
        (void)snprintf(path, sizeof(path), SIM_STATE_DIR "/runs/%" PRId64 "/%s", w->id,
                       text(row, 1));
        if (!looker_file_is(path, text(row, 2))) {
            sim_fail("a checkpoint that is listed is there", "%s is not, or not what it was", path);
        }
        newest = newest < 0 ? epochs : newest;
        if (strcmp(text(row, 0), "best") == 0) {
            best = epochs;
        }
    }
    int expected = metric_best(w->seed, newest);
    if (newest > 0 && best != expected && expected > forked_epoch) {
        sim_fail("best is the best",
                 "run %" PRId64 ": the best of %d epochs is %d, its checkpoint is of epoch %d",
                 w->id, newest, expected, best);
    }
}

static void check_training(const struct wanted *w) {
    for (int i = 0; fake_train_active(i) != 0; i++) {
        if (fake_train_active(i) == w->id && w->state != RUN_RUNNING) {
            sim_fail("one running attempt a run", "run %" PRId64 " is %s and is trained", w->id,
                     run_state_name(w->state));
        }
    }
}

/* Who made it is told once, if somebody has: the runs of a sweep with the sweep. */
static void check_audit(const struct wanted *w) {
    sqlite3_stmt *row = looker_query(sql_born, w->id);
    int n = looker_step(row) ? sqlite3_column_int(row, 0) : 0;
    (void)sqlite3_reset(row);
    if (n != (w->group == 0 && !w->older)) {
        sim_fail("the audit tells who did what", "%d lines say who made run %" PRId64, n, w->id);
    }
}

void model_check_row(struct wanted *w) {
    sqlite3_stmt *row = looker_query(sql_run, w->id);
    bool there = looker_step(row);
    if (there && w->deleted) {
        sim_fail("what was deleted is gone", "run %" PRId64 " is still there", w->id);
    }
    if (!there && !w->deleting) {
        sim_fail("an accepted run is there", "run %" PRId64 ", %s, is gone", w->id, w->name);
    }
    if (!there) {
        w->deleted = true;
        return;
    }
    int forked_epoch = sqlite3_column_int(row, 14);
    check_values(w, row);
    check_state(w, row);
    check_results(w, row, check_epochs(w));
    (void)sqlite3_reset(row);
    check_checkpoints(w, forked_epoch);
    check_training(w);
    check_audit(w);
    receiver_check_run(w->id, w->n_ends);
}

void model_check_settings(int draining) {
    sqlite3_stmt *row = looker_query(sql_draining, 0);
    int stored = looker_step(row) ? sqlite3_column_int(row, 0) : 0;
    (void)sqlite3_reset(row);
    row = looker_query(sql_counts, 0);
    int n_columns = looker_step(row) ? sqlite3_column_count(row) : 0;
    for (int column = 0; column < n_columns; column++) {
        if (sqlite3_column_int64(row, column) != 0) {
            sim_fail("owners have what their runs are", "count %d is off by %lld", column,
                     sqlite3_column_int64(row, column));
        }
    }
    (void)sqlite3_reset(row);
    if (draining >= 0 && stored != draining) {
        sim_fail("an accepted request is carried out", "draining is %d, and was answered as %d",
                 stored, draining);
    }
}
