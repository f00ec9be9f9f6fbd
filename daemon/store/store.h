/* The database of one state directory: one connection that writes, a few that only read.
 *
 * Layer: daemon/store. Thread rule: every function of the store and of its tables may be called
 * from any thread. Writes are serialised; reads run beside them and see what was committed.
 *
 * A function that writes returns after its commit: STATUS_OK means that the change survives kill -9
 * and power loss. On any other status nothing of it was stored. Writers that come at the same
 * moment share one commit (store/write_queue.h).
 *
 * Statuses of every store and table function, if not said otherwise: STATUS_NO_SPACE (disk full),
 * STATUS_IO, STATUS_CORRUPT (damaged database), STATUS_NO_MEMORY, STATUS_INTERNAL.
 */
#ifndef CUTOUTD_DAEMON_STORE_STORE_H
#define CUTOUTD_DAEMON_STORE_STORE_H

#include <stdint.h>

#include "core/base/error.h"
#include "core/base/histogram.h"

struct store;

/* Opens or creates the database file `path` and brings it to this program's version. What a process
 * before left in the log, synced or not, is on the disk before anybody reads it here. The caller
 * holds the state directory's lock. STATUS_UNSUPPORTED: the database is newer than this program;
 * STATUS_CORRUPT: damaged, or an applied migration is not the one this program knows. On success
 * *ret_store is owned by the caller (store_close). */
enum status store_open(const char *path, struct store **ret_store, struct error *error);

/* Checkpoints the WAL and closes. No other thread may be in a store function. NULL is fine. */
void store_close(struct store *store);

/* Called after every commit that changed a run or added one of its events, for each such run, on
 * the thread that wrote, with no lock of the store held. It must not block. Install it before
 * threads start. */
typedef void store_observer(void *user, int64_t run_id);
void store_observe(struct store *store, store_observer *observer, void *user);

/* Who asks for what a thread writes. The texts are borrowed. */
struct store_actor {
    int64_t at_ms;
    const char *owner; /* "" without a token */
    const char *peer;
    const char *request_id;
    const char *request; /* "POST /api/v1/runs" */
};

/* From now on this thread writes for him: what it changes is told in the audit
 * (table/audit_table.h), in the same commit. NULL: for nobody, as at first. The actor must stay
 * until then. */
void store_act_for(const struct store_actor *actor);

/* Whether a write would be accepted now: takes the write lock and gives it back. After a write that
 * failed for the disk it stores something, to see whether that is over. STATUS_BUSY: another
 * process holds the lock. */
enum status store_check(struct store *store, struct error *error);

/* Puts what stands in the log into the database file, which is then good without the log: a damage
 * to the log costs little. For a time when nobody writes; writers wait meanwhile. STATUS_BUSY:
 * another process is in the way. */
enum status store_settle(struct store *store, struct error *error);

/* Version of the schema, for /system. */
int store_schema_version(const struct store *store);

/* How long commits took. Lives as long as the store. */
const struct histogram *store_commits(const struct store *store);

/* Makes the n-th write from now fail once with STATUS_NO_SPACE just before its commit
 * (1: the next one); 0 switches it off. Only tests call it. */
void store_inject_failure(struct store *store, int nth_write);

/* What such writes fail with from now on, in place of STATUS_NO_SPACE. Only tests call it. */
void store_inject_status(struct store *store, enum status status);

#endif
