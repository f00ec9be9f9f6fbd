/* Copies of a database file.
 *
 * Layer: daemon/store. Thread rule: any thread. Statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_DB_COPY_H
#define CUTOUTD_DAEMON_STORE_DB_COPY_H

#include <stdatomic.h>

#include "core/base/error.h"

/* Copies the database file `source`, which may be open and written to, as it is at one moment into
 * the new file `target`, checks the copy (PRAGMA quick_check) and syncs it. Writers go on
 * meanwhile. *stop (NULL: never) becoming true ends it: STATUS_BUSY. STATUS_CONFLICT: target
 * exists. On failure target is gone. */
enum status db_copy(const char *source, const char *target, const atomic_bool *stop,
                    struct error *error);

#endif
