/* Layer: api. */
#include "api/exchange.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/http/background.h"
#include "api/http/head.h"
#include "api/http/metrics.h"
#include "api/http/origin.h"
#include "api/router.h"
#include "api/stream/stream.h"
#include "core/base/cleanup.h"
#include "core/base/host.h"
#include "core/base/log.h"

/* More than this of a refused body is not read before it is refused. */
static const uint64_t most_drained_bytes = 16u * 1024 * 1024;

struct exchange {
    char *target; /* of the request line, as it came */
    double begun_s;
    bool head_seen;
    struct request request;
    char *body; /* [capacity], request.n_body used */
    size_t capacity;
    uint64_t n_received;
    bool too_large;
    bool no_memory;

    /* Of an answer that takes long. */
    struct background_job job;
    const struct exchange_host *host;
    struct MHD_Connection *connection;
    handler *found;
    bool answered;
    struct reply reply;
};

static struct connection *connection_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

/* Whether a proxy that the admin trusts is at the other end. */
static bool is_trusted(const struct exchange_host *host, struct MHD_Connection *connection) {
    const struct config *config = host->context->options.config;
    if (host->on_path) {
        return config->trust_unix_socket;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char address[INET6_ADDRSTRLEN];
    return info && info->client_addr &&
           getnameinfo(info->client_addr,
                       info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                                : sizeof(struct sockaddr_in),
                       address, sizeof(address), NULL, 0, NI_NUMERICHOST) == 0 &&
           host_address_is_listed(address, config->trusted_proxies);
}

static void set_deadline(const struct exchange_host *host, struct MHD_Connection *connection,
                         double seconds) {
    double now_s = clock_monotonic_s(host->context->options.clock);
    connections_set_deadline(host->connections, connection_of(connection),
                             seconds > 0 ? now_s + seconds : 0);
}

static void free_exchange(void *user) {
    struct exchange *exchange = user;
    reply_clear(&exchange->reply);
    free(exchange->target);
    free(exchange->body);
    free(exchange);
}

/* The library has read no more than the first line. What comes behind may make it give up without
 * another word about this request, so the exchange is the connection's. */
void *exchange_begin(void *host, const char *target, struct MHD_Connection *library_connection) {
    const struct exchange_host *exchange_host = host;
    struct connection *connection = connection_of(library_connection);
    struct exchange *exchange = connection ? calloc(1, sizeof(*exchange)) : NULL;
    if (exchange) {
        exchange->begun_s = clock_monotonic_s(exchange_host->context->options.clock);
        exchange->target = strdup(target);
        connection_keep(connection, exchange, free_exchange);
    }
    return exchange;
}

void exchange_end(void *host, struct MHD_Connection *connection, void **exchange_pointer,
                  enum MHD_RequestTerminationCode how) {
    (void)how;
    const struct exchange_host *exchange_host = host;
    set_deadline(exchange_host, connection, exchange_host->context->options.head_deadline_s);
    if (*exchange_pointer) {
        *exchange_pointer = NULL;
        connections_set_grant(exchange_host->connections, connection_of(connection), NULL);
        connection_keep(connection_of(connection), NULL, NULL);
    }
}

/* Sending */

static void add_header(struct MHD_Response *response, const char *name, const char *value) {
    if (value && value[0]) {
        (void)MHD_add_response_header(response, name, value);
    }
}

static void add_headers(struct MHD_Response *response, const struct request *request,
                        const struct reply *reply) {
    char seconds[16] = "";
    if (reply->retry_after_s > 0) {
        (void)snprintf(seconds, sizeof(seconds), "%d", reply->retry_after_s);
    }
    add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type);
    add_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, reply->gzip ? "gzip" : "");
    add_header(response, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding");
    char location[sizeof(request->prefix) + sizeof(reply->location)];
    (void)snprintf(location, sizeof(location), "%s%s", reply->location[0] ? request->prefix : "",
                   reply->location);
    add_header(response, MHD_HTTP_HEADER_LOCATION, location);
    add_header(response, MHD_HTTP_HEADER_ETAG, reply->etag);
    add_header(response, MHD_HTTP_HEADER_LINK, reply->link);
    add_header(response, MHD_HTTP_HEADER_CONTENT_RANGE, reply->content_range);
    add_header(response, MHD_HTTP_HEADER_CONTENT_DISPOSITION, reply->content_disposition);
    add_header(response, MHD_HTTP_HEADER_ACCEPT_RANGES, reply->file.open ? "bytes" : "");
    add_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
    add_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    add_header(response, "Idempotency-Replayed", reply->replayed ? "true" : "");
    add_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, reply->authenticate);
    add_header(response, MHD_HTTP_HEADER_CONNECTION, reply->close ? "close" : "");
    /* A cache may keep it, but has to ask: runs change. */
    add_header(response, MHD_HTTP_HEADER_CACHE_CONTROL,
               reply->stream.open ? "no-store"
               : reply->for_ever  ? "public, max-age=31536000, immutable"
                                  : "no-cache");
    add_header(response, "Content-Security-Policy", reply->security_policy);
    /* A proxy (nginx) must not collect events. */
    add_header(response, "X-Accel-Buffering", reply->stream.open ? "no" : "");
    add_header(response, "X-Content-Type-Options", "nosniff");
    add_header(response, "Referrer-Policy", reply->security_policy ? "no-referrer" : "");
    add_header(response, "X-Request-Id", request->id);
}

