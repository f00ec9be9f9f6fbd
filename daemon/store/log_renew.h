/* The log that a process has left beside a database.
 *
 * Layer: daemon/store (inside of the store only). Thread rule: while nobody writes to the database.
 *
 * Where a commit was refused because the log could not be synced, what was written of it can still
 * be read, and SQLite takes it for a commit when the next process opens the file. The system does
 * not write it a second time: after a failed sync it takes it for written, and the next sync
 * succeeds without it. So a checkpoint would write into the database file what the log on the disk
 * does not have, and a loss of power in the middle of that leaves a damaged database.
 */
#ifndef CUTOUTD_DAEMON_STORE_LOG_RENEW_H
#define CUTOUTD_DAEMON_STORE_LOG_RENEW_H

#include "core/base/error.h"

/* Writes the log of the database `path` once more, as it can be read, and syncs it. One that is not
 * there, or cannot be opened, is left to SQLite, and so is what cannot be read of it. STATUS_IO;
 * STATUS_NO_SPACE: where the file system does not write in place, and is full. */
enum status log_renew(const char *path, struct error *error);

#endif
