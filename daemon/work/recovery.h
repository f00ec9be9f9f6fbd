/* What a crash left behind, put right before the first worker starts.
 *
 * Layer: daemon/work. Thread rule: called once, by one thread, at start.
 */
#ifndef CUTOUTD_DAEMON_WORK_RECOVERY_H
#define CUTOUTD_DAEMON_WORK_RECOVERY_H

#include "daemon/work/pool.h"

/* Ends without progress in a row that a run may have before it fails. */
enum { RECOVERY_MOST_INTERRUPTIONS = 5 };

struct recovery_result {
    int n_requeued; /* were running: queued again, one more attempt, reason "interrupted" */
    int n_failed;   /* ended the daemon too often in a row without progress: failed */
    int n_attached; /* are trained elsewhere and go on there */
    int n_asked;    /* were running with an accepted request: now canceled or paused */
};

/* pool: attaches to what outlived the daemon; NULL: nothing does. Statuses of the store; runs that
 * were not reached stay `running` for the next start. */
enum status recovery_run(struct store *store, struct pool *pool, const struct clock *clock,
                         struct recovery_result *ret_result, struct error *error);

#endif
