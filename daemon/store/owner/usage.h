/* What owners have used: core-seconds, by the hour, and the sum that forgets.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 *
 * A run's owner is charged for its cores in the commits of its reports and of its end; what a run
 * used between its last report and a crash is charged to nobody. The sum that forgets halves every
 * half_life; the order of the queue follows it (turn.h).
 */
#ifndef CUTOUTD_DAEMON_STORE_OWNER_USAGE_H
#define CUTOUTD_DAEMON_STORE_OWNER_USAGE_H

#include "daemon/store/store.h"

/* Seconds in which what was used counts half; 0: nobody's use matters, first come, first served.
 * Kept in the database, which has the sums for it: those of another half_life are made anew from
 * the hours. */
enum status usage_set_half_life(struct store *store, int half_life_s, int64_t now_ms,
                                struct error *error);

/* Forgets the hours before `before_ms`, and the owners of nothing. */
enum status usage_forget(struct store *store, int64_t before_ms, struct error *error);

struct db;

/* 0: off. */
enum status usage_half_life(struct db *db, int *ret_half_life_s, struct error *error);

/* From a store_body, of a running run (no other is charged): for its cores since the last time. */
enum status usage_charge_run(struct db *db, int64_t run_id, int64_t now_ms, struct error *error);

/* From a store_body, of a run that was claimed at now_ms. cores: 0, or how many it has. */
enum status usage_begin_run(struct db *db, int64_t run_id, int cores, int64_t now_ms,
                            struct error *error);

/* From a store_body, after usage_charge_run: from then on the run has so many. */
enum status usage_set_cores(struct db *db, int64_t run_id, int cores, struct error *error);

#endif
