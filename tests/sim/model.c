/* Thread rule: see the header. */
#include "tests/sim/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/queue/run_action.h"
#include "tests/sim/looker.h"
#include "tests/sim/model_claims.h"
#include "tests/sim/model_rows.h"
#include "tests/sim/model_rungs.h"
#include "tests/sim/model_turn.h"
#include "tests/sim/receiver.h"
#include "tests/sim/sim.h"
#include "tests/sim/stream.h"

enum { MOST_EVENTS = 8192 };

struct seen {
    int64_t id;
    int64_t run_id;
    uint64_t hash;        /* of everything in it */
    enum run_state state; /* RUN_STATE_COUNT: no state */
    int priority;
    bool edit;
    int64_t at_ms;
    int n_waiting[SIM_OWNERS]; /* behind it, at most */
};

static struct wanted wanted[MODEL_RUNS];
static int n_wanted;
static struct wanted *by_id[MODEL_RUNS];
static int64_t last_id;
static struct seen log_seen[MOST_EVENTS];
static int n_seen;
static struct {
    int value; /* -1: unknown */
    int n_in_flight;
    bool overlapped;
    bool since_start; /* it was on when the process started, and nobody has asked since */
} draining;

/* ---- what is wanted ---- */

struct wanted *model_want(void) {
    if (n_wanted == MODEL_RUNS) {
        sim_fail("the simulator has room", "more than %d runs", MODEL_RUNS);
    }
    struct wanted *w = &wanted[n_wanted++];
    *w = (struct wanted){.state = RUN_STATE_COUNT, .m = 1};
    return w;
}

struct wanted *model_find(int64_t id) {
    return id > 0 && id < MODEL_RUNS ? by_id[id] : NULL;
}

int64_t model_last_id(void) {
    return last_id;
}

int model_count_unfinished(void) {
    int n = 0;
    for (int i = 0; i < n_wanted; i++) {
        const struct wanted *w = &wanted[i];
        n += w->id > 0 && !w->deleted && !run_state_is_final(w->state);
    }
    return n;
}

int64_t model_next_start(int64_t now_ms) {
    int64_t next_ms = 0;
    for (int i = 0; i < n_wanted; i++) {
        int64_t ms = wanted[i].not_before.least_ms;
        if (wanted[i].state == RUN_QUEUED && ms > now_ms && (next_ms == 0 || ms < next_ms)) {
            next_ms = ms;
        }
    }
    return next_ms;
}

int64_t model_newest_event(void) {
    return n_seen > 0 ? log_seen[n_seen - 1].id : 0;
}

bool model_has_state_event(int64_t id, enum run_state state, int64_t behind) {
    for (int i = n_seen - 1; i >= 0 && log_seen[i].id > behind; i--) {
        if (log_seen[i].run_id == id && log_seen[i].state == state) {
            return true;
        }
    }
    return false;
}

bool model_has_edit_event(int64_t id, int priority, int64_t behind) {
    for (int i = n_seen - 1; i >= 0 && log_seen[i].id > behind; i--) {
        if (log_seen[i].run_id == id && log_seen[i].edit && log_seen[i].priority == priority) {
            return true;
        }
    }
    return false;
}

static int count_waiting(int owner) {
    return claims_count_waiting(owner, true, wanted, n_wanted);
}

int model_most_waiting(int owner, int64_t behind) {
    int most = count_waiting(owner);
    for (int i = n_seen - 1; i >= 0; i--) {
        most = log_seen[i].n_waiting[owner] > most ? log_seen[i].n_waiting[owner] : most;
        if (log_seen[i].id <= behind) {
            break;
        }
    }
    return most;
}

/* ---- the log ---- */

static const char sql_events[] =
    "SELECT id, run_id, type, state, attempt, epoch, step, checkpoint_kind, priority, reason"
    ", at_ms FROM event WHERE id > ?1 ORDER BY id";

static const char *text(sqlite3_stmt *statement, int column) {
    const char *value = (const char *)sqlite3_column_text(statement, column);
    return value ? value : "";
}

