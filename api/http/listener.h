/* Sockets that listen: an address of the network, or a path of this machine.
 *
 * Layer: api. Thread rule: one thread.
 */
#ifndef CUTOUTD_API_HTTP_LISTENER_H
#define CUTOUTD_API_HTTP_LISTENER_H

#include <stddef.h>

#include "core/base/error.h"

/* Listens on a numeric address; port 0: any free one. *ret_fd is owned by the caller; ret_text:
 * "127.0.0.1:43121", "[::1]:8080", with the port that was chosen. STATUS_BUSY: the address is in
 * use; STATUS_INVALID, STATUS_IO. */
enum status listener_open(const char *address, int port, int *ret_fd, char *ret_text, size_t size,
                          struct error *error);

/* Listens on a path, for its owner and group (mode 0660). A socket that nobody serves any more is
 * replaced. STATUS_BUSY: somebody does; STATUS_CONFLICT: there is something else at the path;
 * STATUS_INVALID: it is too long; STATUS_IO. */
enum status listener_open_unix(const char *path, int *ret_fd, struct error *error);

#endif
