/* `cutoutd serve`: the daemon from its start to the signal that ends it.
 *
 * Layer: daemon/main (the composition root, with main.c and parts.c). Thread rule: the main thread,
 * once in a process.
 */
#ifndef CUTOUTD_DAEMON_MAIN_SERVE_H
#define CUTOUTD_DAEMON_MAIN_SERVE_H

#include "daemon/config/config.h"
#include "daemon/main/reload.h"

/* Serves until SIGTERM or SIGINT; SIGHUP reads the settings from their source again, the tokens and
 * the certificate. Logs what goes wrong, and returns whether the daemon started. */
enum status serve(const struct config *config, const struct reload_source *source);

#endif
