/* Thread rule: see the header. */
#include "tests/sim/model_turn.h"

#include <math.h>

#include "tests/sim/sim.h"

/* Core-seconds; every run has one core. */
struct bounds {
    double least;
    double most;
};

/* Of each owner, as it was at at_ms. */
static struct {
    struct bounds recent;
    int64_t at_ms;
} used[SIM_OWNERS];

static double left_after(int64_t ms) {
    return exp2(-(double)ms / 1000.0 / TURN_HALF_LIFE_S);
}

/* Of a piece of time that ends now: as if all of it were used at its begin, or at its end. */
static struct bounds piece_of(int64_t from_ms, int64_t to_ms) {
    int64_t ms = to_ms > from_ms ? to_ms - from_ms : 0;
    double seconds = (double)ms / 1000.0;
    return (struct bounds){seconds * left_after(ms), seconds};
}

static struct bounds recent_at(int owner, int64_t at_ms) {
    double left = left_after(at_ms - used[owner].at_ms);
    return (struct bounds){used[owner].recent.least * left, used[owner].recent.most * left};
}

static void charge(struct wanted *w, int64_t at_ms, bool surely) {
    struct bounds piece = piece_of(w->charged_ms, at_ms);
    struct bounds recent = recent_at(w->owner, at_ms);
    recent.least += surely ? piece.least : 0;
    recent.most += piece.most;
    used[w->owner].recent = recent;
    used[w->owner].at_ms = at_ms;
    w->charged_ms = at_ms;
}

void turn_on_start(struct wanted *w, int64_t at_ms) {
    w->charged_ms = at_ms;
}

/* What was trained by an older version was not charged to anybody. */
void turn_on_report(struct wanted *w, int64_t at_ms) {
    charge(w, at_ms, !w->older);
}

/* After a crash nobody knows until when it was trained: its owner is not charged for that. */
void turn_on_end(struct wanted *w, enum run_state to, int64_t at_ms) {
    charge(w, at_ms, to == RUN_SUCCEEDED && !w->older);
}

/* ---- the order ---- */

struct turn {
    struct bounds recent;
    int n_running;
    int64_t first_id; /* of its queued runs of the priority; 0: it may be one that is gone */
};

static struct turn turn_of(int owner, int priority, const struct wanted *wanted, int n,
                           int64_t at_ms) {
    struct turn turn = {.recent = recent_at(owner, at_ms), .first_id = INT64_MAX};
    for (int i = 0; i < n; i++) {
        const struct wanted *w = &wanted[i];
        if (w->owner != owner || w->id == 0 || w->deleted) {
            continue;
        }
        if (w->state == RUN_RUNNING) {
            struct bounds piece = piece_of(w->charged_ms, at_ms);
            turn.recent.least += piece.least;
            turn.recent.most += piece.most;
            turn.n_running++;
        } else if (w->state == RUN_QUEUED && w->priority_now == priority) {
            turn.first_id = w->deleting ? 0 : w->id < turn.first_id ? w->id : turn.first_id;
        }
    }
    return turn;
}

bool turn_is_before(const struct wanted *other, const struct wanted *claimed,
                    const struct wanted *wanted, int n, int64_t at_ms) {
    static const double rounding = 1e-6;
    if (other->priority_now != claimed->priority_now) {
        return other->priority_now > claimed->priority_now;
    }
    if (!kinds.fair || other->owner == claimed->owner) {
        return other->id < claimed->id;
    }
    struct turn a = turn_of(other->owner, other->priority_now, wanted, n, at_ms);
    struct turn b = turn_of(claimed->owner, claimed->priority_now, wanted, n, at_ms);
    if (a.recent.most > 0 || b.recent.most > 0) {
        return a.recent.most * (1 + rounding) + rounding < b.recent.least;
    }
    if (a.n_running != b.n_running) {
        return a.n_running < b.n_running;
    }
    return a.first_id > 0 && b.first_id > 0 && a.first_id < b.first_id;
}
