/* Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/change/halving.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/base/text_stream.h"
#include "daemon/store/table/event_table.h"
#include "daemon/store/table/run_rows.h"

enum {
    BEGIN,
    ENTER,
    RULE,
    OF_RUN,
    MEMBERS,
    LEAVE,
    GO_ON,
    RANK_OUT,
    ADD_RUNG,
    FORGET,
    N_STATEMENTS,
};

/* What stands at the rung's epoch; of a run that a rule of `stop` has ended before, its last. */
#define AT_RUNG                                                                                    \
    " FROM epoch WHERE run_id = run.id AND epoch <= run.pause_at ORDER BY epoch DESC LIMIT 1)"

const struct statement_set halving_statements = {
    N_STATEMENTS,
    {
        [BEGIN] =
            "INSERT INTO halving (sweep_id, first_epochs, eta, metric) VALUES (?1, ?2, ?3, ?4)",
        [ENTER] = "UPDATE run SET rung = 0, pause_at = ?2, setting = ?3 WHERE id = ?1",
        [RULE] = ("SELECT first_epochs, eta, metric,"
                  " (SELECT count(*) FROM rung WHERE rung.sweep_id = ?1)"
                  " FROM halving WHERE sweep_id = ?1"),
        [OF_RUN] = ("SELECT coalesce(sweep_id, 0), coalesce(pause_at, 0), epochs_done, ranked_out"
                    " FROM run WHERE id = ?1"),
        [MEMBERS] = ("SELECT id, state, epochs_done >= pause_at, epochs, setting,"
                     " (SELECT CASE ?3 WHEN 'val_loss' THEN val_loss ELSE val_wrong END" AT_RUNG ","
                     " (SELECT CASE ?3 WHEN 'val_loss' THEN 1 ELSE val_total END" AT_RUNG
                     " FROM run WHERE sweep_id = ?1 AND rung = ?2 ORDER BY id"),
        [LEAVE] = "UPDATE run SET rung = NULL, pause_at = NULL, ranked_out = 0 WHERE id = ?1",
        [GO_ON] = "UPDATE run SET rung = ?2, pause_at = ?3 WHERE id = ?1",
        [RANK_OUT] = "UPDATE run SET rung = NULL, pause_at = NULL, ranked_out = ?2 WHERE id = ?1",
        [ADD_RUNG] = ("INSERT INTO rung (sweep_id, rung, epochs, ranking_json, at_ms)"
                      " VALUES (?1, ?2, ?3, ?4, ?5)"),
        [FORGET] = "DELETE FROM halving WHERE sweep_id = ?1",
    },
};

enum status halving_begin(struct db *db, int64_t sweep_id, const struct halving_rule *rule,
                          struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_HALVING, BEGIN);
    sqlite3_bind_int64(statement, 1, sweep_id);
    sqlite3_bind_int(statement, 2, rule->first_epochs);
    sqlite3_bind_int(statement, 3, rule->eta);
    db_bind_text(statement, 4, rule->metric);
    return db_execute(db, statement, NULL, error);
}

enum status halving_enter(struct db *db, int64_t run_id, const struct halving_rule *rule,
                          const char *setting, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_HALVING, ENTER);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int(statement, 2, rule->first_epochs);
    db_bind_text(statement, 3, setting ? setting : "");
    return db_execute(db, statement, NULL, error);
}

enum status halving_forget(struct db *db, int64_t sweep_id, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_HALVING, FORGET);
    sqlite3_bind_int64(statement, 1, sweep_id);
    return db_execute(db, statement, NULL, error);
}

/* Where a run stands. */
struct place {
    int64_t sweep_id;
    int pause_at; /* 0: nowhere */
    int epochs_done;
    bool ranked_out;
};

static enum status read_place(struct db *db, int64_t run_id, struct place *ret,
                              struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_HALVING, OF_RUN);
    bool row = false;
    *ret = (struct place){0};
    sqlite3_bind_int64(statement, 1, run_id);
    TRY(db_step(db, statement, &row, error));
    if (row) {
        *ret = (struct place){.sweep_id = sqlite3_column_int64(statement, 0),
                              .pause_at = sqlite3_column_int(statement, 1),
                              .epochs_done = sqlite3_column_int(statement, 2),
                              .ranked_out = sqlite3_column_int(statement, 3) != 0};
    }
    (void)sqlite3_reset(statement);
    return STATUS_OK;
}

