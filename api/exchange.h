/* One exchange on a connection: takes the request in piece by piece, has it answered, sends the
 * reply. The bridge between the HTTP library and the handlers.
 *
 * Layer: api. Thread rule: an exchange belongs to the thread that serves its connection.
 *
 * What the library lets through of heads that two programs could read differently is refused in
 * api/http/head.h, what pages in browsers may not do in api/http/origin.h. The library's own check
 * for a missing Host is switched off, because the error answers of 0.9.75 repeat their head; those
 * for a Content-Length that is no number cannot be.
 */
#ifndef CUTOUTD_API_EXCHANGE_H
#define CUTOUTD_API_EXCHANGE_H

#include <microhttpd.h>

#include "api/context.h"
#include "api/http/connections.h"

struct exchange_host {
    struct api_context *context;
    struct connections *connections;
    bool on_path; /* its clients come by the unix socket */
};

/* The callbacks of the HTTP library, each with the host as its user pointer. */
void *exchange_begin(void *host, const char *target, struct MHD_Connection *connection);
enum MHD_Result exchange_continue(void *host, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *n_upload, void **exchange);
void exchange_end(void *host, struct MHD_Connection *connection, void **exchange,
                  enum MHD_RequestTerminationCode how);

#endif
