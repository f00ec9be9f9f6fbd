/* What every handler may use: the parts of the daemon, and the state of the server.
 *
 * Layer: api. Thread rule: `options` and the constants are read-only after start; `stopping` is
 * atomic; the streams guard themselves.
 */
#ifndef CUTOUTD_API_CONTEXT_H
#define CUTOUTD_API_CONTEXT_H

#include <stdatomic.h>

#include "daemon/config/config.h"
#include "daemon/config/tokens.h"
#include "daemon/store/store.h"
#include "daemon/work/dataset_registry.h"
#include "daemon/work/pool.h"

struct listeners;
struct sweep_links;
struct sender;

/* Everything is borrowed and must outlive the server. */
struct api_options {
    struct listeners *listeners; /* open already, and taken over; NULL: opened by the next three */
    const char *listen_address;  /* numeric; "": not on the network */
    int port;                    /* 0: any free one */
    const char *unix_socket;     /* a path to listen on as well; NULL or "": none */
    const char *tls_cert;        /* of the network's listener, PEM files; NULL or "": no TLS */
    const char *tls_key;
    const char *commit;          /* that the program was built from; NULL: unknown */
    const struct config *config; /* as it is at start; handlers ask api_config */
    const struct clock *clock;
    const struct kernels *kernels; /* chosen at start: for /system and for memory estimates */
    struct store *store;
    struct queue *queue;
    struct pool *pool;
    struct notifier *notifier;
    struct progress_board *progress;
    struct health *health;
    struct dataset_registry *datasets;
    struct tokens *tokens;     /* NULL: everybody may do everything */
    struct sweep_links *links; /* NULL: there are none */
    struct sender *sender;     /* of webhooks; NULL: nothing is sent */
    /* Seconds a client has for a whole request head (also between two requests), and for a body;
     * 0: API_HEAD_S, API_BODY_S. */
    double head_deadline_s;
    double body_deadline_s;
    /* Above these a client gets a 503; 0: API_CONNECTIONS (as far as the process may open files),
     * API_STREAMS. */
    int connection_cap;
    int stream_cap;
    int stream_backlog; /* events that may wait for a client; 0: FEED_MOST_BEHIND */
};

enum { API_HEAD_S = 20, API_BODY_S = 30, API_CONNECTIONS = 4096, API_STREAMS = 3072 };

/* Which threads answer a request. Those that serve connections never wait for the store: whatever
 * asks it has threads of its own, and what takes long others, so that none waits for the other. */
enum lane {
    LANE_HERE,    /* the serving thread: answers from memory alone */
    LANE_READ,    /* reads of the store that end soon */
    LANE_WRITE,   /* waits for commits */
    LANE_SLOW,    /* comparisons, long histories, unindexed orders, big pictures */
    LANE_PICTURE, /* small pictures, which may have to read a data set first */
    LANE_ADMIN,   /* backups, purges */
    LANE_COUNT,
};

struct background;
struct connections;
struct keys_in_flight;
struct metrics;
struct stream_set;
struct tail;

struct api_context {
    struct api_options options;
    _Atomic(const struct config *) config; /* NULL: that of options */
    char address[128];                     /* where it listens, "127.0.0.1:43121" or "unix:PATH" */
    char url[160];    /* what paths are appended to, "http://127.0.0.1:43121" */
    double started_s; /* monotonic */
    int64_t started_ms;
    atomic_bool stopping;
    struct tail *tail; /* the newest events; NULL in tests of handlers, as the next */
    struct stream_set *streams;
    struct connections *connections;
    struct keys_in_flight *keys; /* of api/idempotency.h */
    struct metrics *metrics;
    struct background *lanes[LANE_COUNT]; /* [LANE_HERE]: NULL */
};

/* The settings in force, which a reload may replace between two calls; they stay valid as long as
 * the server runs. */
static inline const struct config *api_config(const struct api_context *context) {
    const struct config *config = atomic_load(&context->config);
    return config ? config : context->options.config;
}

#endif
