/* Sockets that listen: an address of the network, or a path of this machine.
 *
 * Layer: api. Thread rule: one thread.
 */
#ifndef CUTOUTD_API_HTTP_LISTENER_H
#define CUTOUTD_API_HTTP_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/error.h"

enum { LISTENER_PATH_SIZE = 108 };

/* Listens on a numeric address; port 0: any free one. *ret_fd is owned by the caller; ret_text:
 * "127.0.0.1:43121", "[::1]:8080", with the port that was chosen. STATUS_BUSY: the address is in
 * use; STATUS_INVALID, STATUS_IO. */
enum status listener_open(const char *address, int port, int *ret_fd, char *ret_text, size_t size,
                          struct error *error);

/* Listens on a path, for its owner and group (mode 0660). A socket that nobody serves any more is
 * replaced. STATUS_BUSY: somebody does; STATUS_CONFLICT: there is something else at the path;
 * STATUS_INVALID: it is too long; STATUS_IO. */
enum status listener_open_unix(const char *path, int *ret_fd, struct error *error);

/* A socket that listens and has no address that anybody knows: what takes the place of another one
 * that shall not be served any more. *ret_fd is owned by the caller. STATUS_IO. */
enum status listener_open_for_nobody(int *ret_fd, struct error *error);

/* Both, before there is anybody to serve them: who connects waits. */
struct listeners {
    int fd;                        /* on the network; -1: not there, or taken over */
    int unix_fd;                   /* on a path; as above */
    bool is_public;                /* the first can be reached from other machines */
    bool keep_path;                /* the second's file is somebody else's: it is not removed */
    char address[128];             /* of the first, as listener_open says it */
    char path[LISTENER_PATH_SIZE]; /* of the second */
};

#define LISTENERS_NONE ((struct listeners){.fd = -1, .unix_fd = -1})

/* Puts a socket that listens already, opened by whoever started the process, to the others, and
 * takes it over whatever is returned. STATUS_INVALID: it does not listen, is neither of the network
 * nor of a path, or there is one of its kind already. */
enum status listeners_adopt(struct listeners *listeners, int fd, struct error *error);

/* Adds what is not there yet. address "": not on the network; path NULL or "": no path. Statuses of
 * both; on failure nothing is left, neither socket nor file, also of what was adopted before. */
enum status listeners_open(struct listeners *listeners, const char *address, int port,
                           const char *path, struct error *error);

/* Closes what was not taken over, and removes the path's file where it is ours. */
void listeners_close(struct listeners *listeners);

#endif
