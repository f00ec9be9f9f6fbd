/* Starts and stops the HTTP library, and keeps the time for it.
 *
 * Layer: api.
 *
 * Threads: N_THREADS of the library, which serve the connections and wait for nothing; those of the
 * lanes (api/context.h), which run the handlers that ask the store; and one that wakes twice a
 * second for deadlines and heartbeats.
 */
#include "api/server.h"

#include <fcntl.h>
#include <math.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/change/grants.h"
#include "api/exchange.h"
#include "api/http/background.h"
#include "api/http/head.h"
#include "api/http/listener.h"
#include "api/http/metrics.h"
#include "api/http/probe.h"
#include "api/http/tls.h"
#include "api/idempotency.h"
#include "api/router.h"
#include "api/stream/stream.h"
#include "api/stream/tail.h"
#include "core/base/log.h"
#include "daemon/work/sweep_links.h"

enum {
    N_THREADS = 4,
    INACTIVITY_S = 30,
    /* For the store, data sets, checkpoints, and connections over the cap. */
    RESERVED_FILES = 96 + CONNECTIONS_OVER_CAP,
    TICK_MS = 500,
};

/* Beyond most_waiting a client gets 503 with Retry-After. The readers of the store (12) suffice
 * for all lanes at once, the streams and the health. */
static const struct {
    int n_threads;
    int most_waiting;
} lane_sizes[LANE_COUNT] = {
    [LANE_READ] = {3, 2048},  [LANE_WRITE] = {4, 512}, [LANE_SLOW] = {2, 16},
    [LANE_PICTURE] = {1, 64}, [LANE_ADMIN] = {1, 8},
};

struct api_server {
    struct api_context context;
    struct exchange_host host;
    struct exchange_host unix_host;    /* the same for those who come by the path */
    struct MHD_Daemon *daemon;         /* on the network; NULL: not there */
    struct MHD_Daemon *unix_daemon;    /* on a path; NULL: not there */
    char own_path[LISTENER_PATH_SIZE]; /* that path, if its file goes with the server; else "" */
    struct tls *tls;                   /* NULL: none */
    int nobody[2];                     /* what the two listen on when they stop; -1: not there */
    struct probe probe;                /* of the first that is there; of api_server_stalled_s */

    pthread_t ticker;
    bool ticker_started;
    pthread_mutex_t mutex;
    pthread_cond_t stop_ticker;
    bool ticker_must_stop; /* guarded by mutex */
};

/* Callbacks of the library */

static void on_connection(void *user, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode what) {
    struct api_server *server = user;
    struct connections *connections = server->host.connections;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        connections_remove(connections, *socket_context);
        *socket_context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    double now_s = clock_monotonic_s(server->context.options.clock);
    *socket_context = connections_add(connections, info->connect_fd,
                                      now_s + server->context.options.head_deadline_s);
}

/* The library would decode %00 into the end of the string; api/http/url.c decodes instead. */
static size_t leave_encoded(void *user, struct MHD_Connection *connection, char *text) {
    (void)user;
    (void)connection;
    return strlen(text);
}

