/* Layer: api. */
#include "api/gate.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/change/grants.h"
#include "api/http/origin.h"
#include "core/base/host.h"

struct connection *gate_connection(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

void gate_peer(const struct exchange_host *host, struct MHD_Connection *connection,
               char ret_peer[GATE_PEER_SIZE]) {
    const union MHD_ConnectionInfo *info =
        host->on_path ? NULL
                      : MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (host->on_path) {
        (void)snprintf(ret_peer, GATE_PEER_SIZE, "unix");
    } else if (!info || !info->client_addr ||
               getnameinfo(info->client_addr,
                           info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                                    : sizeof(struct sockaddr_in),
                           ret_peer, GATE_PEER_SIZE, NULL, 0, NI_NUMERICHOST) != 0) {
        ret_peer[0] = '\0';
    }
}

/* Whether a proxy that the admin trusts is at the other end. */
static bool is_trusted(const struct exchange_host *host, struct MHD_Connection *connection) {
    const struct config *config = api_config(host->context);
    char peer[GATE_PEER_SIZE];
    if (host->on_path) {
        return config->trust_unix_socket;
    }
    gate_peer(host, connection, peer);
    return peer[0] && host_address_is_listed(peer, config->trusted_proxies);
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
        .allowed_hosts = api_config(host->context)->allowed_hosts,
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

bool gate_take_prefix(const struct exchange_host *host, struct MHD_Connection *connection,
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

/* By what the client knows the daemon: the Host, which has been checked, and of a proxy what stands
 * before it. By a path without a proxy it knows the path alone. */
static void take_base(const struct exchange_host *host, struct MHD_Connection *connection,
                      struct request *request) {
    const char *proto =
        is_trusted(host, connection) ? look_up(connection, "X-Forwarded-Proto") : NULL;
    const char *authority = request->url.authority[0] ? request->url.authority
                                                      : look_up(connection, MHD_HTTP_HEADER_HOST);
    if (!authority || (host->on_path && !proto && !request->prefix[0])) {
        return;
    }
    bool tls = proto ? strncasecmp(proto, "https", 5) == 0
                     : !host->on_path && strncmp(host->context->url, "https", 5) == 0;
    int n = snprintf(request->base, sizeof(request->base), "%s://%s%s", tls ? "https" : "http",
                     authority, request->prefix);
    if (n < 0 || (size_t)n >= sizeof(request->base)) {
        request->base[0] = '\0';
    }
}

/* From here on a reload that takes the token away, or the end of the link, ends the connection.
 * False: it has come already.
 */
static bool hold_grant(const struct exchange_host *host, struct MHD_Connection *connection,
                       const struct request *request, struct reply *reply) {
    bool granted = host->context->options.tokens || request->grant.sweep_id > 0;
    if (!granted || request->scope == SCOPE_NONE) {
        return true;
    }
    connections_set_grant(host->connections, gate_connection(connection), &request->grant);
    if (grant_holds(host->context, &request->grant)) {
        return true;
    }
    reply_problem(reply, request, STATUS_UNAUTHORIZED, "This token was taken away just now.");
    return false;
}

handler *gate_admit(const struct exchange_host *host, struct MHD_Connection *connection,
                    struct request *request, struct reply *reply) {
    gate_peer(host, connection, request->peer);
    copy_header(connection, MHD_HTTP_HEADER_ACCEPT, request->accept);
    copy_header(connection, MHD_HTTP_HEADER_ACCEPT_ENCODING, request->accept_encoding);
    copy_header(connection, MHD_HTTP_HEADER_IF_NONE_MATCH, request->if_none_match);
    copy_condition(connection, MHD_HTTP_HEADER_IF_MATCH, request->if_match);
    copy_condition(connection, "Idempotency-Key", request->idempotency_key);
    copy_header(connection, MHD_HTTP_HEADER_RANGE, request->range);
    copy_condition(connection, MHD_HTTP_HEADER_IF_RANGE, request->if_range);
    copy_header(connection, "Last-Event-ID", request->last_event_id);
    copy_header(connection, MHD_HTTP_HEADER_AUTHORIZATION, request->authorization);
    if (!check_origin(host, connection, request, reply)) {
        return NULL;
    }
    take_base(host, connection, request);
    handler *found = router_find(host->context, request, reply);
    return found && check_body_type(connection, request, reply) &&
                   hold_grant(host, connection, request, reply)
               ? found
               : NULL;
}
