/* Brings a database to this program's version, or refuses it.
 *
 * Layer: daemon/store (inside of the store only). Thread rule: called once, before the connection
 * is shared.
 */
#ifndef CUTOUTD_DAEMON_STORE_MIGRATE_H
#define CUTOUTD_DAEMON_STORE_MIGRATE_H

#include <sqlite3.h>
#include <stdbool.h>

#include "core/base/error.h"

struct migration {
    int version; /* 1, 2, 3, ... without gaps */
    const char *name;
    const char *sql;
};

/* Made from migrations/ at build time. */
extern const struct migration migrations_embedded[];
extern const int migrations_embedded_count;

/* Whether the database is this program's or empty, and not newer than the list; changes nothing.
 * STATUS_UNSUPPORTED: it is not; statuses of db_status. */
enum status migrate_check(sqlite3 *handle, int n_migrations, struct error *error);

/* Whether migrate_apply would change something that is there: *ret_version is the version before;
 * false for a database that is new. Statuses of db_status. */
enum status migrate_is_due(sqlite3 *handle, int n_migrations, bool *ret_due, int *ret_version,
                           struct error *error);

/* Applies those of `migrations` that the database has not had, one transaction each; after a
 * failure the database is at the last version that was applied whole. STATUS_UNSUPPORTED: it is
 * newer than the list; STATUS_CORRUPT: one it has had differs from the list; otherwise the statuses
 * of db_status. */
enum status migrate_apply(sqlite3 *handle, const struct migration *migrations, int n_migrations,
                          struct error *error);

#endif