static void on_library_log(void *user, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

static void on_library_log(void *user, const char *format, va_list arguments) {
    (void)user;
    char line[512];
    (void)vsnprintf(line, sizeof(line), format, arguments);
    line[strcspn(line, "\n")] = '\0';
    log_debug("http: %s", line);
}

/* From 0.9.77 on level 1 refuses lines that go on in the next one and NUL, which api/http/head.c
 * finds in 0.9.75, where every level lets them through. */
#if MHD_VERSION >= 0x00097701
#define CLIENT_DISCIPLINE MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1
#else
#define CLIENT_DISCIPLINE MHD_OPTION_STRICT_FOR_CLIENT, 0
#endif

/* Who comes when nobody more can even be told so is sent away at once: the files that are left are
 * the store's and training's. */
static enum MHD_Result accepts(void *user, const struct sockaddr *address, socklen_t size) {
    const struct exchange_host *host = user;
    (void)address;
    (void)size;
    return connections_have_place(host->connections) ? MHD_YES : MHD_NO;
}

/* Takes over `fd`, whether it succeeds or not. */
static enum status start_library(struct api_server *server, int fd, struct exchange_host *host,
                                 struct MHD_Daemon **ret_daemon, struct error *error) {
    bool tls = server->tls != NULL && !host->on_path;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    /* The library shares its limit out among its threads and leaves what is above waiting; ours
     * must be reached first, however unevenly the threads accept. */
    unsigned limit = ((unsigned)server->context.options.connection_cap + 64) * N_THREADS;
    static char tls_priorities[] = "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1"; /* 1.2 and 1.3 are left */
    struct MHD_OptionItem tls_options[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)tls_retrieve},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, tls_priorities},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    int *nobody = &server->nobody[host->on_path];
    enum status status = listener_open_for_nobody(nobody, error);
    if (status != STATUS_OK) {
        (void)close(fd);
        return status;
    }
    *ret_daemon =
        MHD_start_daemon(flags | (tls ? MHD_USE_TLS : 0), 0, accepts, host,             /* */
                         exchange_continue, host,                                       /* */
                         MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL,              /* */
                         MHD_OPTION_LISTEN_SOCKET, fd,                                  /* */
                         MHD_OPTION_THREAD_POOL_SIZE, (unsigned)N_THREADS,              /* */
                         MHD_OPTION_CONNECTION_LIMIT, limit,                            /* */
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_MEMORY_BYTES, /* */
                         MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)INACTIVITY_S,         /* */
                         CLIENT_DISCIPLINE,                                             /* */
                         MHD_OPTION_URI_LOG_CALLBACK, exchange_begin, host,             /* */
                         MHD_OPTION_UNESCAPE_CALLBACK, leave_encoded, NULL,             /* */
                         MHD_OPTION_NOTIFY_COMPLETED, exchange_end, host,               /* */
                         MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,           /* */
                         MHD_OPTION_ARRAY, tls ? tls_options : none,                    /* */
                         MHD_OPTION_END);
    if (*ret_daemon) {
        return STATUS_OK;
    }
    (void)close(fd);
    return error_set(error, STATUS_IO, "cannot start the HTTP%s server", tls ? "S" : "");
}

static enum status start_on_network(struct api_server *server, struct listeners *listeners,
                                    struct error *error) {
    struct api_context *context = &server->context;
    bool tls = server->tls != NULL;
    int fd = listeners->fd;
    listeners->fd = -1;
    (void)snprintf(context->address, sizeof(context->address), "%s", listeners->address);
    (void)snprintf(context->url, sizeof(context->url), "%s://%s", tls ? "https" : "http",
                   context->address);
    return start_library(server, fd, &server->host, &server->daemon, error);
}

static void remove_own_path(const struct api_server *server) {
    if (server->own_path[0]) {
        (void)unlink(server->own_path);
    }
}

static enum status start_on_path(struct api_server *server, struct listeners *listeners,
                                 struct error *error) {
    struct api_context *context = &server->context;
    if (!server->daemon) {
        (void)snprintf(context->address, sizeof(context->address), "unix:%s", listeners->path);
        (void)snprintf(context->url, sizeof(context->url), "http://localhost");
    }
    int fd = listeners->unix_fd;
    listeners->unix_fd = -1;
    if (!listeners->keep_path) {
        (void)snprintf(server->own_path, sizeof(server->own_path), "%s", listeners->path);
    }
    enum status status = start_library(server, fd, &server->unix_host, &server->unix_daemon, error);
    if (status != STATUS_OK) {
        remove_own_path(server);
    }
    return status;
}

static enum status start_serving(struct api_server *server, struct listeners *listeners,
                                 struct error *error) {
    probe_init(&server->probe, listeners->fd >= 0 ? listeners->fd : listeners->unix_fd,
               server->context.started_s);
    if (listeners->fd >= 0) {
        TRY(start_on_network(server, listeners, error));
    }
    return listeners->unix_fd >= 0 ? start_on_path(server, listeners, error) : STATUS_OK;
}

/* The clock */

