/* The [Service] section of a systemd unit with its drop-ins, as systemd would read it; systemd need
 * not run.
 *
 * Layer: daemon/config. Thread rule: one thread.
 */
#ifndef CUTOUTD_DAEMON_CONFIG_UNIT_FILE_H
#define CUTOUTD_DAEMON_CONFIG_UNIT_FILE_H

#include <stddef.h>

#include "daemon/config/config.h"

struct unit_setting {
    char *key;
    char *value;
    char *origin; /* "FILE:12" */
};

struct unit_file {
    struct unit_setting *items; /* in the order in which they count */
    size_t n;
};

/* Looks for `name` ("cutoutd.service") in the directories of systemd, or of the variable
 * SYSTEMD_UNIT_PATH (separated by ':'), and adds NAME.d/X.conf in order of name. On success the
 * caller owns *ret_unit (unit_file_clear). STATUS_NOT_FOUND: there is no such unit; STATUS_IO,
 * STATUS_NO_MEMORY. */
enum status unit_file_read(const char *name, struct unit_file *ret_unit, struct error *error);

/* Frees and zeroes. A zeroed one is fine. */
void unit_file_clear(struct unit_file *unit);

/* The last setting of a key that has one value; NULL: there is none, or it was emptied. */
const struct unit_setting *unit_file_last(const struct unit_file *unit, const char *key);

/* The next setting of a key that may be repeated, from *at on, which moves behind it; NULL: there
 * is no more. Begin with *at = unit_file_first(unit, key): an empty value takes back what came
 * before.
 */
size_t unit_file_first(const struct unit_file *unit, const char *key);
const struct unit_setting *unit_file_next(const struct unit_file *unit, const char *key,
                                          size_t *at);

/* The words of a value, which is written to: separated by blanks, and in quotes with blanks.
 * Returns how many there are, at most `most`. */
size_t unit_words(char *value, char **words, size_t most);

#endif
