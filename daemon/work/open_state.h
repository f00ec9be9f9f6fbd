/* The state directory, opened: made where it is missing, locked, its database brought to this
 * program's version, and what nobody needs swept away.
 *
 * Layer: daemon/work. Thread rule: one thread, before the workers start.
 */
#ifndef CUTOUTD_DAEMON_WORK_OPEN_STATE_H
#define CUTOUTD_DAEMON_WORK_OPEN_STATE_H

#include "core/base/clock.h"
#include "daemon/store/store.h"

/* *ret_lock_fd holds the lock until it is closed, *ret_store is closed by store_close; both are set
 * as far as it came, also on failure. Statuses of state_dir.h, lock.h, store.h and
 * state_dir_sweep.h. */
enum status open_state(const char *directory, const struct clock *clock, int *ret_lock_fd,
                       struct store **ret_store, struct error *error);

#endif
