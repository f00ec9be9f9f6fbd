/* Open event streams: a feed each, woken by news or by time, and ended when the server stops.
 *
 * Layer: api. Thread rule: stream_open and the streams' own work on the threads of the HTTP
 * library; stream_set_tick and stream_set_end on the server's.
 *
 * A stream with nothing to say is suspended: it costs memory and a socket, no thread. Locks, in the
 * order in which they may be taken: set, then stream, then the HTTP library's.
 */
#ifndef CUTOUTD_API_STREAM_STREAM_H
#define CUTOUTD_API_STREAM_STREAM_H

#include <microhttpd.h>

#include "api/context.h"
#include "api/http/reply.h"

/* context must outlive the set; context->tail is there before and after it. Follows the notifier
 * from here on. STATUS_NO_MEMORY, STATUS_IO. */
enum status stream_set_create(const struct api_context *context, int most,
                              struct stream_set **ret_set, struct error *error);

/* All streams must have ended. NULL is fine. */
void stream_set_free(struct stream_set *set);

/* A response whose body is the feed that is wanted. The caller queues it on `connection` and
 * destroys its reference, as with any response. STATUS_BUSY: too many streams, or the server stops;
 * STATUS_NO_MEMORY. */
enum status stream_open(struct stream_set *set, struct MHD_Connection *connection,
                        const struct reply_stream *wanted, struct MHD_Response **ret_response,
                        struct error *error);

/* How many are open. */
int stream_set_count(struct stream_set *set);

/* Wakes the streams whose time has come (heartbeats, held-back steps). */
void stream_set_tick(struct stream_set *set, double now_s);

/* Lets every stream end at once, and refuses new ones. Returns without waiting: after it no
 * connection is or becomes suspended. */
void stream_set_end(struct stream_set *set);

#endif
