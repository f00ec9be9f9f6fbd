/* Whom webhooks tell, in the place of daemon/notify/post.*: it refuses, hangs, and takes a message
 * of which the daemon never learns that it was taken. And what must hold of what is told: whatever
 * was stored is told at least once, and nothing else.
 *
 * Thread rule: model.h. What was heard outlives the process.
 */
#ifndef CUTOUTD_TESTS_SIM_RECEIVER_H
#define CUTOUTD_TESTS_SIM_RECEIVER_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/* Into a new database: a webhook that is told of every run that ends. */
void receiver_add_hook(sqlite3 *handle);

/* From now on it takes what it is told, at once. */
void receiver_heal(void);

/* Within a look: of each of its ends the run has a delivery, in the commit of that end. */
void receiver_check_run(int64_t run_id, int n_ends);

/* Within a look: what is stored as delivered was heard. */
void receiver_check_heard(void);

/* How many deliveries are still to be told; -1: the database cannot be read now. */
int receiver_count_pending(void);

#endif
