/* Every open connection, and how long it may still take to say what it wants.
 *
 * Layer: api. Thread rule: all functions from any thread.
 *
 * The HTTP library only counts inactivity, so a client that sends one byte now and then could hold
 * a connection for ever; here each one has a deadline for a whole request. A connection over the
 * cap is still served, with a 503, so that clients are told instead of left waiting.
 */
#ifndef CUTOUTD_API_HTTP_CONNECTIONS_H
#define CUTOUTD_API_HTTP_CONNECTIONS_H

#include <stdbool.h>

#include "core/base/error.h"
#include "daemon/config/tokens.h"

struct connections;
struct connection;

/* STATUS_NO_MEMORY. */
enum status connections_create(int cap, struct connections **ret_connections, struct error *error);

/* NULL is fine. */
void connections_free(struct connections *connections);

/* A connection was opened. NULL when memory is out: it then has no deadline and no cap. Ends with
 * connections_remove, before the descriptor is closed. */
struct connection *connections_add(struct connections *connections, int fd, double deadline_s);
void connections_remove(struct connections *connections, struct connection *connection);

/* The next whole request, or its body, must be there at this time (monotonic); 0: no deadline. */
void connections_set_deadline(struct connections *connections, struct connection *connection,
                              double deadline_s);

/* The token in whose name the request in progress is answered; NULL: none (any more). */
void connections_set_grant(struct connections *connections, struct connection *connection,
                           const struct token_grant *grant);

/* Ends the connections whose answer was granted to what no longer holds; returns how many. `holds`
 * must not come back to the connections. */
int connections_end_revoked(struct connections *connections,
                            bool (*holds)(void *user, const struct token_grant *grant), void *user);

/* So many above the cap are kept until they have been told so; the files for them are reserved. */
enum { CONNECTIONS_OVER_CAP = 32 };

/* Whether one more is to be kept, over the cap or not. None while it drains. */
bool connections_have_place(struct connections *connections);

/* Whether it came when the cap was reached. */
bool connection_is_over_cap(const struct connection *connection);

/* Gives the connection something that its request needs: `release` is called with it at the next
 * connection_keep (NULL, NULL: nothing), and when the connection is removed at the latest. The HTTP
 * library tells of the end of requests only that it has handed over, but of the end of every
 * connection. On the thread that serves the connection. */
void connection_keep(struct connection *connection, void *kept, void (*release)(void *kept));

/* How many are open. */
int connections_count(struct connections *connections);

/* Shuts down the connections whose deadline is over. */
void connections_tick(struct connections *connections, double now_s);

/* Shuts down the connections that wait for a request, the others as soon as their answer is sent,
 * and returns when all are gone, or after most_s seconds: who does not read has no answer then.
 * libmicrohttpd 0.9.75 crashes when it is stopped while it gives up on a head. */
void connections_drain(struct connections *connections, double most_s);

#endif
