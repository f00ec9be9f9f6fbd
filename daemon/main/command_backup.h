/* `cutoutd backup FILE`: a consistent copy of the database, whether the daemon runs or not.
 *
 * Layer: daemon/main (it asks a running daemon by HTTP). Thread rule: one thread.
 */
#ifndef CUTOUTD_DAEMON_MAIN_COMMAND_BACKUP_H
#define CUTOUTD_DAEMON_MAIN_COMMAND_BACKUP_H

#include "daemon/config/config.h"

/* A running daemon is asked through its unix_socket, or at the address it wrote down (with the
 * token of the variable CUTOUTD_TOKEN, if there is one), and its copy is moved to `file`;
 * otherwise the database is copied directly. Prints one line; complains on stderr. Returns the exit
 * code, 0 or 1. */
int command_backup(const struct config *config, const char *file);

#endif
