/* One exchange on a connection: takes the request in piece by piece, has it answered, sends the
 * reply. The bridge between the HTTP library and the handlers.
 *
 * Layer: api. Thread rule: an exchange belongs to the thread that serves its connection.
 *
 * What the library (0.9.75) lets through and is refused here: two Content-Length headers,
 * Content-Length beside Transfer-Encoding, blanks in the names of headers (all of them let two
 * programs disagree on where a request ends), transfer encodings other than chunked, and bodies of
 * any size. Its own check for a missing Host is switched off, because its error answers repeat
 * their head; those for a Content-Length that is no number cannot be.
 */
#ifndef CUTOUTD_API_EXCHANGE_H
#define CUTOUTD_API_EXCHANGE_H

#include <microhttpd.h>

#include "api/context.h"
#include "api/http/connections.h"

struct exchange_host {
    struct api_context *context;
    struct connections *connections;
};

/* The callbacks of the HTTP library, each with the host as its user pointer. */
void *exchange_begin(void *host, const char *target, struct MHD_Connection *connection);
enum MHD_Result exchange_continue(void *host, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *n_upload, void **exchange);
void exchange_end(void *host, struct MHD_Connection *connection, void **exchange,
                  enum MHD_RequestTerminationCode how);

#endif
