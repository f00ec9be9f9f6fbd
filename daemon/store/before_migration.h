/* What is kept of a database before a newer program changes its form.
 *
 * Layer: daemon/store (inside of the store only). Thread rule: called once, before the connection
 * is shared.
 */
#ifndef CUTOUTD_DAEMON_STORE_BEFORE_MIGRATION_H
#define CUTOUTD_DAEMON_STORE_BEFORE_MIGRATION_H

#include "daemon/store/db.h"

enum { BEFORE_MIGRATION_KEPT = 3 };

/* If migrations are due, copies the database at `path` to before-migration/version-N.db beside it,
 * where N is its version, and keeps the newest BEFORE_MIGRATION_KEPT of these copies; the one of
 * the same version is replaced. STATUS_NO_SPACE and others: there is no copy, and nothing may be
 * changed. */
enum status before_migration_keep(struct db *db, const char *path, struct error *error);

#endif