static void *tick(void *user) {
    struct api_server *server = user;
    (void)pthread_mutex_lock(&server->mutex);
    while (!server->ticker_must_stop) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += TICK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        (void)pthread_cond_timedwait(&server->stop_ticker, &server->mutex, &until);
        (void)pthread_mutex_unlock(&server->mutex);
        double now_s = clock_monotonic_s(server->context.options.clock);
        connections_tick(server->host.connections, now_s);
        stream_set_tick(server->context.streams, now_s);
        struct sweep_links *links = server->context.options.links;
        struct tokens *tokens = server->context.options.tokens;
        int n_over = links ? sweep_links_expire(links) : 0;
        n_over += tokens ? tokens_expire(tokens) : 0;
        if (n_over > 0) {
            (void)grants_end_revoked(&server->context);
        }
        (void)pthread_mutex_lock(&server->mutex);
    }
    (void)pthread_mutex_unlock(&server->mutex);
    return NULL;
}

static enum status start_ticker(struct api_server *server, struct error *error) {
    int reason = pthread_create(&server->ticker, NULL, tick, server);
    if (reason != 0) {
        return error_set_errno(error, reason, "cannot start a thread");
    }
    server->ticker_started = true;
    return STATUS_OK;
}

static void init_locks(struct api_server *server) {
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&server->mutex, NULL);
    (void)pthread_cond_init(&server->stop_ticker, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

/* As many connections as wanted, but fewer than the process may have files open: above that limit
 * accept() fails, and a client gets no answer at all. */
static int default_connection_cap(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 ||
        files.rlim_cur > API_CONNECTIONS + RESERVED_FILES) {
        return API_CONNECTIONS;
    }
    int left = (int)files.rlim_cur - RESERVED_FILES;
    return left > API_LEAST_FILES - RESERVED_FILES ? left : API_LEAST_FILES - RESERVED_FILES;
}

static void set_defaults(struct api_options *options) {
    if (options->head_deadline_s <= 0) {
        options->head_deadline_s = API_HEAD_S;
    }
    if (options->body_deadline_s <= 0) {
        options->body_deadline_s = API_BODY_S;
    }
    if (options->connection_cap <= 0) {
        options->connection_cap = default_connection_cap();
    }
    if (options->stream_cap <= 0) {
        /* Requests find room beside the streams. */
        int most = options->connection_cap * 3 / 4;
        options->stream_cap = most < API_STREAMS ? most : API_STREAMS;
    }
}

/* What the routes are called in the metrics. */
static void name_route(int route, const char **ret_method, const char **ret_pattern) {
    *ret_method = router_at(route)->method;
    *ret_pattern = router_at(route)->pattern;
}

static enum status start_lanes(struct api_server *server, struct error *error) {
    for (int lane = LANE_HERE + 1; lane < LANE_COUNT; lane++) {
        TRY(background_start(lane_sizes[lane].n_threads, lane_sizes[lane].most_waiting,
                             &server->context.lanes[lane], error));
    }
    return STATUS_OK;
}

static enum status start(struct api_server *server, struct error *error) {
    const struct api_options *options = &server->context.options;
    TRY(connections_create(options->connection_cap, &server->host.connections, error));
    server->context.connections = server->host.connections;
    server->unix_host = server->host;
    server->unix_host.on_path = true;
    TRY(keys_in_flight_create(&server->context.keys, error));
    TRY(metrics_create(router_count(), name_route, &server->context.metrics, error));
    TRY(tail_create(options->store, &server->context.tail, error));
    TRY(stream_set_create(&server->context, options->stream_cap, &server->context.streams, error));
    if (options->tls_cert && options->tls_cert[0]) {
        TRY(tls_open(options->tls_cert, options->tls_key, &server->tls, error));
    }
    TRY(start_lanes(server, error));
    TRY(start_ticker(server, error));
    if (options->listeners) {
        return start_serving(server, options->listeners, error);
    }
    struct listeners listeners = LISTENERS_NONE;
    TRY(listeners_open(&listeners, options->listen_address, options->port, options->unix_socket,
                       error));
    enum status status = start_serving(server, &listeners, error);
    listeners_close(&listeners);
    return status;
}

enum status api_server_start(const struct api_options *options, struct api_server **ret_server,
                             struct error *error) {
    struct api_server *server = calloc(1, sizeof(*server));
    if (!server) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the HTTP server");
    }
    server->nobody[0] = server->nobody[1] = -1;
    init_locks(server);
    probe_init(&server->probe, -1, 0.0);
    server->context.options = *options;
    set_defaults(&server->context.options);
    server->context.started_s = clock_monotonic_s(options->clock);
    server->context.started_ms = clock_unix_ms(options->clock);
    server->host.context = &server->context;
    enum status status = start(server, error);
    if (status != STATUS_OK) {
        api_server_stop(server);
        return status;
    }
    *ret_server = server;
    return STATUS_OK;
}