static struct seen read_event(sqlite3_stmt *statement) {
    struct seen event = {.id = sqlite3_column_int64(statement, 0),
                         .run_id = sqlite3_column_int64(statement, 1),
                         .state = RUN_STATE_COUNT,
                         .edit = strcmp(text(statement, 2), "edit") == 0};
    (void)run_state_from_name(text(statement, 3), &event.state);
    event.priority = sqlite3_column_int(statement, 8);
    event.at_ms = sqlite3_column_int64(statement, 10);
    for (int column = 1; column < 10; column++) {
        for (const char *c = text(statement, column); *c; c++) {
            event.hash = mix(event.hash ^ (unsigned char)*c);
        }
        event.hash = mix(event.hash + 1);
    }
    return event;
}

/* Somebody asked for it by its name. */
static struct wanted *recognise(int64_t id) {
    static const char sql[] = "SELECT name FROM run WHERE id = ?1";
    sqlite3_stmt *row = looker_query(sql, id);
    if (!looker_step(row)) {
        sim_fail("events without gaps", "an event tells of run %" PRId64 ", which is not there",
                 id);
    }
    for (int i = 0; i < n_wanted; i++) {
        struct wanted *w = &wanted[i];
        if (strcmp(w->name, text(row, 0)) != 0) {
            continue;
        }
        if (w->id != 0) {
            sim_fail("nothing is done twice", "%s is run %" PRId64 " and run %" PRId64, w->name,
                     w->id, id);
        }
        if (w->refused) {
            sim_fail("what was refused is not stored", "%s is run %" PRId64, w->name, id);
        }
        w->id = id;
        by_id[id] = w;
        last_id = id > last_id ? id : last_id;
        return w;
    }
    sim_fail("nothing comes from nowhere", "nobody asked for run %" PRId64 ", '%s'", id,
             text(row, 0));
}

static void check_move(const struct wanted *w, enum run_state to, int attempt) {
    bool born = w->state == RUN_STATE_COUNT;
    bool same = w->state == to;
    bool back = to == RUN_QUEUED && w->state != RUN_HELD && !born && !same;
    if (born ? to != RUN_QUEUED && to != RUN_HELD : !same && !run_state_may_move(w->state, to)) {
        sim_fail("every move is legal", "run %" PRId64 " goes from %s to %s", w->id,
                 born ? "nothing" : run_state_name(w->state), run_state_name(to));
    }
    if (attempt != (born ? 1 : w->attempt + back)) {
        sim_fail("recovery twice is recovery once",
                 "run %" PRId64 " goes from attempt %d to %d when it becomes %s", w->id, w->attempt,
                 attempt, run_state_name(to));
    }
    if (!born && run_state_is_final(w->state) && back && w->requeues_asked == 0) {
        sim_fail("final once", "run %" PRId64 " was %s and nobody asked for more", w->id,
                 run_state_name(w->state));
    }
    if (w->state == RUN_RUNNING && to == RUN_QUEUED && w->request != RUN_REQUEST_NONE) {
        sim_fail("an accepted request is carried out",
                 "run %" PRId64 " was asked to %s and is queued again", w->id,
                 run_request_name(w->request));
    }
}

static void on_state(struct wanted *w, enum run_state to, int attempt, int64_t at_ms) {
    check_move(w, to, attempt);
    if (w->state == RUN_RUNNING && to != RUN_RUNNING) {
        turn_on_end(w, to, at_ms);
    }
    if (to == RUN_RUNNING && w->state != RUN_RUNNING) {
        if (draining.since_start) {
            sim_fail("an accepted request is carried out", "run %" PRId64 " starts while draining",
                     w->id);
        }
        claims_check(w, wanted, n_wanted, at_ms);
        turn_on_start(w, at_ms);
        w->starts++;
        w->n_quiet_epochs = 0;
    }
    if (w->state != RUN_STATE_COUNT && run_state_is_final(w->state) && to == RUN_QUEUED) {
        w->requeues_asked--;
    }
    if (to != RUN_RUNNING) {
        w->request = RUN_REQUEST_NONE;
    }
    w->n_ends += run_state_is_final(to) && w->state != to;
    w->state = to;
    w->attempt = attempt;
}

