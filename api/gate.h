/* Who may come in: what is asked of a request's headers before a handler sees it.
 *
 * Layer: api. Thread rule: on the thread that serves the connection.
 */
#ifndef CUTOUTD_API_GATE_H
#define CUTOUTD_API_GATE_H

#include "api/exchange.h"
#include "api/router.h"

/* What is kept of the connection; NULL: it is over the library's limits. */
struct connection *gate_connection(struct MHD_Connection *connection);

enum { GATE_PEER_SIZE = 64 };

/* Where a request comes from: "10.1.2.3", "unix" by a path, "" when it is not known. */
void gate_peer(const struct exchange_host *host, struct MHD_Connection *connection,
               char ret_peer[GATE_PEER_SIZE]);

/* Takes the path by which a proxy that is trusted is reached, in front of ours: before anything is
 * answered that has links. False: *reply refuses what is no such path. */
bool gate_take_prefix(const struct exchange_host *host, struct MHD_Connection *connection,
                      struct request *request, struct reply *reply);

/* Copies the headers that handlers read into *request, whose target and body are there already;
 * checks where it comes from, its route, its token and the type of its body. NULL: *reply says what
 * is in the way. */
handler *gate_admit(const struct exchange_host *host, struct MHD_Connection *connection,
                    struct request *request, struct reply *reply);

#endif
