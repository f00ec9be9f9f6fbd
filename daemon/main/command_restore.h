/* `cutoutd restore FILE`: a copy of the database, or a backup directory, becomes the state of a
 * daemon that is stopped.
 *
 * Layer: daemon/main. Thread rule: the main thread.
 */
#ifndef CUTOUTD_DAEMON_MAIN_COMMAND_RESTORE_H
#define CUTOUTD_DAEMON_MAIN_COMMAND_RESTORE_H

#include "daemon/config/config.h"

/* `source`: a database file (a log beside it, FILE-wal, belongs to it), or a directory with
 * cutoutd.db and perhaps runs/. It is only read. Everything gets the owner of the state directory.
 * A database that is there already is not touched: the exit status is 1 and the message says what
 * to do; 0: it is restored. */
int command_restore(const struct config *config, const char *source);

#endif
