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

/* Both, before there is anybody to serve them: who connects waits. */
struct listeners {
    int fd;            /* on the network; -1: not there, or taken over */
    int unix_fd;       /* on a path; as above */
    char address[128]; /* of the first, as listener_open says it */
    const char *path;  /* of the second; borrowed */
};

/* address "": not on the network; path NULL or "": no path. Statuses of both; on failure nothing is
 * left, neither socket nor file. */
enum status listeners_open(const char *address, int port, const char *path,
                           struct listeners *ret_listeners, struct error *error);

/* Closes what was not taken over, and removes the path's file. */
void listeners_close(struct listeners *listeners);

#endif
