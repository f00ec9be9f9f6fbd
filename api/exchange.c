/* Layer: api. */
#include "api/exchange.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/gate.h"
#include "api/http/background.h"
#include "api/http/head.h"
#include "api/http/metrics.h"
#include "api/stream/stream.h"
#include "core/base/cleanup.h"
#include "core/base/decimal.h"
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

    /* Of an answer that another thread gives. */
    struct background_job job;
    const struct exchange_host *host;
    struct MHD_Connection *connection;
    int fd; /* of the connection; the library's */
    handler *found;
    bool answered;
    bool gone; /* the client left before it was its turn: there is no answer */
    struct reply reply;
};

static void set_deadline(const struct exchange_host *host, struct MHD_Connection *connection,
                         double seconds) {
    double now_s = clock_monotonic_s(host->context->options.clock);
    connections_set_deadline(host->connections, gate_connection(connection),
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
    struct connection *connection = gate_connection(library_connection);
    struct exchange *exchange = connection ? calloc(1, sizeof(*exchange)) : NULL;
    if (exchange) {
        exchange->begun_s = clock_monotonic_s(exchange_host->context->options.clock);
        exchange->target = strdup(target);
        connection_keep(connection, exchange, free_exchange);
    }
    head_end_target_at_arguments(target);
    return exchange;
}

/* Sending */

struct headers {
    struct MHD_Response *response;
    bool failed; /* memory ran out: one is missing */
};

static void add_header(struct headers *headers, const char *name, const char *value) {
    if (value && value[0]) {
        headers->failed =
            MHD_add_response_header(headers->response, name, value) != MHD_YES || headers->failed;
    }
}

/* false: not all of them are there. */
static bool add_headers(struct MHD_Response *response, const struct request *request,
                        const struct reply *reply) {
    struct headers headers = {.response = response};
    char seconds[16] = "";
    if (reply->retry_after_s > 0) {
        (void)snprintf(seconds, sizeof(seconds), "%d", reply->retry_after_s);
    }
    add_header(&headers, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type);
    add_header(&headers, MHD_HTTP_HEADER_CONTENT_ENCODING, reply->encoding ? reply->encoding : "");
    add_header(&headers, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding");
    char location[sizeof(request->prefix) + sizeof(reply->location)];
    (void)snprintf(location, sizeof(location), "%s%s", reply->location[0] ? request->prefix : "",
                   reply->location);
    add_header(&headers, MHD_HTTP_HEADER_LOCATION, location);
    bool of_address = reply_is_of_address(reply);
    add_header(&headers, MHD_HTTP_HEADER_ETAG, of_address ? reply->etag : "");
    add_header(&headers, MHD_HTTP_HEADER_LINK, reply->link);
    add_header(&headers, MHD_HTTP_HEADER_CONTENT_RANGE, reply->content_range);
    add_header(&headers, MHD_HTTP_HEADER_CONTENT_DISPOSITION, reply->content_disposition);
    add_header(&headers, MHD_HTTP_HEADER_ACCEPT_RANGES, reply->file.open ? "bytes" : "");
    add_header(&headers, MHD_HTTP_HEADER_ALLOW, reply->allow);
    add_header(&headers, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    add_header(&headers, "Idempotency-Replayed", reply->replayed ? "true" : "");
    add_header(&headers, MHD_HTTP_HEADER_WWW_AUTHENTICATE, reply->authenticate);
    add_header(&headers, MHD_HTTP_HEADER_CONNECTION, reply->close ? "close" : "");
    /* A cache may keep it, but has to ask: runs change. */
    add_header(&headers, MHD_HTTP_HEADER_CACHE_CONTROL,
               reply->stream.open              ? "no-store"
               : of_address && reply->for_ever ? "public, max-age=31536000, immutable"
                                               : "no-cache");
    add_header(&headers, "Content-Security-Policy", reply->security_policy);
    /* A proxy (nginx) must not collect events. */
    add_header(&headers, "X-Accel-Buffering", reply->stream.open ? "no" : "");
    add_header(&headers, "X-Content-Type-Options", "nosniff");
    add_header(&headers, "Referrer-Policy", reply->security_policy ? "no-referrer" : "");
    add_header(&headers, "X-Request-Id", request->id);
    return !headers.failed;
}

/* The run or sweep that the request made, or else names. */
static void name_subject(const struct request *request, const char *location,
                         struct log_subject *subject) {
    static const char run[] = "/api/v1/runs/";
    static const char sweep[] = "/api/v1/sweeps/";
    const char *pattern = request->route > 0 ? router_at(request->route - 1)->pattern : "";
    int64_t id = 0;
    if (strncmp(location, run, sizeof(run) - 1) == 0 &&
        text_to_id(location + sizeof(run) - 1, INT64_MAX, &subject->run_id)) {
        return;
    }
    if (strncmp(location, sweep, sizeof(sweep) - 1) == 0 &&
        text_to_id(location + sizeof(sweep) - 1, INT64_MAX, &subject->sweep_id)) {
        return;
    }
    if (request->n_parameters == 0 || !text_to_id(request->parameters[0], INT64_MAX, &id)) {
        return;
    }
    if (strstr(pattern, "/runs/{")) {
        subject->run_id = id;
    } else if (strstr(pattern, "/sweeps/{")) {
        subject->sweep_id = id;
    }
}

/* Somebody asked for what is not theirs to ask for. */
static bool is_refused(const struct exchange_host *host, int http_status) {
    return host->context->options.tokens &&
           (http_status == MHD_HTTP_UNAUTHORIZED || http_status == MHD_HTTP_FORBIDDEN);
}

/* A line a request: those that may have changed something are worth keeping, and those that were
 * refused worth looking at. */
static void account(const struct exchange_host *host, struct MHD_Connection *connection,
                    const struct exchange *exchange, const struct reply *reply) {
    const struct request *request = &exchange->request;
    int http_status = reply->http_status;
    double seconds = clock_monotonic_s(host->context->options.clock) - exchange->begun_s;
    char peer[GATE_PEER_SIZE];
    struct log_subject subject = {.owner = request->owner, .request_id = request->id, .peer = peer};
    metrics_count(host->context->metrics, request->route - 1, http_status, seconds);
    gate_peer(host, connection, peer);
    name_subject(request, reply->location, &subject);
    log_about(&subject,
              is_refused(host, http_status) ? LOG_LEVEL_WARNING
              : request_only_reads(request) ? LOG_LEVEL_DEBUG
                                            : LOG_LEVEL_INFO,
              "%s %s %d %.1f ms, owner %s, from %s, request %s", request->method,
              request->url.path[0] ? request->url.path : "?", http_status, 1000.0 * seconds,
              request->owner[0] ? request->owner : "-", peer[0] ? peer : "-", request->id);
}

/* The body of a stream that nobody reads: HEAD has the headers of GET, and no length. */
static ssize_t read_nothing(void *user, uint64_t position, char *buffer, size_t size) {
    (void)user;
    (void)position;
    (void)buffer;
    (void)size;
    return MHD_CONTENT_READER_END_OF_STREAM;
}

/* Hands the reply over to the library. MHD_NO closes the connection without an answer. */
static enum MHD_Result send_reply(const struct exchange_host *host,
                                  struct MHD_Connection *connection,
                                  const struct exchange *exchange, struct reply *reply) {
    struct MHD_Response *response = NULL;
    struct error error;
    if (reply->stream.open && strcmp(exchange->request.method, "HEAD") == 0) {
        response =
            MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1024, read_nothing, NULL, NULL);
    } else if (reply->stream.open && stream_open(host->context->streams, connection, &reply->stream,
                                                 &response, &error) != STATUS_OK) {
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
    account(host, connection, exchange, reply);
    /* Half an answer is none. */
    enum MHD_Result result =
        add_headers(response, &exchange->request, reply)
            ? MHD_queue_response(connection, (unsigned)reply->http_status, response)
            : MHD_NO;
    reply->file.open = false; /* the library's now */
    MHD_destroy_response(response);
    return result;
}

/* Receiving */

static void reply_too_large(struct reply *reply, const struct request *request) {
    reply_problem(reply, request, STATUS_TOO_LARGE, "A body may have at most %d bytes.",
                  REQUEST_MAX_BODY_BYTES);
}

/* There is no memory for an answer of the library's, which would close without one. */
static void refuse_large_head(const struct exchange_host *host, struct MHD_Connection *connection,
                              const struct exchange *exchange) {
    const struct request *request = &exchange->request;
    CLEANUP(reply_clear) struct reply reply = {0};
    if (strlen(exchange->target) > HEAD_MAX_BYTES / 2) {
        reply_http_problem(&reply, request, 414, "uri-too-long", "URI too long",
                           "The target of the request is too long.");
    } else {
        reply_http_problem(&reply, request, 431, "headers-too-large", "Headers too large",
                           "The headers of a request may have 28 KiB together.");
    }
    bool has_body = reply.body && strcmp(request->method, "HEAD") != 0;
    head_answer(connection, reply.http_status, has_body ? reply.body : "",
                has_body ? reply.n_body : 0);
    account(host, connection, exchange, &reply);
}

void exchange_end(void *host, struct MHD_Connection *connection, void **exchange_pointer,
                  enum MHD_RequestTerminationCode how) {
    const struct exchange_host *exchange_host = host;
    struct exchange *exchange = *exchange_pointer;
    if (exchange && exchange->target && !exchange->head_seen &&
        how == MHD_REQUEST_TERMINATED_WITH_ERROR) {
        request_id_choose(NULL, exchange->request.id);
        refuse_large_head(exchange_host, connection, exchange);
    }
    set_deadline(exchange_host, connection, exchange_host->context->options.head_deadline_s);
    if (exchange) {
        *exchange_pointer = NULL;
        connections_set_grant(exchange_host->connections, gate_connection(connection), NULL);
        connection_keep(gate_connection(connection), NULL, NULL);
    }
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
    } else if (connection_is_over_cap(gate_connection(connection))) {
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
    if (!gate_take_prefix(host, connection, request, reply)) {
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
    if (!request->body) {
        request->body = "";
    }
    return gate_admit(host, connection, request, reply);
}

/* Answers by other threads: the connection is suspended, and asked again when they are there. */

static void suspend(void *user) {
    struct exchange *exchange = user;
    MHD_suspend_connection(exchange->connection);
}

static void stay_suspended(void *user) {
    (void)user;
}

/* Whether the client closed its side. Nothing is read. */
static bool client_is_gone(int fd) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLRDHUP};
    return poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

static void refuse_job(struct exchange *exchange, struct reply *reply,
                       enum background_answer answer) {
    if (answer == BACKGROUND_FULL) {
        reply_problem(reply, &exchange->request, STATUS_BUSY,
                      "Too many such requests wait already; try again in a few seconds.");
    } else {
        reply_problem(reply, &exchange->request, STATUS_BUSY, "The daemon is stopping.");
    }
}

static void answer_and_resume(void *user);

/* Hands it on to the threads for what takes long. false: the exchange has its answer. */
static bool pass_to_slow(struct exchange *exchange) {
    reply_clear(&exchange->reply);
    exchange->reply = (struct reply){0};
    exchange->request.slow = true;
    exchange->job = (struct background_job){
        .accept = stay_suspended, .run = answer_and_resume, .user = exchange};
    enum background_answer answer =
        background_do(exchange->host->context->lanes[LANE_SLOW], &exchange->job);
    if (answer != BACKGROUND_TAKEN) {
        refuse_job(exchange, &exchange->reply, answer);
    }
    return answer == BACKGROUND_TAKEN;
}

static void answer_and_resume(void *user) {
    struct exchange *exchange = user;
    struct api_context *context = exchange->host->context;
    if (atomic_load(&context->stopping)) {
        refuse_job(exchange, &exchange->reply, BACKGROUND_STOPPING);
    } else if (request_only_reads(&exchange->request) && client_is_gone(exchange->fd)) {
        exchange->gone = true;
    } else {
        router_answer(context, &exchange->request, exchange->found, &exchange->reply);
        if (exchange->reply.leave_to_slow && pass_to_slow(exchange)) {
            return;
        }
    }
    exchange->answered = true;
    /* From here on the exchange is the serving thread's again. */
    MHD_resume_connection(exchange->connection);
}

static enum background_answer answer_later(const struct exchange_host *host,
                                           struct MHD_Connection *connection,
                                           struct exchange *exchange, handler *found,
                                           struct background *lane) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    exchange->host = host;
    exchange->connection = connection;
    exchange->fd = info ? info->connect_fd : -1;
    exchange->found = found;
    exchange->job =
        (struct background_job){.accept = suspend, .run = answer_and_resume, .user = exchange};
    return background_do(lane, &exchange->job);
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
    enum lane lane = router_at(exchange->request.route - 1)->lane;
    if (lane == LANE_HERE) {
        router_answer(host->context, &exchange->request, found, reply);
        return true;
    }
    enum background_answer later =
        answer_later(host, connection, exchange, found, host->context->lanes[lane]);
    if (later != BACKGROUND_TAKEN) {
        refuse_job(exchange, reply, later);
    }
    return later != BACKGROUND_TAKEN;
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
        if (head_size(connection, exchange->target) > HEAD_MAX_BYTES) {
            refuse_large_head(host, connection, exchange);
            return MHD_NO;
        }
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
    if (exchange->gone) {
        return MHD_NO;
    }
    if (!answer(host, connection, exchange, &reply)) {
        return MHD_YES;
    }
    enum MHD_Result result = send_reply(host, connection, exchange, &reply);
    reply.body = NULL;
    return result;
}
