/* What every handler may use: the parts of the daemon, and the state of the server.
 *
 * Layer: api. Thread rule: `options` and the constants are read-only after start; `stopping` is
 * atomic; the streams guard themselves.
 */
#ifndef CUTOUTD_API_CONTEXT_H
#define CUTOUTD_API_CONTEXT_H

#include <stdatomic.h>

#include "api/server.h"

struct background;
struct connections;
struct metrics;
struct stream_set;
struct tail;

struct api_context {
    struct api_options options;
    char address[128]; /* where it listens, "127.0.0.1:43121" or "unix:PATH" */
    char url[160];     /* what paths are appended to, "http://127.0.0.1:43121" */
    double started_s;  /* monotonic */
    int64_t started_ms;
    atomic_bool stopping;
    struct tail *tail; /* the newest events; NULL in tests of handlers, as the next */
    struct stream_set *streams;
    struct connections *connections;
    struct metrics *metrics;
    /* Threads for what takes long. A picture shall not wait for a backup. */
    struct background *admin;
    struct background *pictures;
};

#endif
