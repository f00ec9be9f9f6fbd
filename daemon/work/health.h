/* What is known of the store without asking it: a thread looks twice a second, whoever asks gets
 * what it saw last.
 *
 * Layer: daemon/work. Thread rule: all functions but health_read by one thread.
 */
#ifndef CUTOUTD_DAEMON_WORK_HEALTH_H
#define CUTOUTD_DAEMON_WORK_HEALTH_H

#include "core/base/clock.h"
#include "daemon/config/state_dir.h"
#include "daemon/store/store.h"
#include "daemon/store/table/run_table.h"

/* A look that takes longer than this means that the store does not answer. */
enum { HEALTH_MOST_AGE_S = 2 };

struct health_report {
    enum status status; /* of the last look: whether the store would accept a write */
    double age_s;       /* since that look ended */
    bool is_ready;      /* it would, and the look is not older than HEALTH_MOST_AGE_S */
    const char *reason; /* static; one sentence for users why it is not ready, else "" */
    int64_t runs[RUN_STATE_COUNT];
    int64_t oldest_queued_ms; /* Unix time; 0: none is queued */
    struct state_dir_usage disk;
};

struct health;

/* store, state_dir and clock are borrowed. The first look is over when it returns; a store that
 * accepts nothing is no error. STATUS_NO_MEMORY. */
enum status health_create(struct store *store, const char *state_dir, const struct clock *clock,
                          struct health **ret_health, struct error *error);

/* Begins to look twice a second, on a thread of its own. STATUS_IO. */
enum status health_start(struct health *health, struct error *error);

/* Ends the thread, if it was started. NULL is fine. */
void health_free(struct health *health);

/* Never waits for the store or the disk. */
void health_read(struct health *health, struct health_report *ret_report);

/* Looks once, on the calling thread; not while the health's own thread does. */
void health_look(struct health *health);

#endif
