/* Copies of whole files, for the commands.
 *
 * Layer: daemon/config. Thread rule: pure function.
 */
#ifndef CUTOUTD_DAEMON_CONFIG_COPY_FILE_H
#define CUTOUTD_DAEMON_CONFIG_COPY_FILE_H

#include <sys/stat.h>

#include "core/base/error.h"

/* Copies the regular file `from` to `to`, which is not there yet (mode 0640), and syncs it. owner:
 * whom root gives it to, as it does with all that it makes in a directory of somebody else; NULL:
 * nobody. STATUS_NOT_FOUND, STATUS_IO, STATUS_NO_SPACE: `to` is gone again. A crash may leave a
 * part of it: where a part could be taken for the whole, `to` is a temporary name. */
enum status copy_file(const char *from, const char *to, const struct stat *owner,
                      struct error *error);

/* Has root give the open file or directory to the owner; others can make only what is theirs. */
enum status give_away(int fd, const char *path, const struct stat *owner, struct error *error);

#endif
