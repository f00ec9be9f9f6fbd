/* Events with what they tell about: those of a run, of a sweep's runs, of all.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_QUERY_EVENT_LIST_H
#define CUTOUTD_DAEMON_STORE_QUERY_EVENT_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/store/table/epoch_table.h"
#include "daemon/store/table/event_table.h"
#include "daemon/store/table/run_table.h"

/* Whose events: one run's, those of a sweep's runs, all. */
enum watch_kind { WATCH_RUN, WATCH_SWEEP, WATCH_ALL };

struct watch {
    enum watch_kind kind;
    int64_t id; /* of the run or the sweep; 0 with WATCH_ALL */
};

struct event_row {
    int64_t id;
    int64_t run_id;
    int64_t sweep_id; /* of the run; 0: none */
    enum event_type type;
    int64_t at_ms;

    /* EVENT_STATE */
    enum run_state state;
    int attempt;
    char reason[RUN_REASON_SIZE];

    /* EVENT_EPOCH: the number of the epoch. EVENT_CHECKPOINT: whole epochs in the file. */
    int epoch;

    /* EVENT_EPOCH: its row; .epoch is 0 when the run was put back to its beginning meanwhile. */
    struct epoch_row row;

    /* EVENT_CHECKPOINT */
    int step;
    enum checkpoint_kind kind;

    /* EVENT_EDIT: what they are from then on */
    char name[RUN_TITLE_SIZE];
    int priority;
    char *labels_json; /* owned; NULL in other events */
};

struct event_list {
    struct event_row *rows; /* in order of ids */
    size_t n;
    int64_t upto_id; /* of what was asked for, no event up to this id is missing */
    bool more;       /* there may be more behind upto_id: ask again from there */
    bool expired;    /* events behind `after_id` were deleted because of their age */
};

/* Events of a run with ids above `after_id`, at most `limit` (at least 1). The caller owns
 * *ret_list (event_list_clear). */
enum status event_table_list(struct store *store, int64_t run_id, int64_t after_id, int limit,
                             struct event_list *ret_list, struct error *error);

/* The same for whatever is watched. A list that is not full need not be the last (`more`): of a
 * sweep, a bounded stretch of ids is looked at. */
enum status event_table_follow(struct store *store, const struct watch *watch, int64_t after_id,
                               int limit, struct event_list *ret_list, struct error *error);

/* The newest `limit` (at least 1) events of a run, in order of ids; list.more: there are older
 * ones. The caller owns *ret_list. */
enum status event_table_latest(struct store *store, int64_t run_id, int limit,
                               struct event_list *ret_list, struct error *error);

/* How many events there are above `after_id`, counted up to `most`. */
enum status event_table_count(struct store *store, const struct watch *watch, int64_t after_id,
                              int most, int64_t *ret_n, struct error *error);

/* Frees and zeroes. A zeroed list is fine. */
void event_list_clear(struct event_list *list);

#endif
