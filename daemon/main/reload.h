/* What `systemctl reload` (SIGHUP) takes into use: settings, tokens, certificate, time zone.
 *
 * Layer: daemon/main. Thread rule: the main thread, while the parts stand.
 */
#ifndef CUTOUTD_DAEMON_MAIN_RELOAD_H
#define CUTOUTD_DAEMON_MAIN_RELOAD_H

#include "daemon/main/parts.h"

/* Where the settings come from, so that they can be read again; all borrowed. */
struct reload_source {
    int argc;
    char *const *argv;
    char *const *environment;
};

struct reload_settings; /* of one reload */

struct reload {
    struct reload_source source;
    struct reload_settings *all; /* in force, and before that: others may still read them */
};

/* Reads everything again, and logs a line for each value that is another one: that it is in force,
 * or that it waits for a restart. If anything in the settings is wrong, none of them changes. */
void reload(struct reload *reload, struct parts *parts);

/* After the parts were taken apart. */
void reload_clear(struct reload *reload);

#endif