static void on_epoch(struct wanted *w, int epoch) {
    if (epoch != w->epochs_seen + 1) {
        sim_fail("epochs without gaps", "run %" PRId64 ": epoch %d is told after epoch %d", w->id,
                 epoch, w->epochs_seen);
    }
    if (w->state != RUN_RUNNING && epoch > model_forked_epoch(w)) {
        sim_fail("one running attempt a run", "run %" PRId64 " has an epoch while it is %s", w->id,
                 run_state_name(w->state));
    }
    w->epochs_seen = epoch;
    w->starts = w->state == RUN_RUNNING ? 1 : w->starts;
}

/* Into the queue; runs go back to it by themselves as well, beyond any limit. */
static bool is_by_request(enum run_state to, const char *reason) {
    return to == RUN_QUEUED && (strcmp(reason, run_action_rule(RUN_ACTION_RESUME)->reason) == 0 ||
                                strcmp(reason, run_action_rule(RUN_ACTION_REQUEUE)->reason) == 0);
}

static void replay(const struct seen *event, sqlite3_stmt *row) {
    struct wanted *w = model_find(event->run_id);
    const char *type = text(row, 2);
    w = w ? w : recognise(event->run_id);
    w->touched = true;
    if (strcmp(type, "state") == 0) {
        bool born = w->state == RUN_STATE_COUNT;
        w->priority_now = born ? w->priority : w->priority_now;
        on_state(w, event->state, sqlite3_column_int(row, 4), event->at_ms);
        if ((born && !w->older) || is_by_request(event->state, text(row, 9))) {
            claims_check_room(w, wanted, n_wanted);
        }
    } else if (strcmp(type, "epoch") == 0) {
        on_epoch(w, sqlite3_column_int(row, 5));
        if (w->state == RUN_RUNNING) {
            turn_on_report(w, event->at_ms);
            claims_check_epoch(w, event->at_ms);
        }
    } else if (strcmp(type, "checkpoint") == 0) {
        if (w->state != RUN_RUNNING) {
            sim_fail("one running attempt a run", "run %" PRId64 " has a checkpoint while it is %s",
                     w->id, run_state_name(w->state));
        }
        turn_on_report(w, event->at_ms);
        w->starts = 1;
    } else {
        w->priority_now = event->priority;
    }
}

static void read_new_events(void) {
    sqlite3_stmt *row = looker_query(sql_events, model_newest_event());
    while (looker_step(row)) {
        struct seen event = read_event(row);
        if (n_seen == MOST_EVENTS) {
            sim_fail("the simulator has room", "more than %d events", MOST_EVENTS);
        }
        replay(&event, row);
        for (int owner = 0; owner < SIM_OWNERS && kinds.max_queued > 0; owner++) {
            event.n_waiting[owner] = count_waiting(owner);
        }
        log_seen[n_seen++] = event;
    }
}

/* Of what was seen nothing is missing and nothing has changed, and no event has come in front of
 * one that was seen: who follows the log misses none. (Numbers may be left out: an epoch that is
 * told again takes one.) */
static void check_log(void) {
    static const char sql_gone[] =
        "SELECT coalesce((SELECT CAST(value AS INTEGER) FROM setting WHERE name ="
        " 'events_gone_upto'), 0)";
    sqlite3_stmt *gone = looker_query(sql_gone, 0);
    int64_t gone_upto = looker_step(gone) ? sqlite3_column_int64(gone, 0) : 0;
    (void)sqlite3_reset(gone);
    sqlite3_stmt *row = looker_query(sql_events, 0);
    bool more = looker_step(row);
    for (int i = 0; i <= n_seen; i++) {
        struct seen event = more ? read_event(row) : (struct seen){.id = INT64_MAX};
        if (more && (i == n_seen || event.id < log_seen[i].id)) {
            sim_fail("events without gaps", "event %" PRId64 " came late", event.id);
        }
        if (i == n_seen) {
            return;
        }
        const struct wanted *w = model_find(log_seen[i].run_id);
        if (more && event.id == log_seen[i].id) {
            if (event.hash != log_seen[i].hash) {
                sim_fail("what was seen stays", "event %" PRId64 " has changed", event.id);
            }
            more = looker_step(row);
        } else if (!w->deleted && !w->deleting && log_seen[i].id > gone_upto) {
            sim_fail("what was seen stays", "event %" PRId64 " of run %" PRId64 " is gone",
                     log_seen[i].id, log_seen[i].run_id);
        }
    }
}

