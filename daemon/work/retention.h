/* Room: what finished runs no longer need.
 *
 * Layer: daemon/work. Thread rule: retention_purge from any thread; start and stop by one.
 *
 * A run that has been final for long keeps its history and its best checkpoint; the last ones,
 * from which it could only be requeued or forked, go. What is removed is never a run. Events go by
 * their age; the histories that they told of stay.
 */
#ifndef CUTOUTD_DAEMON_WORK_RETENTION_H
#define CUTOUTD_DAEMON_WORK_RETENTION_H

#include <stdatomic.h>
#include <stdbool.h>

#include "core/base/clock.h"
#include "daemon/store/store.h"

struct retention_options {
    struct store *store;
    const char *state_dir;
    const struct clock *clock;
    int keep_days;        /* of the last checkpoints of finished runs; 0: nothing goes by itself */
    int keep_events_days; /* 0: likewise */
    int keep_audit_days;  /* 0: likewise */
    const atomic_bool *stop; /* true: end after the run it is at; NULL: never */
};

struct purge_result {
    int64_t n_runs;
    int64_t n_files;
    int64_t n_bytes;
};

/* Removes the last checkpoints of runs that ended more than `older_than_days` ago; dry_run: only
 * counts. STATUS_BUSY: it was stopped; statuses of the store; what was removed before stays
 * removed. A file that cannot be removed is logged; so is a run whose files cannot be made ready to
 * go, which keeps them and their rows. */
enum status retention_purge(const struct retention_options *options, int older_than_days,
                            bool dry_run, struct purge_result *ret_result, struct error *error);

struct retention;

/* Purges at once and then once a day, on a thread of its own. Everything in options must outlive
 * it. STATUS_NO_MEMORY, STATUS_IO.
 */
enum status retention_start(const struct retention_options *options,
                            struct retention **ret_retention, struct error *error);

/* Other numbers of days (0 as above), from now on; purges at once. NULL is fine. */
void retention_set_days(struct retention *retention, int keep_days, int keep_events_days);

/* Asks it to end after the run it is at. Does not wait. NULL is fine. */
void retention_ask_stop(struct retention *retention);

/* Asks, and waits for it. NULL is fine. */
void retention_stop(struct retention *retention);

#endif
