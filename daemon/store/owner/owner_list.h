/* Owners: what each has in the queue, and what it used.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_OWNER_OWNER_LIST_H
#define CUTOUTD_DAEMON_STORE_OWNER_OWNER_LIST_H

#include "daemon/store/table/run_table.h"

struct owner_row {
    char name[RUN_OWNER_SIZE]; /* "": of all that came without a token */
    int64_t n_queued;
    int64_t n_held;
    int64_t n_running;
    int64_t n_disk_bytes; /* of checkpoints */
    /* Core-seconds, what runs now included: of the last 24 hours, 7 days and 30 days, in whole
     * hours but for the current one; and the sum that halves every half_life, 0 without one. */
    double day;
    double week;
    double month;
    double recent;
};

struct owner_list {
    struct owner_row *rows;
    size_t n;
    bool more; /* there are others behind the last */
};

/* Frees and zeroes. A zeroed list is fine. */
void owner_list_clear(struct owner_list *list);

/* At most `limit` owners in order of their names, behind `after` (NULL: from the first). The caller
 * owns *ret_list (owner_list_clear). */
enum status owner_list_read(struct store *store, const char *after, int limit, int64_t now_ms,
                            struct owner_list *ret_list, struct error *error);

/* How many runs of the owner are running, and how many bytes its checkpoints have; an owner nobody
 * has heard of has none. */
enum status owner_read_state(struct store *store, const char *name, int64_t *ret_n_running,
                             int64_t *ret_n_disk_bytes, struct error *error);

#endif