/* ---- looking ---- */

static void check_group(const struct wanted *w) {
    for (int i = 0; i < n_wanted; i++) {
        if (w->group != 0 && wanted[i].group == w->group && wanted[i].id == 0) {
            sim_fail("a sweep is whole", "%s is there and %s is not", w->name, wanted[i].name);
        }
    }
}

bool model_look(bool all) {
    if (!looker_begin()) {
        return false;
    }
    read_new_events();
    for (int i = 0; i < n_wanted; i++) {
        struct wanted *w = &wanted[i];
        if (w->id > 0 && (all || w->touched)) {
            model_check_row(w);
            check_group(w);
            w->touched = false;
        } else if (all && w->accepted && w->id == 0) {
            sim_fail("an accepted run is there", "%s was accepted and is not there", w->name);
        }
    }
    model_check_rungs();
    if (all) {
        check_log();
        receiver_check_heard();
        model_check_settings(draining.value);
    }
    looker_end();
    return true;
}

/* ---- answers ---- */

void model_on_accepted(struct wanted *first, int n, int64_t id, const char *location) {
    bool seen = model_look(false);
    for (int i = 0; i < n; i++) {
        first[i].accepted = true;
        if (seen && first[i].id == 0) {
            sim_fail("nothing is answered before it is stored", "%s was accepted as %s",
                     first[i].name, location);
        }
    }
    if (seen && n == 1 && first->id != id) {
        sim_fail("the answer names the run", "%s is run %" PRId64 " and was answered as %s",
                 first->name, first->id, location);
    }
}

void model_on_refused(struct wanted *first, int n) {
    for (int i = 0; i < n; i++) {
        first[i].refused = true;
        if (first[i].id != 0) {
            sim_fail("what was refused is not stored", "%s is run %" PRId64, first[i].name,
                     first[i].id);
        }
    }
}

void model_on_deleting(int64_t id) {
    struct wanted *w = model_find(id);
    if (w) {
        w->deleting = true;
    }
}

void model_on_deleted(int64_t id) {
    struct wanted *w = model_find(id);
    if (w) {
        w->deleted = true;
        w->touched = true;
    }
    (void)model_look(false);
}

void model_on_drain_asked(void) {
    draining.since_start = false;
    draining.overlapped = draining.overlapped || draining.n_in_flight > 0;
    draining.n_in_flight++;
    draining.value = -1;
}

void model_on_drain_answered(int value) {
    draining.overlapped = draining.overlapped || value < 0;
    draining.n_in_flight--;
    if (draining.n_in_flight == 0) {
        draining.value = draining.overlapped ? -1 : value;
        draining.overlapped = false;
    }
}

/* ---- processes ---- */

void model_let_go(void) {
    looker_let_go();
}

void model_on_crash(void) {
    looker_forget();
    if (draining.n_in_flight > 0) {
        draining.value = -1;
    }
    draining.n_in_flight = 0;
    draining.overlapped = false;
    for (int i = 0; i < n_wanted; i++) {
        wanted[i].not_before.n_in_flight = 0;
    }
}

void model_on_start(void) {
    draining.since_start = draining.value == 1;
}

void model_check_end(bool single_faults) {
    if (!model_look(true)) {
        sim_fail("everything ends", "the database cannot be read at the end");
    }
    for (int i = 0; i < n_wanted; i++) {
        const struct wanted *w = &wanted[i];
        if (w->id == 0 || w->deleted || w->state == RUN_STATE_COUNT) {
            continue;
        }
        if (!run_state_is_final(w->state) && !w->deleting) {
            sim_fail("everything ends", "run %" PRId64 " is %s at the end", w->id,
                     run_state_name(w->state));
        }
        if (single_faults && w->state == RUN_FAILED && w->n_after == 0) {
            sim_fail("nothing fails by itself",
                     "run %" PRId64 " failed, and nothing worse happened than one error at a time",
                     w->id);
        }
    }
}
