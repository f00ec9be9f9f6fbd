/* Whose turn it is: the queue, owner by owner.
 *
 * Layer: daemon/store (inside of the store only). Thread rule: on any connection.
 *
 * Within a priority the owner comes first who has used least lately (usage.h, with what its running
 * runs have used since they were charged); among equals who has fewer runs running, then whose
 * oldest run came first. An owner's runs go in order of arrival.
 */
#ifndef CUTOUTD_DAEMON_STORE_OWNER_TURN_H
#define CUTOUTD_DAEMON_STORE_OWNER_TURN_H

#include "daemon/store/db.h"
#include "daemon/store/table/run_table.h"

/* An owner at one priority. */
struct turn {
    char owner[RUN_OWNER_SIZE];
    double recent; /* core-seconds that it has used lately */
    int64_t n_running;
    int64_t n_disk_bytes; /* of its checkpoints */
    int64_t n_queued;     /* at this priority */
    int64_t first_id;     /* of its queued runs at this priority */
};

struct turns {
    bool fair;    /* sorted as above; otherwise by first_id: in order of arrival */
    int priority; /* of all of them */
    struct turn *items;
    size_t n;
    size_t n_settled; /* in their order for good; behind them, equals stand in any order */
};

/* Frees and zeroes. Zeroed ones are fine. */
void turns_clear(struct turns *turns);

/* Those of the highest priority below `below` at which a run is queued (INT64_MAX: of all). On
 * success the caller owns *ret_turns (turns_clear); n 0: there is none. Whatever *ret_turns held is
 * freed. */
enum status turns_read(struct db *db, int64_t below, int64_t now_ms, struct turns *turns,
                       struct error *error);

/* Puts items[0] to items[index] into their order: the oldest runs of equals are looked up, which
 * the front of the queue spares itself for all the others. */
enum status turns_settle(struct db *db, struct turns *turns, size_t index, struct error *error);

/* Where the owner stands among them, or would if it had a run there whose id is first_id. */
enum status turns_find(struct db *db, struct turns *turns, const char *owner, int64_t first_id,
                       int64_t now_ms, size_t *ret_index, struct error *error);

/* The queued run whose turn it is, of those that `claim` does not pass over. STATUS_NOT_FOUND:
 * there is none. */
enum status turn_first_run(struct db *db, const struct run_claim *claim, int64_t now_ms,
                           int64_t *ret_id, struct error *error);

#endif
