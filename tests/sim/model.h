/* What must hold: a model that knows what was asked for, what was answered, and what the log of
 * events has told so far, and that compares the database and the files with it.
 *
 * The log of events is replayed in its order, which is the order of commits: so the model knows the
 * state of each run at every moment without guessing how requests were ordered. What was once seen
 * in the database must stay, whatever ends the process: a reader sees only what is durable.
 *
 * Thread rule: one thread; nothing here is a point of the scheduler.
 */
#ifndef CUTOUTD_TESTS_SIM_MODEL_H
#define CUTOUTD_TESTS_SIM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/store/run_state.h"
#include "daemon/store/table/run_table.h"

enum { MODEL_RUNS = 256, MODEL_AFTER = 2 };

/* not_before of a run, 0: none; between the two while nobody knows what became of a change. */
struct start_time {
    int64_t least_ms;
    int64_t most_ms;
    int n_in_flight; /* changes */
    bool overlapped;
};

/* A run that somebody asked for, by its name, which nobody else uses. */
struct wanted {
    char name[48];
    int64_t id;    /* 0: not seen yet */
    bool older;    /* it was in the database that the life began with */
    bool accepted; /* 201 */
    bool refused;  /* 4xx: it must not appear */
    bool deleting; /* somebody asked for its deletion */
    bool deleted;  /* and was told that it is gone */
    uint64_t seed;
    int epochs;
    int priority;
    int owner; /* below SIM_OWNERS */
    bool elsewhere;
    bool held;
    int64_t after[MODEL_AFTER];
    int n_after;
    int64_t forked_from; /* 0: no fork */
    int group;           /* of a sweep: all of them or none; 0: alone */
    int m;
    int halving_eta;     /* of a sweep by halving; 0: it is none */
    bool ranked_by_loss; /* and not by validation errors */
    bool ranked_by_m;    /* together with those of the sweep that have the same */
    struct start_time not_before;

    /* By the events so far. */
    enum run_state state;
    int attempt;
    int priority_now;
    int epochs_seen;
    int starts;               /* without an epoch or checkpoint since */
    int n_ends;               /* that it came to */
    int requeues_asked;       /* by somebody, carried out or not */
    enum run_request request; /* that was answered with 202, of this attempt */
    int64_t charged_ms;       /* of a running one: what it used until then is counted */
    int n_quiet_epochs;       /* in a row, of this attempt, in quiet hours */
    bool touched;             /* since the last look */
};

/* A new one; ends the simulation when there are too many. */
struct wanted *model_want(void);

/* NULL: the run was never seen. */
struct wanted *model_find(int64_t id);
int64_t model_last_id(void);
int model_count_unfinished(void);

/* The next time at which a queued run may start that may not yet; 0: there is none. */
int64_t model_next_start(int64_t now_ms);

/* The newest event that was seen. */
int64_t model_newest_event(void);

/* Whether an event of that run and state came after `behind`. */
bool model_has_state_event(int64_t id, enum run_state state, int64_t behind);
bool model_has_edit_event(int64_t id, int priority, int64_t behind);

/* The most runs of that owner that may have waited at once since the event `behind`. */
int model_most_waiting(int owner, int64_t behind);

/* Answers. The database is read at once: what was answered must be there. */
void model_on_accepted(struct wanted *first, int n, int64_t id, const char *location);
void model_on_refused(struct wanted *first, int n);
void model_on_deleting(int64_t id); /* it was asked for */
void model_on_deleted(int64_t id);
void model_on_drain_asked(void);
void model_on_drain_answered(int draining); /* -1: nobody knows whether it was done */

/* Reads the events since the last look and checks the runs that they are about; `all`: every run.
 * False: the database could not be read at this moment. */
bool model_look(bool all);

/* A process serves, and the database was looked at. */
void model_on_start(void);

/* Before the store is closed in order the model lets go of the database. */
void model_let_go(void);
void model_on_crash(void);

/* Nothing fails any more and nothing waits: everything is where it shall be. single_faults: nothing
 * worse happened than an operation that failed once. */
void model_check_end(bool single_faults);

#endif
