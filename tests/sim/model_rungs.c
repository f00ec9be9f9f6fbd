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

/* A line a run of each ranking, best first, within an entry by ids. */
static const char sql_members[] =
    "SELECT rung.sweep_id, rung.rung, rung.epochs, first_epochs, eta,"
    " json_array_length(ranking_json), entry.key, json_extract(entry.value, '$.rank'),"
    " json_extract(entry.value, '$.value'), json_extract(entry.value, '$.promoted'),"
    " CAST(member.value AS INTEGER), run.rung, ranking_json, member.key,"
    " json_array_length(entry.value, '$.runs')"
    " FROM rung JOIN halving USING (sweep_id) JOIN json_each(ranking_json) AS entry"
    " JOIN json_each(entry.value, '$.runs') AS member"
    " LEFT JOIN run ON run.id = CAST(member.value AS INTEGER)"
    " ORDER BY rung.sweep_id, rung.rung, entry.key, member.key";

/* A place in a ranking: one run, or all that have the same m. */
struct entry {
    int64_t sweep_id;
    int rung, epochs, first_epochs, eta;
    int n, place; /* in the ranking, from 0 */
    int rank;
    double value;
    bool promoted;
    int n_runs;
    int64_t first_id;
    int m;
    double sum;  /* of what its runs had so far */
    unsigned ms; /* a bit for each m up to this place */
};

/* A run of it. */
struct member {
    int64_t id;
    int number;   /* in the entry, from 0 */
    int rung_now; /* -1: none, or it is gone */
};

/* What was seen once. */
static struct {
    int64_t sweep_id;
    int rung;
    uint64_t hash;
} seen[MOST_RUNGS];
static int n_seen;

static struct entry read_entry(sqlite3_stmt *row) {
    return (struct entry){.sweep_id = sqlite3_column_int64(row, 0),
                          .rung = sqlite3_column_int(row, 1),
                          .epochs = sqlite3_column_int(row, 2),
                          .first_epochs = sqlite3_column_int(row, 3),
                          .eta = sqlite3_column_int(row, 4),
                          .n = sqlite3_column_int(row, 5),
                          .place = sqlite3_column_int(row, 6),
                          .rank = sqlite3_column_int(row, 7),
                          .value = sqlite3_column_double(row, 8),
                          .promoted = sqlite3_column_int(row, 9) != 0,
                          .n_runs = sqlite3_column_int(row, 14)};
}

static struct member read_member(sqlite3_stmt *row) {
    bool none = sqlite3_column_type(row, 11) == SQLITE_NULL;
    return (struct member){.id = sqlite3_column_int64(row, 10),
                           .number = sqlite3_column_int(row, 13),
                           .rung_now = none ? -1 : sqlite3_column_int(row, 11)};
}

static void add_member(struct entry *e, const struct member *member) {
    const struct wanted *w = model_find(member->id);
    int epochs = e->first_epochs;
    for (int i = 0; i < e->rung; i++) {
        epochs *= e->eta;
    }
    if (!w || w->halving_eta != e->eta || epochs != e->epochs || e->rank != e->place + 1) {
        sim_fail("a rung ranks its runs",
                 "sweep %" PRId64 ", epoch %d: run %" PRId64 " in place %d", e->sweep_id, e->epochs,
                 member->id, e->place);
    }
    if (member->number == 0) {
        e->first_id = member->id;
        e->m = w->m;
    }
    if ((e->n_runs > 1 && !w->ranked_by_m) || w->m != e->m || member->id < e->first_id) {
        sim_fail("a rung ranks its runs",
                 "sweep %" PRId64 ", epoch %d: run %" PRId64 " together with run %" PRId64,
                 e->sweep_id, e->epochs, member->id, e->first_id);
    }
    e->sum += w->ranked_by_loss ? metric_val_loss(w->seed, e->epochs)
                                : (double)metric_wrong(w->seed, e->epochs) / METRIC_TOTAL;
    if (member->rung_now >= 0 && (!e->promoted || member->rung_now <= e->rung)) {
        sim_fail("promotion is in the commit that ends the rung",
                 "sweep %" PRId64 ", epoch %d: run %" PRId64 ", rank %d of %d, is in rung %d",
                 e->sweep_id, e->epochs, member->id, e->rank, e->n, member->rung_now);
    }
}

/* All its runs were added. before: the entry in front of it in the same ranking; NULL: it is the
 * first. */
static void check_entry(struct entry *e, const struct entry *before) {
    static const double rounding = 1e-12;
    double mean = e->sum / e->n_runs;
    if (fabs(e->value - mean) > 1e-8) {
        sim_fail("a rung ranks by what its epoch had",
                 "sweep %" PRId64 ", epoch %d: run %" PRId64 " and %d others have %g, not %g",
                 e->sweep_id, e->epochs, e->first_id, e->n_runs - 1, e->value, mean);
    }
    double lead = before ? mean - before->sum / before->n_runs : 1.0;
    if (lead < -rounding || (lead < rounding && before->first_id > e->first_id)) {
        sim_fail("a rung ranks by what its epoch had",
                 "sweep %" PRId64 ", epoch %d: run %" PRId64 " stands before run %" PRId64,
                 e->sweep_id, e->epochs, before->first_id, e->first_id);
    }
    const struct wanted *w = model_find(e->first_id);
    e->ms = before ? before->ms : 0;
    if (w->ranked_by_m && (e->ms & (1u << e->m))) {
        sim_fail("a rung ranks its runs",
                 "sweep %" PRId64 ", epoch %d: run %" PRId64 " apart from others with m = %d",
                 e->sweep_id, e->epochs, e->first_id, e->m);
    }
    e->ms |= 1u << e->m;
    if (e->promoted != (e->place < (e->n + e->eta - 1) / e->eta)) {
        sim_fail("the best go on", "sweep %" PRId64 ", epoch %d: run %" PRId64 ", rank %d of %d",
                 e->sweep_id, e->epochs, e->first_id, e->rank, e->n);
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
    struct entry e = {.sweep_id = 0};
    row = looker_query(sql_members, 0);
    while (looker_step(row)) {
        struct member member = read_member(row);
        if (member.number == 0) {
            before = e;
            e = read_entry(row);
        }
        add_member(&e, &member);
        if (member.number + 1 == e.n_runs) {
            check_entry(&e, e.place == 0 ? NULL : &before);
        }
        if (member.number == 0 && e.place == 0) {
            remember(&e, (const char *)sqlite3_column_text(row, 12));
        }
    }
}
