/* Sweeps by halving: runs pause at rungs, and the best of each rung go on.
 *
 * Layer: daemon/store (inside of the store only). Thread rule: from a store_body; all of it belongs
 * to the commit of the move that calls for it.
 *
 * A rung ends when each of its runs waits at its epoch, has succeeded, failed or was canceled. The
 * runs (or, where runs share a setting, the settings by their means) are then ranked by the metric
 * at that epoch, equal ones by the smallest id; of n the first ceil(n / eta) go on to the next
 * rung, or to their end when there is none or when one setting is left. The others stay paused.
 *
 * A run that is resumed by hand after it came to its rung has left the halving.
 */
#ifndef CUTOUTD_DAEMON_STORE_CHANGE_HALVING_H
#define CUTOUTD_DAEMON_STORE_CHANGE_HALVING_H

#include "daemon/store/db.h"
#include "daemon/store/table/run_table.h"
#include "daemon/store/table/sweep_table.h"

/* Of a sweep that was just stored: its run `run_id` begins in the first rung. */
enum status halving_begin(struct db *db, int64_t sweep_id, const struct halving_rule *rule,
                          struct error *error);
enum status halving_enter(struct db *db, int64_t run_id, const struct halving_rule *rule,
                          const char *setting, struct error *error);

/* A run that would be queued again although it has come to its rung pauses there instead: changes
 * *move, whose reason may then be `reason`. */
enum status halving_adjust(struct db *db, struct run_move *move, char reason[RUN_REASON_SIZE],
                           struct error *error);

/* After a move: a run that was resumed by hand leaves; a rung that is complete ends. */
enum status halving_follow(struct db *db, const struct run_move *move, struct error *error);

/* After a run of the sweep is gone; 0 is fine. */
enum status halving_end_rungs(struct db *db, int64_t sweep_id, int64_t now_ms, struct error *error);

/* Nothing is ranked any more. */
enum status halving_forget(struct db *db, int64_t sweep_id, struct error *error);

#endif
