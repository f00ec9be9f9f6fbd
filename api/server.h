/* The HTTP server: the only door from outside.
 *
 * Layer: api. Thread rule: start and stop by one thread; in between it works on threads of its own.
 */
#ifndef CUTOUTD_API_SERVER_H
#define CUTOUTD_API_SERVER_H

#include "api/context.h"

struct api_server;

/* So many files must be allowed: those that the rest of the process needs, and some connections. */
enum { API_LEAST_FILES = 160 };

/* Listens and serves when it returns. On success *ret_server is owned by the caller
 * (api_server_stop). STATUS_BUSY: the address is in use; STATUS_INVALID, STATUS_FORBIDDEN (others
 * may read the key), STATUS_CONFLICT (a file at the path of the socket), STATUS_IO,
 * STATUS_NO_MEMORY. */
enum status api_server_start(const struct api_options *options, struct api_server **ret_server,
                             struct error *error);

/* Where it listens: "127.0.0.1:43121", "[::1]:8080", or "unix:/run/cutoutd/socket" when it is not
 * on the network; valid until the server stops. */
const char *api_server_address(const struct api_server *server);

/* The same with http:// or https:// in front, where it is on the network. */
const char *api_server_url(const struct api_server *server);

/* Other settings from now on, which are borrowed and outlive the server. Where it listens, and with
 * which files, stays as it is. */
void api_server_set_config(struct api_server *server, const struct config *config);

/* After tokens_reload: ends the streams and downloads of tokens that are no more, or have less
 * scope than before; returns how many. */
int api_server_tokens_changed(struct api_server *server);

/* Reads certificate and key again, of a server that was started with them: new connections get what
 * is in the files, open ones go on. *ret_changed: it is another certificate; *ret_expires_ms: when
 * it ends, as Unix time. After a failure (as at the start) the one before stays in force. */
enum status api_server_reload_tls(struct api_server *server, bool *ret_changed,
                                  int64_t *ret_expires_ms, struct error *error);

/* For a watchdog, which calls it once in a while from one thread; waits for nothing. For how many
 * seconds no request has been answered that should have been: the listener is asked as a client
 * asks it, and what reads and writes the store is looked at as well. 0: it answers. */
double api_server_stalled_s(struct api_server *server);

/* Ready no more; backups and purges that run end after the step they are at. Does not wait. NULL is
 * fine. */
void api_server_ask_stop(struct api_server *server);

/* Ends every stream, waits for handlers that run, closes. NULL is fine. */
void api_server_stop(struct api_server *server);

#endif