static bool has_come(const struct place *place) {
    return place->pause_at > 0 && place->epochs_done >= place->pause_at;
}

enum status halving_adjust(struct db *db, struct run_move *move, char reason[RUN_REASON_SIZE],
                           struct error *error) {
    struct place place;
    if (move->from != RUN_RUNNING || move->to != RUN_QUEUED) {
        return STATUS_OK;
    }
    TRY(read_place(db, move->id, &place, error));
    if (has_come(&place)) {
        (void)snprintf(reason, RUN_REASON_SIZE, HALVING_WAITS, place.pause_at);
        move->to = RUN_PAUSED;
        move->reason = reason;
        move->next_attempt = false;
    }
    return STATUS_OK;
}

static enum status set_place(struct db *db, int index, int64_t run_id, int rung, int pause_at,
                             struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_HALVING, index);
    sqlite3_bind_int64(statement, 1, run_id);
    if (index != LEAVE) {
        sqlite3_bind_int(statement, 2, rung);
    }
    if (index == GO_ON) {
        sqlite3_bind_int(statement, 3, pause_at);
    }
    return db_execute(db, statement, NULL, error);
}

/* ---- the ranking ---- */

struct member {
    int64_t id;
    enum run_state state;
    bool has_come;
    int epochs;
    char setting[HALVING_SETTING_SIZE];
    double part; /* the value is part / whole: a loss / 1, or wrong / total; NaN: none */
    double whole;
    int group; /* place in the ranking, from 0; -1: it is not ranked */
};

struct members {
    struct member *items;
    size_t n;
};

static void members_clear(struct members *members) {
    free(members->items);
}

struct group {
    int first; /* of members: the one with the smallest id */
    double sum;
    double parts; /* the sum of its members' */
    double whole; /* of each of them; 0: they differ */
    int n;
};

static double value_of(const struct member *m) {
    return m->part / m->whole;
}

/* Of counts with one total by a single division: those of as many errors are equal then, and not
 * apart by what a sum of ratios rounds. */
static double mean_of(const struct group *g) {
    return g->whole > 0 ? g->parts / (g->whole * g->n) : g->sum / g->n;
}

static enum status read_members(struct db *db, int64_t sweep_id, int rung, const char *metric,
                                struct members *members, struct error *error) {
    sqlite3_stmt *s = db_statement(db, DB_HALVING, MEMBERS);
    bool row = false;
    sqlite3_bind_int64(s, 1, sweep_id);
    sqlite3_bind_int(s, 2, rung);
    db_bind_text(s, 3, metric);
    TRY(db_step(db, s, &row, error));
    while (row) {
        char state[16];
        struct member *items = realloc(members->items, (members->n + 1) * sizeof(*items));
        if (!items) {
            (void)sqlite3_reset(s);
            return error_set(error, STATUS_NO_MEMORY, "no memory to rank runs");
        }
        members->items = items;
        struct member *m = &items[members->n++];
        *m = (struct member){.id = sqlite3_column_int64(s, 0),
                             .has_come = sqlite3_column_int(s, 2) != 0,
                             .epochs = sqlite3_column_int(s, 3),
                             .part = db_column_number(s, 5),
                             .whole = db_column_number(s, 6),
                             .group = -1};
        db_column_text(s, 1, state, sizeof(state));
        db_column_text(s, 4, m->setting, sizeof(m->setting));
        (void)run_state_from_name(state, &m->state);
        TRY(db_step(db, s, &row, error));
    }
    return STATUS_OK;
}

static bool is_ranked(const struct member *m) {
    return m->state == RUN_SUCCEEDED || (m->state == RUN_PAUSED && m->has_come);
}

static bool is_lost(const struct member *m) {
    return m->state == RUN_FAILED || m->state == RUN_CANCELED;
}

static bool is_complete(const struct members *members) {
    for (size_t i = 0; i < members->n; i++) {
        if (!is_ranked(&members->items[i]) && !is_lost(&members->items[i])) {
            return false;
        }
    }
    return members->n > 0;
}

/* The one with the lower mean first; what has none last; equal ones by their smallest ids. */
static int by_mean(const void *a, const void *b) {
    const struct group *x = a;
    const struct group *y = b;
    double p = isfinite(x->sum) ? mean_of(x) : (double)INFINITY;
    double q = isfinite(y->sum) ? mean_of(y) : (double)INFINITY;
    return p != q ? (p > q) - (p < q) : (x->first > y->first) - (x->first < y->first);
}

