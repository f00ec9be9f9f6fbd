/* Thread rule: model.h. */
#include "tests/sim/model_rungs.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/fake_train.h"
#include "tests/sim/looker.h"
#include "tests/sim/model.h"
#include "tests/sim/sim.h"
#include "tests/sim/stream.h"

enum { MOST_RUNGS = 256 };

/* Rungs that are complete and have not ended. */
static const char sql_complete[] =
    "SELECT sweep_id, n FROM (SELECT sweep_id,"
    "  (SELECT count(*) FROM rung WHERE rung.sweep_id = halving.sweep_id) AS n FROM halving) AS h"
    " WHERE EXISTS (SELECT 1 FROM run WHERE run.sweep_id = h.sweep_id AND run.rung = n)"
    " AND NOT EXISTS (SELECT 1 FROM run WHERE run.sweep_id = h.sweep_id AND run.rung = n"
    "  AND state NOT IN ('succeeded', 'failed', 'canceled')"
    "  AND NOT (state = 'paused' AND epochs_done >= pause_at))";

/* A line an entry of each ranking, best first. */
static const char sql_entries[] =
    "SELECT rung.sweep_id, rung.rung, rung.epochs, first_epochs, eta,"
    " json_array_length(ranking_json), entry.key, json_extract(entry.value, '$.rank'),"
    " json_extract(entry.value, '$.value'), json_extract(entry.value, '$.promoted'),"
    " CAST(json_extract(entry.value, '$.runs[0]') AS INTEGER), run.rung, ranking_json"
    " FROM rung JOIN halving USING (sweep_id) JOIN json_each(ranking_json) AS entry"
    " LEFT JOIN run ON run.id = CAST(json_extract(entry.value, '$.runs[0]') AS INTEGER)"
    " ORDER BY rung.sweep_id, rung.rung, entry.key";

struct entry {
    int64_t sweep_id;
    int rung, epochs, first_epochs, eta;
    int n, place; /* in the ranking, from 0 */
    int rank;
    double value;
    bool promoted;
    int64_t run_id;
    int rung_now; /* of the run; -1: none, or it is gone */
    int wrong;    /* what the value must be of */
};

/* What was seen once. */
static struct {
    int64_t sweep_id;
    int rung;
    uint64_t hash;
} seen[MOST_RUNGS];
static int n_seen;

static struct entry read_entry(sqlite3_stmt *row) {
    return (struct entry){
        .sweep_id = sqlite3_column_int64(row, 0),
        .rung = sqlite3_column_int(row, 1),
        .epochs = sqlite3_column_int(row, 2),
        .first_epochs = sqlite3_column_int(row, 3),
        .eta = sqlite3_column_int(row, 4),
        .n = sqlite3_column_int(row, 5),
        .place = sqlite3_column_int(row, 6),
        .rank = sqlite3_column_int(row, 7),
        .value = sqlite3_column_double(row, 8),
        .promoted = sqlite3_column_int(row, 9) != 0,
        .run_id = sqlite3_column_int64(row, 10),
        .rung_now = sqlite3_column_type(row, 11) == SQLITE_NULL ? -1 : sqlite3_column_int(row, 11)};
}

/* before: the entry in front of it in the same ranking; NULL: it is the first. */
static void check_entry(struct entry *e, const struct entry *before) {
    const struct wanted *w = model_find(e->run_id);
    int epochs = e->first_epochs;
    for (int i = 0; i < e->rung; i++) {
        epochs *= e->eta;
    }
    if (!w || w->halving_eta != e->eta || epochs != e->epochs || e->rank != e->place + 1) {
        sim_fail("a rung ranks its runs",
                 "sweep %" PRId64 ", epoch %d: run %" PRId64 " in place %d", e->sweep_id, e->epochs,
                 e->run_id, e->place);
    }
    e->wrong = metric_wrong(w->seed, e->epochs);
    if (fabs(e->value - (double)e->wrong / METRIC_TOTAL) > 1e-8) {
        sim_fail("a rung ranks by what its epoch had",
                 "sweep %" PRId64 ", epoch %d: run %" PRId64 " has %g, and %d of %d were wrong",
                 e->sweep_id, e->epochs, e->run_id, e->value, e->wrong, METRIC_TOTAL);
    }
    if (before &&
        (before->wrong > e->wrong || (before->wrong == e->wrong && before->run_id > e->run_id))) {
        sim_fail("a rung ranks by what its epoch had",
                 "sweep %" PRId64 ", epoch %d: run %" PRId64 " stands before run %" PRId64,
                 e->sweep_id, e->epochs, before->run_id, e->run_id);
    }
    if (e->promoted != (e->place < (e->n + e->eta - 1) / e->eta)) {
        sim_fail("the best go on", "sweep %" PRId64 ", epoch %d: run %" PRId64 ", rank %d of %d",
                 e->sweep_id, e->epochs, e->run_id, e->rank, e->n);
    }
    if (e->rung_now >= 0 && (!e->promoted || e->rung_now <= e->rung)) {
        sim_fail("promotion is in the commit that ends the rung",
                 "sweep %" PRId64 ", epoch %d: run %" PRId64 ", rank %d of %d, is in rung %d",
                 e->sweep_id, e->epochs, e->run_id, e->rank, e->n, e->rung_now);
    }
}

/* A ranking is the same under any restart: what was seen stays. */
static void remember(const struct entry *e, const char *json) {
    uint64_t hash = 0;
    int i = 0;
    for (const char *c = json; *c; c++) {
        hash = mix(hash ^ (unsigned char)*c);
    }
    while (i < n_seen && (seen[i].sweep_id != e->sweep_id || seen[i].rung != e->rung)) {
        i++;
    }
    if (i < n_seen && seen[i].hash != hash) {
        sim_fail("what was seen stays", "sweep %" PRId64 ", epoch %d: now %s", e->sweep_id,
                 e->epochs, json);
    }
    if (i == MOST_RUNGS) {
        sim_fail("the simulator has room", "more than %d rungs", MOST_RUNGS);
    }
    seen[i].sweep_id = e->sweep_id;
    seen[i].rung = e->rung;
    seen[i].hash = hash;
    n_seen += i == n_seen;
}

void model_check_rungs(void) {
    sqlite3_stmt *row = looker_query(sql_complete, 0);
    if (looker_step(row)) {
        sim_fail("promotion is in the commit that ends the rung",
                 "sweep %lld: all runs of rung %d have come, and it has not ended",
                 sqlite3_column_int64(row, 0), sqlite3_column_int(row, 1));
    }
    (void)sqlite3_reset(row);
    struct entry before = {.sweep_id = 0};
    row = looker_query(sql_entries, 0);
    while (looker_step(row)) {
        struct entry e = read_entry(row);
        bool first = e.place == 0;
        check_entry(&e, first ? NULL : &before);
        if (first) {
            remember(&e, (const char *)sqlite3_column_text(row, 12));
        }
        before = e;
    }
}
