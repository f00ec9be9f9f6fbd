/* `cutoutd serve`: the daemon from its start to the signal that ends it.
 *
 * Layer: daemon/main (the composition root, with main.c and parts.c). Thread rule: the main thread,
 * once in a process.
 */
#ifndef CUTOUTD_DAEMON_MAIN_SERVE_H
#define CUTOUTD_DAEMON_MAIN_SERVE_H

#include "daemon/config/config.h"

/* Serves until SIGTERM or SIGINT; SIGHUP reads the tokens again. Logs what goes wrong, and returns
 * whether the daemon started. */
enum status serve(const struct config *config);

#endif
