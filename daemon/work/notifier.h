/* Tells one follower of runs that something was committed, or that a run's progress changed.
 *
 * Layer: daemon/work. Thread rule: all functions from any thread, but not from inside the callback.
 *
 * A notification carries no data but the run's id: the follower reads the store and the progress
 * board itself.
 */
#ifndef CUTOUTD_DAEMON_WORK_NOTIFIER_H
#define CUTOUTD_DAEMON_WORK_NOTIFIER_H

#include <stdint.h>

#include "core/base/error.h"

struct notifier;

/* STATUS_NO_MEMORY. */
enum status notifier_create(struct notifier **ret_notifier, struct error *error);

/* NULL is fine. */
void notifier_free(struct notifier *notifier);

/* Called with the notifier's lock held: it must not block and not call the notifier. */
typedef void notifier_callback(void *user, int64_t run_id);

/* Sets the follower, in place of the one before; callback NULL: there is none. After it returned
 * the callback before is neither running nor called again. */
void notifier_set(struct notifier *notifier, notifier_callback *callback, void *user);

/* Calls the follower, if there is one. user: a struct notifier, as void so that this is a
 * store_observer too. */
void notifier_publish(void *user, int64_t run_id);

#endif