/* A line a request: those that may have changed something are worth keeping. */
static void account(const struct exchange_host *host, const struct exchange *exchange,
                    int http_status) {
    const struct request *request = &exchange->request;
    double seconds = clock_monotonic_s(host->context->options.clock) - exchange->begun_s;
    metrics_count(host->context->metrics, request->route - 1, http_status, seconds);
    (request_only_reads(request) ? log_debug : log_info)(
        "%s %s %d %.1f ms, owner %s, request %s", request->method,
        request->url.path[0] ? request->url.path : "?", http_status, 1000.0 * seconds,
        request->owner[0] ? request->owner : "-", request->id);
}

/* Hands the reply over to the library. MHD_NO closes the connection without an answer. */
static enum MHD_Result send_reply(const struct exchange_host *host,
                                  struct MHD_Connection *connection,
                                  const struct exchange *exchange, struct reply *reply) {
    struct MHD_Response *response = NULL;
    struct error error;
    if (reply->stream.open && strcmp(exchange->request.method, "HEAD") != 0 &&
        stream_open(host->context->streams, connection, &reply->stream, &response, &error) !=
            STATUS_OK) {
        reply->stream.open = false;
        reply_error(reply, &exchange->request, &error);
    }
    if (reply->file.open) {
        response = MHD_create_response_from_fd_at_offset64(reply->file.n_bytes, reply->file.fd,
                                                           reply->file.first);
        if (!response) {
            reply_clear(reply);
            return MHD_NO;
        }
    }
    if (!response) {
        reply_compress(reply, &exchange->request);
        response = MHD_create_response_from_buffer(reply->n_body, reply->body ? reply->body : "",
                                                   reply->body ? MHD_RESPMEM_MUST_FREE
                                                               : MHD_RESPMEM_PERSISTENT);
        if (!response) {
            reply_clear(reply);
            return MHD_NO;
        }
    }
    account(host, exchange, reply->http_status);
    add_headers(response, &exchange->request, reply);
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)reply->http_status, response);
    reply->file.open = false; /* the library's now */
    MHD_destroy_response(response);
    return result;
}

/* Receiving */

static void reply_too_large(struct reply *reply, const struct request *request) {
    reply_problem(reply, request, STATUS_TOO_LARGE, "A body may have at most %d bytes.",
                  REQUEST_MAX_BODY_BYTES);
}

/* What can be refused before the body is read. true: *reply says so. */
static bool refuse_head(struct MHD_Connection *connection, const struct request_line *line,
                        const struct exchange *exchange, struct reply *reply) {
    const struct request *request = &exchange->request;
    const char *problem = head_problem(connection, line);
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
    const char *expect = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Expect");
    uint64_t n_bytes = length ? strtoull(length, NULL, 10) : 0;
    reply->close = true;
    if (problem) {
        reply_problem(reply, request, STATUS_MALFORMED, "%s", problem);
    } else if (connection_is_over_cap(connection_of(connection))) {
        reply_problem(reply, request, STATUS_BUSY, "Too many connections are open.");
    } else if (n_bytes > REQUEST_MAX_BODY_BYTES && (expect || n_bytes > most_drained_bytes)) {
        reply_too_large(reply, request);
    } else {
        reply->close = false;
        return false;
    }
    return true;
}

static void keep_body(struct exchange *exchange, const char *upload, size_t n_upload) {
    struct request *request = &exchange->request;
    exchange->n_received += n_upload;
    if (exchange->n_received > REQUEST_MAX_BODY_BYTES) {
        exchange->too_large = true;
        return;
    }
    size_t needed = request->n_body + n_upload;
    if (needed > exchange->capacity) {
        size_t capacity = needed < 1024 ? 1024 : needed * 2;
        char *body = realloc(exchange->body, capacity);
        if (!body) {
            exchange->no_memory = true;
            return;
        }
        exchange->body = body;
        exchange->capacity = capacity;
    }
    memcpy(exchange->body + request->n_body, upload, n_upload);
    request->n_body = needed;
    request->body = exchange->body;
}

