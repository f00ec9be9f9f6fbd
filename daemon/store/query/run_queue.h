/* The queue as it stands: runs in the order in which they are claimed. By turns of their owners
 * (owner/turn.h) that is the order by what each has used until now: with each run that starts, the
 * others of its owner go back.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 *
 * All lists are without labels and config.
 */
#ifndef CUTOUTD_DAEMON_STORE_QUERY_RUN_QUEUE_H
#define CUTOUTD_DAEMON_STORE_QUERY_RUN_QUEUE_H

#include "daemon/store/table/run_table.h"

/* At most `limit` runs of one state: highest priority first, then the oldest. The caller owns
 * *ret_list (run_list_clear). */
enum status run_queue_list(struct store *store, enum run_state state, int limit,
                           struct run_list *ret_list, struct error *error);

/* At most `limit` queued runs in the order in which they are claimed. As above. */
enum status run_queue_waiting(struct store *store, int64_t now_ms, int limit,
                              struct run_list *ret_list, struct error *error);

/* A part of the queue: queued runs in the order in which they are claimed, then held ones in the
 * order in which they would be. */
struct queue_page {
    struct run_list list;
    int64_t first_position; /* of the first queued one, from 1 */
    int64_t n_queued;       /* in all, as the next */
    int64_t n_held;
};

/* Frees and zeroes. */
void queue_page_clear(struct queue_page *page);

struct queue_place {
    bool held;
    int priority;
    int64_t id;
    char owner[RUN_OWNER_SIZE]; /* of use where owners take turns */
};

/* At most `limit` runs behind the one of this place (NULL: from the front). The caller owns
 * *ret_page (queue_page_clear). */
enum status run_queue_page(struct store *store, const struct queue_place *after, int64_t now_ms,
                           int limit, struct queue_page *ret_page, struct error *error);

/* The next time after now_ms that a queued run waits for (its not_before_ms); 0: none does. */
enum status run_queue_next_start(struct store *store, int64_t now_ms, int64_t *ret_at_ms,
                                 struct error *error);

/* How many queued runs are claimed before this one; `most` when there are more. */
enum status run_queue_count_ahead(struct store *store, const struct run_row *row, int64_t now_ms,
                                  int most, int *ret_count, struct error *error);

#endif
