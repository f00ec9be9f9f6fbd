/* What the files of the config share. Layer: daemon; nobody else includes this. */
#ifndef CUTOUTD_DAEMON_CONFIG_CONFIG_INTERNAL_H
#define CUTOUTD_DAEMON_CONFIG_CONFIG_INTERNAL_H

#include "daemon/config/config.h"

/* One setting: `name` in the file, --name-with-dashes as a flag, CUTOUTD_NAME as a variable. */
struct config_setting {
    const char *name;
    const char *fallback;
    const char *help;
    const char *section; /* of the file; NULL: above all sections */
};

/* [CONFIG_KEY_COUNT] */
extern const struct config_setting config_settings[];

/* The key of this name, with '-' for '_' and in either case; -1: there is none. */
int config_find_key(const char *name, size_t length);

/* STATUS_INVALID names the origin; *config is what it was. */
enum status config_set_text(struct config *config, int key, const char *text, const char *origin,
                            struct error *error);
enum status config_set_dataset(struct config *config, const char *name, size_t name_length,
                               const char *directory, const char *origin, struct error *error);

/* Adds which of the files that the settings were read from this process may not read. */
void config_check_files_read(const struct config *config, struct config_problems *problems);

/* Reads the file, then conf.d/NAME.conf beside it in order of name. */
void config_load_files(struct config *config, const char *path, bool must_exist,
                       struct config_problems *problems);

/* From each value's text to its typed field; a problem names the value's origin. */
void config_resolve(struct config *config, struct config_problems *problems);

/* memory_limit once more, of config->memory. */
enum status config_resolve_memory(struct config *config, struct error *error);

/* The executors and [slurm]. */
void config_resolve_slurm(struct config *config, struct config_problems *problems);

/* STATUS_INVALID: the setting's value should be `wanted`; names the origin. */
enum status config_invalid(const struct config *config, enum config_key key, const char *wanted,
                           struct error *error);

#endif