/* groups: [members->n]. Returns how many there are, best first; sets the members' places. */
static int rank(struct members *members, struct group *groups) {
    int n = 0;
    for (int i = 0; i < (int)members->n; i++) {
        struct member *m = &members->items[i];
        int g = 0;
        while (is_ranked(m) && m->setting[0] && g < n &&
               strcmp(members->items[groups[g].first].setting, m->setting) != 0) {
            g++;
        }
        if (!is_ranked(m)) {
            continue;
        }
        g = m->setting[0] ? g : n;
        if (g == n) {
            groups[n++] = (struct group){.first = i, .whole = m->whole};
        }
        groups[g].sum += value_of(m);
        groups[g].parts += m->part;
        groups[g].whole = m->whole == groups[g].whole ? m->whole : 0;
        groups[g].n++;
        m->group = groups[g].first; /* its place is not known yet */
    }
    qsort(groups, (size_t)n, sizeof(*groups), by_mean);
    for (size_t i = 0; i < members->n; i++) {
        int g = 0;
        while (members->items[i].group >= 0 && groups[g].first != members->items[i].group) {
            g++;
        }
        members->items[i].group = members->items[i].group >= 0 ? g : -1;
    }
    return n;
}

/* [{"rank":1,"setting":"m=8","value":0.4,"promoted":true,"runs":["1","2"]},..] */
static char *ranking_json(const struct members *members, const struct group *groups, int n_groups,
                          int n_promoted) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = text_stream_open(&text, &size);
    if (!out) {
        return NULL;
    }
    (void)fputc('[', out);
    for (int g = 0; g < n_groups; g++) {
        double mean = mean_of(&groups[g]);
        const char *setting = members->items[groups[g].first].setting;
        (void)fprintf(out, "%s{\"rank\":%d,\"setting\":%s%s%s,\"value\":", g > 0 ? "," : "", g + 1,
                      setting[0] ? "\"" : "", setting[0] ? setting : "null",
                      setting[0] ? "\"" : "");
        if (isfinite(mean)) {
            (void)fprintf(out, "%.9g", mean);
        } else {
            (void)fputs("null", out);
        }
        (void)fprintf(out, ",\"promoted\":%s,\"runs\":[", g < n_promoted ? "true" : "false");
        bool first = true;
        for (size_t i = 0; i < members->n; i++) {
            if (members->items[i].group == g) {
                (void)fprintf(out, "%s\"%lld\"", first ? "" : ",", (long long)members->items[i].id);
                first = false;
            }
        }
        (void)fputs("]}", out);
    }
    (void)fputc(']', out);
    return text_stream_close(out, &text);
}

/* ---- the end of a rung ---- */

/* A rung that ends. */
struct rung {
    int64_t sweep_id;
    int number; /* from 0 */
    int epochs;
    int eta;
    char metric[16];
    int n_groups;
    int n_promoted;
    int64_t now_ms;
};

static enum status promote(struct db *db, const struct rung *r, const struct member *m,
                           struct error *error) {
    bool last = r->n_promoted == 1 || (int64_t)r->epochs * r->eta >= m->epochs;
    char reason[RUN_REASON_SIZE];
    TRY(last ? set_place(db, LEAVE, m->id, 0, 0, error)
             : set_place(db, GO_ON, m->id, r->number + 1, r->epochs * r->eta, error));
    if (m->state != RUN_PAUSED) {
        return STATUS_OK;
    }
    (void)snprintf(reason, sizeof(reason), "rank %d of %d at epoch %d: goes on%s", m->group + 1,
                   r->n_groups, r->epochs, last ? " to its end" : "");
    const struct run_move move = {.id = m->id,
                                  .from = RUN_PAUSED,
                                  .to = RUN_QUEUED,
                                  .reason = reason,
                                  .next_attempt = true,
                                  .now_ms = r->now_ms};
    bool changed = false;
    TRY(run_set_state(db, &move, &changed, error));
    return event_add_state(db, m->id, r->now_ms, error);
}

