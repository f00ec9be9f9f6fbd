/* The head of a request, looked at before anything in it is believed.
 *
 * Layer: api. Thread rule: belongs to the thread that serves the connection.
 *
 * What the library lets through and is refused here, because two programs could read it
 * differently: two Content-Length headers, Content-Length beside Transfer-Encoding, transfer
 * encodings other than chunked, blanks in the names of headers, lines that go on in the next one
 * (0.9.75 appends such a line to the header's name), NUL (which cuts what stands before it short),
 * and two of a header of which there can be one. And what the library itself leaves without an
 * answer, because it is too long.
 */
#ifndef CUTOUTD_API_HTTP_HEAD_H
#define CUTOUTD_API_HTTP_HEAD_H

#include <microhttpd.h>
#include <stddef.h>

/* The request line as the library has it: the target as it came, and in the library's memory. */
struct request_line {
    const char *target;
    const char *url;
    const char *version;
};

/* Why the head cannot be trusted, as a sentence, or NULL. */
const char *head_problem(struct MHD_Connection *connection, const struct request_line *line);

/* What the library keeps of a connection: the head as it came, a record for each header, and then
 * the head of the answer. */
enum { HEAD_MEMORY_BYTES = 32 * 1024, HEAD_MAX_BYTES = 28 * 1024 };

/* The library takes memory for every argument of a target, though nobody asks it for them, and
 * 0.9.75 forgets a request in which that memory ends: neither an answer nor the end of the
 * connection comes. From here on the target, which lies in the library's memory, has no arguments;
 * whoever needs them has a copy. */
void head_end_target_at_arguments(const char *target);

/* How much of the memory the head takes. Above HEAD_MAX_BYTES the head of an answer may not fit
 * beside it, and the library would close the connection without one. */
size_t head_size(struct MHD_Connection *connection, const char *target);

/* Writes an answer to the connection, which the caller has closed then, past the library: nothing
 * has been sent on it before. `body` is JSON of a problem; n_body 0: none (HEAD). */
void head_answer(struct MHD_Connection *connection, int http_status, const char *body,
                 size_t n_body);

#endif
