/* Thread rule: see the header. */
#include "tests/sim/model_claims.h"

#include <inttypes.h>

#include "tests/sim/hours.h"
#include "tests/sim/model_turn.h"
#include "tests/sim/sim.h"

/* ---- when a run may start ---- */

void start_time_ask(struct start_time *time, int64_t ms) {
    time->least_ms = ms < time->least_ms ? ms : time->least_ms;
    time->most_ms = ms > time->most_ms ? ms : time->most_ms;
    time->overlapped = time->n_in_flight > 0;
    time->n_in_flight++;
}

/* Of two at once nobody knows which came last. */
void start_time_answer(struct start_time *time, int64_t ms, bool done) {
    time->n_in_flight -= time->n_in_flight > 0;
    if (done && time->n_in_flight == 0 && !time->overlapped) {
        time->least_ms = ms;
        time->most_ms = ms;
    }
}

/* ---- what starts ---- */

static bool is_ready(const struct wanted *w) {
    bool ready = w->state == RUN_QUEUED;
    for (int i = 0; i < w->n_after && ready; i++) {
        const struct wanted *before = model_find(w->after[i]);
        ready = before && (before->deleted || before->state == RUN_SUCCEEDED);
    }
    return ready;
}

static int count_running(int owner, const struct wanted *wanted, int n) {
    int n_running = 0;
    for (int i = 0; i < n; i++) {
        n_running +=
            wanted[i].state == RUN_RUNNING && !wanted[i].deleted && wanted[i].owner == owner;
    }
    return n_running;
}

static bool has_all_it_may(int owner, const struct wanted *wanted, int n) {
    return kinds.max_running > 0 && count_running(owner, wanted, n) >= kinds.max_running;
}

static void check_places(const struct wanted *claimed, const struct wanted *wanted, int n) {
    int n_running = 0;
    for (int i = 0; i < n; i++) {
        n_running += wanted[i].state == RUN_RUNNING && !wanted[i].deleted &&
                     wanted[i].elsewhere == claimed->elsewhere;
    }
    if (n_running >= SIM_PLACES) {
        sim_fail("no more run than there are places for",
                 "run %" PRId64 " starts while %d of its executor's are running", claimed->id,
                 n_running);
    }
}

static void check_time(const struct wanted *claimed, int64_t at_ms) {
    if (at_ms < claimed->not_before.least_ms) {
        sim_fail("no run starts before its time", "run %" PRId64 " starts %" PRId64 " ms too early",
                 claimed->id, claimed->not_before.least_ms - at_ms);
    }
    if (!claimed->elsewhere && hours_hold(at_ms) && !hours_began_meanwhile(at_ms) &&
        !(claimed->older && claimed->starts == 0)) {
        sim_fail("nothing starts in quiet hours", "run %" PRId64 " starts", claimed->id);
    }
}

/* What is claimed is the first of those that its executor could have had. A run that somebody asked
 * to delete may be gone already, though nobody was told. */
void claims_check(const struct wanted *claimed, const struct wanted *wanted, int n, int64_t at_ms) {
    if (!is_ready(claimed)) {
        sim_fail("after is honoured",
                 "run %" PRId64 " starts, and it is %s or its turn has not come", claimed->id,
                 run_state_name(claimed->state));
    }
    check_time(claimed, at_ms);
    check_places(claimed, wanted, n);
    if (has_all_it_may(claimed->owner, wanted, n)) {
        sim_fail("no owner has more than it may",
                 "run %" PRId64 " starts while %d of its owner's are running", claimed->id,
                 kinds.max_running);
    }
    for (int i = 0; i < n; i++) {
        const struct wanted *other = &wanted[i];
        if (other != claimed && other->id > 0 && !other->deleted && !other->deleting &&
            is_ready(other) && other->not_before.most_ms <= at_ms &&
            other->elsewhere == claimed->elsewhere && !has_all_it_may(other->owner, wanted, n) &&
            turn_is_before(other, claimed, wanted, n, at_ms)) {
            sim_fail("the first is claimed", "run %" PRId64 " starts before run %" PRId64,
                     claimed->id, other->id);
        }
    }
}

/* Whoever sees them begin asks what trains to stop, which it does at its next step. That the clock
 * was set is seen within a minute. */
void claims_check_epoch(struct wanted *w, int64_t at_ms) {
    enum { MOST_EPOCHS = 2 };
    w->n_quiet_epochs = !w->elsewhere && hours_hold(at_ms) ? w->n_quiet_epochs + 1 : 0;
    if (w->n_quiet_epochs > MOST_EPOCHS && !kinds.clock_jumps && !(w->older && w->starts <= 1)) {
        sim_fail("what trains stops in quiet hours", "run %" PRId64 " trained %d epochs in them",
                 w->id, w->n_quiet_epochs);
    }
}

/* ---- what waits ---- */

int claims_count_waiting(int owner, bool possibly, const struct wanted *wanted, int n) {
    int n_waiting = 0;
    for (int i = 0; i < n; i++) {
        const struct wanted *w = &wanted[i];
        bool waits = w->state == RUN_QUEUED || w->state == RUN_HELD;
        if (w->owner == owner && w->id > 0 && !w->deleted) {
            n_waiting += w->deleting ? possibly : waits;
        }
    }
    return n_waiting;
}

void claims_check_room(const struct wanted *w, const struct wanted *wanted, int n) {
    int n_waiting = claims_count_waiting(w->owner, false, wanted, n);
    if (kinds.max_queued > 0 && n_waiting > kinds.max_queued) {
        sim_fail("no owner has more than it may",
                 "run %" PRId64 " came into the queue, where its owner then has %d", w->id,
                 n_waiting);
    }
}
