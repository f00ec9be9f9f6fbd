/* Wakes whoever follows a run: something was committed, or its progress changed.
 *
 * Layer: daemon/work. Thread rule: all functions from any thread, but not from inside a callback.
 *
 * The hub carries no data: a woken follower reads the store and the progress board itself.
 */
#ifndef CUTOUTD_DAEMON_WORK_HUB_H
#define CUTOUTD_DAEMON_WORK_HUB_H

#include <stdint.h>

#include "core/base/error.h"

struct hub;
struct hub_subscription;

/* STATUS_NO_MEMORY. */
enum status hub_create(struct hub **ret_hub, struct error *error);

/* All subscriptions must have ended. NULL is fine. */
void hub_free(struct hub *hub);

/* Called with the hub's lock held: it must not block and not call the hub. */
typedef void hub_callback(void *user, int64_t run_id);

/* run_id 0: every run. *ret_subscription ends with hub_unsubscribe. STATUS_NO_MEMORY. */
enum status hub_subscribe(struct hub *hub, int64_t run_id, hub_callback *callback, void *user,
                          struct hub_subscription **ret_subscription, struct error *error);

/* After it returned the callback is neither running nor called again. NULL is fine. */
void hub_unsubscribe(struct hub *hub, struct hub_subscription *subscription);

/* Calls every callback that follows the run. user: the hub, so that it is a store_observer too. */
void hub_publish(void *user, int64_t run_id);

#endif
