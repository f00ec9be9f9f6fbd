/* Keeps a second daemon out of a state directory.
 *
 * Layer: daemon. Thread rule: one thread.
 */
#ifndef CUTOUTD_DAEMON_CONFIG_LOCK_H
#define CUTOUTD_DAEMON_CONFIG_LOCK_H

#include "core/base/error.h"

/* Locks the directory and writes our pid into DIRECTORY/lock. The lock lasts until the returned
 * descriptor is closed or the process ends, however it ends. STATUS_BUSY with the pid of the
 * holder; STATUS_IO.
 */
enum status lock_take(const char *directory, int *ret_fd, struct error *error);

/* Keeps daemons out while the directory is only read: nothing is written into it, and others may do
 * the same. *ret_fd as above; -1 where the file system has no locks or the directory cannot be
 * opened. STATUS_BUSY as above. */
enum status lock_share(const char *directory, int *ret_fd, struct error *error);

#endif