static void copy_header(struct MHD_Connection *connection, const char *name,
                        char target[REQUEST_HEADER_SIZE]) {
    const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
    if (value && strlen(value) < REQUEST_HEADER_SIZE) {
        (void)snprintf(target, REQUEST_HEADER_SIZE, "%s", value);
    }
}

/* One that is empty or too long must not be taken for none: it becomes " ", which is refused as a
 * key and matches no tag. */
static void copy_condition(struct MHD_Connection *connection, const char *name,
                           char target[REQUEST_HEADER_SIZE]) {
    const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
    if (value) {
        bool fits = value[0] && strlen(value) < REQUEST_HEADER_SIZE;
        (void)snprintf(target, REQUEST_HEADER_SIZE, "%s", fits ? value : " ");
    }
}

static const char *look_up(struct MHD_Connection *connection, const char *name) {
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* Whether the request may come from where it comes from. False: *reply says why not. */
static bool check_origin(const struct exchange_host *host, struct MHD_Connection *connection,
                         const struct request *request, struct reply *reply) {
    const struct api_options *options = &host->context->options;
    const char *authority = request->url.authority;
    const struct origin origin = {
        .host = authority[0] ? authority : look_up(connection, MHD_HTTP_HEADER_HOST),
        .origin = look_up(connection, "Origin"),
        .fetch_site = look_up(connection, "Sec-Fetch-Site"),
        .check_host = !options->tokens && !host->on_path,
        .changes = !request_only_reads(request),
        .allowed_hosts = options->config->allowed_hosts,
    };
    const char *problem = origin_problem(&origin);
    if (problem) {
        reply_problem(reply, request, STATUS_FORBIDDEN, "%s", problem);
    }
    return !problem;
}

static bool check_body_type(struct MHD_Connection *connection, const struct request *request,
                            struct reply *reply) {
    const char *own = router_body_type(request->route - 1);
    const struct body_type type = {
        .content_type = look_up(connection, MHD_HTTP_HEADER_CONTENT_TYPE),
        .encoding = look_up(connection, MHD_HTTP_HEADER_CONTENT_ENCODING),
        .own = own,
        .from_browser = look_up(connection, "Sec-Fetch-Site") ||
                        look_up(connection, "Sec-Fetch-Mode") ||
                        look_up(connection, "Sec-Fetch-Dest"),
    };
    if (request->n_body == 0 || body_type_is_taken(&type)) {
        return true;
    }
    char detail[128];
    (void)snprintf(detail, sizeof(detail), "The body must be %s as it is, in UTF-8.",
                   own ? own : "application/json");
    reply_http_problem(reply, request, 415, "unsupported-media-type", "Unsupported media type",
                       detail);
    return false;
}

/* The path by which a proxy that is trusted is reached, in front of ours. False: *reply refuses
 * what is no such path. */
static bool take_prefix(const struct exchange_host *host, struct MHD_Connection *connection,
                        struct request *request, struct reply *reply) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "-._~/";
    const char *prefix = look_up(connection, "X-Forwarded-Prefix");
    if (!prefix || !is_trusted(host, connection)) {
        return true;
    }
    size_t n = strlen(prefix);
    n -= n > 0 && prefix[n - 1] == '/';
    bool good = n < sizeof(request->prefix) && strspn(prefix, letters) >= n &&
                (n == 0 || prefix[0] == '/') && !strstr(prefix, "//") && !strstr(prefix, "/.");
    if (!good) {
        reply_problem(reply, request, STATUS_MALFORMED,
                      "The X-Forwarded-Prefix is no path such as /cutoutd.");
        return false;
    }
    memcpy(request->prefix, prefix, n);
    request->prefix[n] = '\0';
    return true;
}

/* From here on a reload that takes the token away ends the connection. False: it has come already.
 */
static bool hold_grant(const struct exchange_host *host, struct MHD_Connection *connection,
                       const struct request *request, struct reply *reply) {
    struct tokens *tokens = host->context->options.tokens;
    if (!tokens || request->scope == SCOPE_NONE) {
        return true;
    }
    connections_set_grant(host->connections, connection_of(connection), &request->grant);
    if (tokens_hold(tokens, &request->grant)) {
        return true;
    }
    reply_problem(reply, request, STATUS_UNAUTHORIZED, "This token was taken away just now.");
    return false;
}