static enum status rank_out(struct db *db, const struct rung *r, const struct member *m,
                            struct error *error) {
    bool stays = m->state == RUN_PAUSED;
    char reason[RUN_REASON_SIZE];
    if (!stays) {
        return set_place(db, RANK_OUT, m->id, 0, 0, error);
    }
    (void)snprintf(
        reason, sizeof(reason),
        "rank %d of %d at epoch %d (%s %.5g): the first %d went on; resume it to train on",
        m->group + 1, r->n_groups, r->epochs, r->metric, value_of(m), r->n_promoted);
    TRY(run_set_reason(db, m->id, reason, r->now_ms, error));
    /* Behind the reason, which sets the time of what the schema tells of it. */
    TRY(set_place(db, RANK_OUT, m->id, 1, 0, error));
    return event_add_state(db, m->id, r->now_ms, error);
}

static enum status end_rung(struct db *db, struct rung *r, struct members *members,
                            struct error *error) {
    CLEANUP(free_pointer) struct group *groups = calloc(members->n, sizeof(*groups));
    if (!groups) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to rank runs");
    }
    r->n_groups = rank(members, groups);
    r->n_promoted = (r->n_groups + r->eta - 1) / r->eta;
    CLEANUP(free_pointer)
    char *json = ranking_json(members, groups, r->n_groups, r->n_promoted);
    if (!json) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to rank runs");
    }
    sqlite3_stmt *statement = db_statement(db, DB_HALVING, ADD_RUNG);
    sqlite3_bind_int64(statement, 1, r->sweep_id);
    sqlite3_bind_int(statement, 2, r->number);
    sqlite3_bind_int(statement, 3, r->epochs);
    db_bind_text(statement, 4, json);
    sqlite3_bind_int64(statement, 5, r->now_ms);
    TRY(db_execute(db, statement, NULL, error));
    for (size_t i = 0; i < members->n; i++) {
        const struct member *m = &members->items[i];
        bool goes_on = m->group >= 0 && m->group < r->n_promoted;
        TRY(goes_on ? promote(db, r, m, error) : rank_out(db, r, m, error));
    }
    return STATUS_OK;
}

/* The rung that is under way; *ret_there: the sweep is one by halving. */
static enum status read_rung(struct db *db, int64_t sweep_id, struct rung *ret, bool *ret_there,
                             struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_HALVING, RULE);
    sqlite3_bind_int64(statement, 1, sweep_id);
    TRY(db_step(db, statement, ret_there, error));
    if (*ret_there) {
        *ret = (struct rung){.sweep_id = sweep_id,
                             .epochs = sqlite3_column_int(statement, 0),
                             .eta = sqlite3_column_int(statement, 1),
                             .number = sqlite3_column_int(statement, 3)};
        db_column_text(statement, 2, ret->metric, sizeof(ret->metric));
    }
    (void)sqlite3_reset(statement);
    for (int i = 0; *ret_there && i < ret->number; i++) {
        ret->epochs *= ret->eta;
    }
    return STATUS_OK;
}

enum status halving_end_rungs(struct db *db, int64_t sweep_id, int64_t now_ms,
                              struct error *error) {
    /* Of runs that have all succeeded already, one rung may end after the other. */
    for (bool ended = sweep_id > 0; ended;) {
        struct rung rung;
        bool there = false;
        CLEANUP(members_clear) struct members members = {0};
        TRY(read_rung(db, sweep_id, &rung, &there, error));
        if (!there) {
            return STATUS_OK;
        }
        rung.now_ms = now_ms;
        TRY(read_members(db, sweep_id, rung.number, rung.metric, &members, error));
        ended = is_complete(&members);
        if (ended) {
            TRY(end_rung(db, &rung, &members, error));
        }
    }
    return STATUS_OK;
}

enum status halving_follow(struct db *db, const struct run_move *move, struct error *error) {
    struct place place;
    TRY(read_place(db, move->id, &place, error));
    if (place.pause_at == 0 && !place.ranked_out) {
        return STATUS_OK;
    }
    bool again = move->to == RUN_QUEUED && move->from == RUN_PAUSED;
    if (place.ranked_out || (again && has_come(&place))) {
        TRY(set_place(db, LEAVE, move->id, 0, 0, error));
    }
    bool waits = move->to == RUN_QUEUED || move->to == RUN_RUNNING || move->to == RUN_HELD;
    return waits && !again ? STATUS_OK : halving_end_rungs(db, place.sweep_id, move->now_ms, error);
}
