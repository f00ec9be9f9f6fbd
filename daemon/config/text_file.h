/* Small text files, read whole and replaced whole.
 *
 * Layer: daemon. Thread rule: pure functions; two writers of the same path must not meet.
 */
#ifndef CUTOUTD_DAEMON_CONFIG_TEXT_FILE_H
#define CUTOUTD_DAEMON_CONFIG_TEXT_FILE_H

#include <stddef.h>

#include "core/base/error.h"

/* Reads a regular file of at most max_bytes. *ret_text ends with a NUL that *ret_n_bytes does not
 * count and is owned by the caller (free). STATUS_NOT_FOUND, STATUS_IO, STATUS_TOO_LARGE,
 * STATUS_NO_MEMORY: nothing is returned, *error names the path. */
enum status text_file_read(const char *path, size_t max_bytes, char **ret_text, size_t *ret_n_bytes,
                           struct error *error);

/* The same of whatever has this path, a pipe or a terminal too; waits as long as its writer takes.
 * Only for commands in the foreground. */
enum status text_file_read_any(const char *path, size_t max_bytes, char **ret_text,
                               size_t *ret_n_bytes, struct error *error);

/* Makes `text` the content of PATH, durably and all or nothing: PATH.tmp is written, synced and
 * renamed, and the directory synced. STATUS_NOT_FOUND (no such directory), STATUS_IO,
 * STATUS_NO_SPACE, STATUS_NO_MEMORY: PATH is what it was, unless only the last sync failed. */
enum status text_file_write(const char *path, const char *text, struct error *error);

#endif
