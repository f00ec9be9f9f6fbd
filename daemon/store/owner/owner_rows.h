/* Layer: daemon/store (inside of the store only). Thread rule: from a store_body. */
#ifndef CUTOUTD_DAEMON_STORE_OWNER_OWNER_ROWS_H
#define CUTOUTD_DAEMON_STORE_OWNER_OWNER_ROWS_H

#include "daemon/store/db.h"

/* STATUS_QUOTA: the owner has more than max_queued runs that are queued or held, or more than
 * max_disk bytes of checkpoints. 0: any number. */
enum status owner_check_limits(struct db *db, const char *owner, int max_queued, int64_t max_disk,
                               struct error *error);

/* STATUS_QUOTA: one more that is queued would be more than max_queued. 0: any number. */
enum status owner_check_room(struct db *db, const char *owner, int max_queued, struct error *error);

#endif