const char *api_server_address(const struct api_server *server) {
    return server->context.address;
}

const char *api_server_url(const struct api_server *server) {
    return server->daemon ? server->context.url : server->context.address;
}

enum status api_server_reload_tls(struct api_server *server, bool *ret_changed,
                                  int64_t *ret_expires_ms, struct error *error) {
    TRY(tls_reload(server->tls, ret_changed, error));
    *ret_expires_ms = tls_expires_s(server->tls) * 1000;
    return STATUS_OK;
}

double api_server_stalled_s(struct api_server *server) {
    static const enum lane lanes[] = {LANE_READ,
                                      LANE_WRITE}; /* others may take minutes for a job */
    double now_s = clock_monotonic_s(server->context.options.clock);
    double most = probe_look(&server->probe, now_s);
    for (size_t i = 0; i < sizeof(lanes) / sizeof(lanes[0]); i++) {
        most = fmax(most, background_stalled_s(server->context.lanes[lanes[i]], now_s));
    }
    return most;
}

void api_server_ask_stop(struct api_server *server) {
    if (server) {
        atomic_store(&server->context.stopping, true);
    }
}

void api_server_set_config(struct api_server *server, const struct config *config) {
    atomic_store(&server->context.config, config);
}

int api_server_tokens_changed(struct api_server *server) {
    return grants_end_revoked(&server->context);
}

enum { DRAIN_S = 2 };

/* Takes no more connections: another socket, on which nobody comes, takes the place of the one that
 * it listens on. If somebody else keeps that one, who comes waits there for the next daemon; else
 * it is closed by this. (MHD_quiesce_daemon takes it out of the sets of the library's threads, and
 * ends the process if one of them is awake and does the same; MHD_stop_daemon shuts it down for
 * everybody, 0.9.75.) */
static void stop_listening(struct MHD_Daemon *daemon, int nobody) {
    const union MHD_DaemonInfo *info =
        daemon ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_LISTEN_FD) : NULL;
    if (info) {
        (void)dup3(nobody, info->listen_fd, O_CLOEXEC);
    }
}

static void stop_library(struct MHD_Daemon *daemon, int nobody) {
    MHD_stop_daemon(daemon);
    if (nobody >= 0) {
        (void)close(nobody);
    }
}

static void stop_libraries(struct api_server *server) {
    if (server->unix_daemon) {
        remove_own_path(server); /* first, so that who comes later fails at once */
    }
    stop_listening(server->daemon, server->nobody[0]);
    stop_listening(server->unix_daemon, server->nobody[1]);
    if (server->host.connections) {
        connections_drain(server->host.connections, DRAIN_S);
    }
    stop_library(server->daemon, server->nobody[0]);
    stop_library(server->unix_daemon, server->nobody[1]);
    tls_close(server->tls);
}

void api_server_stop(struct api_server *server) {
    if (!server) {
        return;
    }
    api_server_ask_stop(server);
    probe_end(&server->probe);
    if (server->ticker_started) {
        (void)pthread_mutex_lock(&server->mutex);
        server->ticker_must_stop = true;
        (void)pthread_cond_signal(&server->stop_ticker);
        (void)pthread_mutex_unlock(&server->mutex);
        (void)pthread_join(server->ticker, NULL);
    }
    /* The library must not be stopped while a connection is suspended. */
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        background_stop(server->context.lanes[lane]);
    }
    if (server->context.streams) {
        stream_set_end(server->context.streams);
    }
    stop_libraries(server);
    stream_set_free(server->context.streams);
    tail_free(server->context.tail);
    connections_free(server->host.connections);
    metrics_free(server->context.metrics);
    keys_in_flight_free(server->context.keys);
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        background_free(server->context.lanes[lane]);
    }
    (void)pthread_cond_destroy(&server->stop_ticker);
    (void)pthread_mutex_destroy(&server->mutex);
    free(server);
}
