/* The head of a request, looked at before anything in it is believed.
 *
 * Layer: api. Thread rule: belongs to the thread that serves the connection.
 *
 * What the library lets through and is refused here, because two programs could read it
 * differently: two Content-Length headers, Content-Length beside Transfer-Encoding, transfer
 * encodings other than chunked, blanks in the names of headers, lines that go on in the next one
 * (0.9.75 appends such a line to the header's name), NUL (which cuts what stands before it short),
 * and two of a header of which there can be one.
 */
#ifndef CUTOUTD_API_HTTP_HEAD_H
#define CUTOUTD_API_HTTP_HEAD_H

#include <microhttpd.h>

/* The request line as the library has it: the target as it came, and in the library's memory. */
struct request_line {
    const char *target;
    const char *url;
    const char *version;
};

/* Why the head cannot be trusted, as a sentence, or NULL. */
const char *head_problem(struct MHD_Connection *connection, const struct request_line *line);

#endif
