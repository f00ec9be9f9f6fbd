/* What a follower watches - one run, the runs of one sweep, every run - and how it stands.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 *
 * It has no table of its own: it reads `run` and `sweep` for the streams that follow `event`.
 */
#ifndef CUTOUTD_DAEMON_STORE_QUERY_WATCH_H
#define CUTOUTD_DAEMON_STORE_QUERY_WATCH_H

#include "daemon/store/query/event_list.h"

enum watch_state {
    WATCH_OPEN,  /* something is still to come */
    WATCH_FINAL, /* every run is in a final state */
    WATCH_GONE,  /* there is no such run or sweep (any more) */
};

/* Every run is never final. A sweep without runs is. */
enum status watch_table_state(struct store *store, const struct watch *watch,
                              enum watch_state *ret_state, struct error *error);

/* Whether there is a run of this id. */
enum status watch_table_has_run(struct store *store, int64_t run_id, bool *ret_there,
                                struct error *error);

/* Everything in it is of one moment. */
struct watch_snapshot {
    int64_t event_id;                /* the newest event at that moment: it is told already */
    char name[RUN_TITLE_SIZE];       /* of the sweep */
    int64_t counts[RUN_STATE_COUNT]; /* runs by state; zeroes with WATCH_RUN */
    struct run_list runs;            /* WATCH_RUN: the run. Otherwise those that are not final, the
                                        running first, then as the queue takes them. */
};

/* runs: at most `limit` (at least 1), runs.more says whether some were left out. The caller owns
 * *ret_snapshot (watch_snapshot_clear). STATUS_NOT_FOUND: WATCH_GONE. */
enum status watch_table_snapshot(struct store *store, const struct watch *watch, int limit,
                                 struct watch_snapshot *ret_snapshot, struct error *error);

/* Frees and zeroes. A zeroed snapshot is fine. */
void watch_snapshot_clear(struct watch_snapshot *snapshot);

#endif
