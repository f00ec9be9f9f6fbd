/* What the files of the config share. Layer: daemon; nobody else includes this. */
#ifndef CUTOUTD_DAEMON_CONFIG_CONFIG_INTERNAL_H
#define CUTOUTD_DAEMON_CONFIG_CONFIG_INTERNAL_H

#include "daemon/config/config.h"

/* One setting: `name` in the file, --name-with-dashes as a flag, CUTOUTD_NAME as a variable. */
struct config_setting {
    const char *name;
    const char *fallback;
    const char *help;
};

/* [CONFIG_KEY_COUNT] */
extern const struct config_setting config_settings[];

/* From each value's text to its typed field. STATUS_INVALID names the value's origin. */
enum status config_resolve(struct config *config, struct error *error);

#endif
