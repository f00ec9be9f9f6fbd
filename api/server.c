/* Starts and stops the HTTP library, and keeps the time for it.
 *
 * Layer: api.
 *
 * Threads: N_THREADS of the library, which serve the connections, and one of our own that wakes
 * twice a second for deadlines and heartbeats. No handler waits for anything but the store.
 */
#include "api/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/exchange.h"
#include "api/stream.h"
#include "api/tail.h"
#include "core/base/cleanup.h"
#include "core/base/log.h"

enum {
    N_THREADS = 4,
    CONNECTION_MEMORY_BYTES = 32 * 1024, /* bounds the size of a request's head */
    INACTIVITY_S = 30,
    BACKLOG = 1024,
    RESERVED_FILES = 128, /* for the store, data sets, checkpoints */
    TICK_MS = 500,
};

struct api_server {
    struct api_context context;
    struct exchange_host host;
    struct MHD_Daemon *daemon;

    pthread_t ticker;
    bool ticker_started;
    pthread_mutex_t mutex;
    pthread_cond_t stop_ticker;
    bool ticker_must_stop; /* guarded by mutex */
};

/* Listening */

static enum status parse_address(const char *text, int port, struct sockaddr_storage *ret_address,
                                 socklen_t *ret_size, struct error *error) {
    struct sockaddr_storage address = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        *ret_size = sizeof(*v4);
    } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        *ret_size = sizeof(*v6);
    } else {
        return error_set(error, STATUS_INVALID, "%s is not a numeric IPv4 or IPv6 address", text);
    }
    *ret_address = address;
    return STATUS_OK;
}

/* Why the address cannot be had. */
static enum status refused(int reason, const char *text, int port, struct error *error) {
    if (reason == EADDRINUSE) {
        return error_set(error, STATUS_BUSY, "cannot listen on %s port %d: it is in use", text,
                         port);
    }
    return error_set_errno(error, reason, "cannot listen on %s port %d", text, port);
}

static enum status listen_on(const char *text, int port, int *ret_fd, struct error *error) {
    struct sockaddr_storage address;
    socklen_t size = 0;
    TRY(parse_address(text, port, &address, &size, error));
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return error_set_errno(error, errno, "cannot make a socket");
    }
    int on = 1;
    /* A restart must not wait for the old connections' TIME_WAIT. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&address, size) != 0 || listen(fd, BACKLOG) != 0) {
        int reason = errno;
        (void)close(fd);
        return refused(reason, text, port, error);
    }
    *ret_fd = fd;
    return STATUS_OK;
}

/* "127.0.0.1:43121", with the port that was chosen. */
static enum status describe_socket(int fd, char *text, size_t size, struct error *error) {
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof(address);
    char host[INET6_ADDRSTRLEN] = "";
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        return error_set_errno(error, errno, "cannot read the listening address");
    }
    if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
        (void)snprintf(text, size, "[%s]:%d", host, ntohs(v6->sin6_port));
    } else {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;
        (void)inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
        (void)snprintf(text, size, "%s:%d", host, ntohs(v4->sin_port));
    }
    return STATUS_OK;
}

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

/* The library would decode %00 into the end of the string; api/url.c decodes instead. */
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

static enum status start_library(struct api_server *server, int fd, struct error *error) {
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    /* The library shares its limit out among its threads and leaves what is above waiting; ours
     * must be reached first, however unevenly the threads accept. */
    unsigned limit = ((unsigned)server->context.options.connection_cap + 64) * N_THREADS;
    server->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, exchange_continue, &server->host,              /* */
                         MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL,                    /* */
                         MHD_OPTION_LISTEN_SOCKET, fd,                                        /* */
                         MHD_OPTION_THREAD_POOL_SIZE, (unsigned)N_THREADS,                    /* */
                         MHD_OPTION_CONNECTION_LIMIT, limit,                                  /* */
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES, /* */
                         MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)INACTIVITY_S,               /* */
                         MHD_OPTION_STRICT_FOR_CLIENT, 0,                                     /* */
                         MHD_OPTION_URI_LOG_CALLBACK, exchange_begin, &server->host,          /* */
                         MHD_OPTION_UNESCAPE_CALLBACK, leave_encoded, NULL,                   /* */
                         MHD_OPTION_NOTIFY_COMPLETED, exchange_end, &server->host,            /* */
                         MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,                 /* */
                         MHD_OPTION_END);
    if (!server->daemon) {
        return error_set(error, STATUS_IO, "cannot start the HTTP server's threads");
    }
    return STATUS_OK;
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
 * nobody would be told anything. */
static int default_connection_cap(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 ||
        files.rlim_cur > API_CONNECTIONS + RESERVED_FILES) {
        return API_CONNECTIONS;
    }
    return files.rlim_cur > 2 * RESERVED_FILES ? (int)files.rlim_cur - RESERVED_FILES
                                               : RESERVED_FILES;
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

static enum status start(struct api_server *server, struct error *error) {
    const struct api_options *options = &server->context.options;
    CLEANUP(close_fd) int fd = -1;
    TRY(connections_create(options->connection_cap, &server->host.connections, error));
    TRY(tail_create(options->store, &server->context.tail, error));
    TRY(stream_set_create(&server->context, options->stream_cap, &server->context.streams, error));
    TRY(listen_on(options->listen_address, options->port, &fd, error));
    TRY(describe_socket(fd, server->context.address, sizeof(server->context.address), error));
    TRY(start_ticker(server, error));
    int listening = fd;
    fd = -1; /* the library's from here on: it closes it when it stops */
    return start_library(server, listening, error);
}

enum status api_server_start(const struct api_options *options, struct api_server **ret_server,
                             struct error *error) {
    struct api_server *server = calloc(1, sizeof(*server));
    if (!server) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the HTTP server");
    }
    init_locks(server);
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

void api_server_stop(struct api_server *server) {
    if (!server) {
        return;
    }
    atomic_store(&server->context.stopping, true);
    if (server->ticker_started) {
        (void)pthread_mutex_lock(&server->mutex);
        server->ticker_must_stop = true;
        (void)pthread_cond_signal(&server->stop_ticker);
        (void)pthread_mutex_unlock(&server->mutex);
        (void)pthread_join(server->ticker, NULL);
    }
    if (server->daemon) {
        /* The library must not be stopped while a connection is suspended. */
        stream_set_end(server->context.streams);
        MHD_stop_daemon(server->daemon);
    }
    stream_set_free(server->context.streams);
    tail_free(server->context.tail);
    connections_free(server->host.connections);
    (void)pthread_cond_destroy(&server->stop_ticker);
    (void)pthread_mutex_destroy(&server->mutex);
    free(server);
}
