/* Table `event`: what happened to a run, in order, for streams that are read again from anywhere.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 *
 * Rows are added by the other tables in the commit of what they tell about; ids only grow and are
 * never used twice.
 */
#ifndef CUTOUTD_DAEMON_STORE_EVENT_TABLE_H
#define CUTOUTD_DAEMON_STORE_EVENT_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "core/train/trainer.h"
#include "daemon/store/run_table.h"

enum event_type { EVENT_STATE, EVENT_EPOCH, EVENT_CHECKPOINT };

struct event_row {
    int64_t id;
    int64_t run_id;
    enum event_type type;
    int64_t at_ms;

    /* EVENT_STATE */
    enum run_state state;
    int attempt;
    char reason[RUN_REASON_SIZE];

    /* EVENT_EPOCH: the number of the epoch, its numbers are in table epoch.
     * EVENT_CHECKPOINT: whole epochs in the file. */
    int epoch;

    /* EVENT_CHECKPOINT */
    int step;
    enum checkpoint_kind kind;
};

struct event_list {
    struct event_row *rows; /* in order of ids */
    size_t n;
};

/* Events of a run with ids above `after_id`, at most `limit` (at least 1). The caller owns
 * *ret_list (event_list_clear). */
enum status event_table_list(struct store *store, int64_t run_id, int64_t after_id, int limit,
                             struct event_list *ret_list, struct error *error);

/* The newest event id of a run, 0 when it has none: where a snapshot stands in the stream. Read it
 * before the row of the run: an event that comes in between is then seen twice, never missed. */
enum status event_table_last_id(struct store *store, int64_t run_id, int64_t *ret_id,
                                struct error *error);

/* Frees and zeroes. A zeroed list is fine. */
void event_list_clear(struct event_list *list);

/* "state", "epoch", "checkpoint". */
const char *event_type_name(enum event_type type);

#endif