/* The whole request is there. NULL: *reply is the answer. */
static handler *find_handler(const struct exchange_host *host, struct MHD_Connection *connection,
                             struct exchange *exchange, struct reply *reply) {
    struct request *request = &exchange->request;
    struct error error;
    enum status status = url_parse(exchange->target, &request->url, &error);
    if (status != STATUS_OK) {
        request->url.path[0] = '\0';
        if (status == STATUS_TOO_LARGE) {
            reply_http_problem(reply, request, 414, "uri-too-long", "URI too long", error.message);
        } else {
            reply_error(reply, request, &error);
        }
        return NULL;
    }
    if (exchange->too_large) {
        reply_too_large(reply, request);
        return NULL;
    }
    if (exchange->no_memory) {
        reply_problem(reply, request, STATUS_NO_MEMORY, "Try again later.");
        return NULL;
    }
    copy_header(connection, MHD_HTTP_HEADER_ACCEPT, request->accept);
    copy_header(connection, MHD_HTTP_HEADER_ACCEPT_ENCODING, request->accept_encoding);
    copy_header(connection, MHD_HTTP_HEADER_IF_NONE_MATCH, request->if_none_match);
    copy_condition(connection, MHD_HTTP_HEADER_IF_MATCH, request->if_match);
    copy_condition(connection, "Idempotency-Key", request->idempotency_key);
    copy_header(connection, MHD_HTTP_HEADER_RANGE, request->range);
    copy_header(connection, MHD_HTTP_HEADER_IF_RANGE, request->if_range);
    copy_header(connection, "Last-Event-ID", request->last_event_id);
    copy_header(connection, MHD_HTTP_HEADER_AUTHORIZATION, request->authorization);
    if (!request->body) {
        request->body = "";
    }
    if (!check_origin(host, connection, request, reply) ||
        !take_prefix(host, connection, request, reply)) {
        return NULL;
    }
    handler *found = router_find(host->context, request, reply);
    return found && check_body_type(connection, request, reply) &&
                   hold_grant(host, connection, request, reply)
               ? found
               : NULL;
}

/* Answers that take long: the connection is suspended, and asked again when they are there. */

static void suspend(void *user) {
    struct exchange *exchange = user;
    MHD_suspend_connection(exchange->connection);
}

static void answer_and_resume(void *user) {
    struct exchange *exchange = user;
    struct api_context *context = exchange->host->context;
    if (atomic_load(&context->stopping)) {
        reply_problem(&exchange->reply, &exchange->request, STATUS_BUSY, "The daemon is stopping.");
    } else {
        router_answer(context, &exchange->request, exchange->found, &exchange->reply);
    }
    exchange->answered = true;
    /* From here on the exchange is the serving thread's again. */
    MHD_resume_connection(exchange->connection);
}

/* False: the daemon is stopping. */
static bool answer_later(const struct exchange_host *host, struct MHD_Connection *connection,
                         struct exchange *exchange, handler *found, struct background *background) {
    exchange->host = host;
    exchange->connection = connection;
    exchange->found = found;
    exchange->job =
        (struct background_job){.accept = suspend, .run = answer_and_resume, .user = exchange};
    return background_do(background, &exchange->job);
}

/* The reply to the whole request. False: it comes later. */
static bool answer(const struct exchange_host *host, struct MHD_Connection *connection,
                   struct exchange *exchange, struct reply *reply) {
    if (exchange->answered) {
        *reply = exchange->reply;
        exchange->reply = (struct reply){0};
        return true;
    }
    set_deadline(host, connection, 0);
    handler *found = find_handler(host, connection, exchange, reply);
    if (!found) {
        return true;
    }
    struct background *background = router_background(host->context, found);
    if (!background) {
        router_answer(host->context, &exchange->request, found, reply);
        return true;
    }
    if (answer_later(host, connection, exchange, found, background)) {
        return false;
    }
    reply_problem(reply, &exchange->request, STATUS_BUSY, "The daemon is stopping.");
    return true;
}

enum MHD_Result exchange_continue(void *host_pointer, struct MHD_Connection *connection,
                                  const char *url, const char *method, const char *version,
                                  const char *upload, size_t *n_upload, void **exchange_pointer) {
    const struct exchange_host *host = host_pointer;
    struct exchange *exchange = *exchange_pointer;
    if (!exchange || !exchange->target) {
        return MHD_NO;
    }
    CLEANUP(reply_clear) struct reply reply = {0};
    if (!exchange->head_seen) {
        exchange->head_seen = true;
        const struct request_line line = {
            .target = exchange->target, .url = url, .version = version};
        request_set_method(&exchange->request, method);
        request_id_choose(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "X-Request-Id"),
                          exchange->request.id);
        if (refuse_head(connection, &line, exchange, &reply)) {
            enum MHD_Result result = send_reply(host, connection, exchange, &reply);
            reply.body = NULL; /* the library's now */
            return result;
        }
        set_deadline(host, connection, host->context->options.body_deadline_s);
        return MHD_YES;
    }
    if (*n_upload > 0) {
        keep_body(exchange, upload, *n_upload);
        *n_upload = 0;
        return exchange->n_received > most_drained_bytes ? MHD_NO : MHD_YES;
    }
    if (!answer(host, connection, exchange, &reply)) {
        return MHD_YES;
    }
    enum MHD_Result result = send_reply(host, connection, exchange, &reply);
    reply.body = NULL;
    return result;
}
