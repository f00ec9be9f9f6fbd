/* Layer: api. */
#include "api/http/head.h"

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* Headers of which there can be one, beside those that have sentences of their own. */
static const char *const singles[] = {
    "Authorization",   "Content-Type",  "Content-Encoding", "Expect",         "If-Range",
    "Idempotency-Key", "Last-Event-ID", "Origin",           "Range",          "Sec-Fetch-Site",
    "X-Request-Id",    "If-Match",      "Sec-Fetch-Mode",   "Sec-Fetch-Dest", "X-Forwarded-Prefix",
};
enum { N_SINGLES = sizeof(singles) / sizeof(singles[0]) };

struct head {
    int n_lengths;
    int n_encodings;
    int n_hosts;
    bool chunked;
    bool odd_name; /* one that another program may read differently */
    bool given[N_SINGLES];
    const char *twice; /* one of singles */
    /* Where the next header must begin in the library's memory: at either, by the end of the line
     * before. NULL: not looked at. */
    const char *next[2];
    const char *last; /* the value before */
    bool broken;      /* it does not */
};

/* The library leaves the head where it was received and ends each part with a NUL, so its parts lie
 * side by side. Between them is more where it contains a NUL of its own, and elsewhere is what the
 * library has put together from several lines. Only equal pointers are asked for. */
static void look_at_place(struct head *head, const char *name, const char *value) {
    if (!head->next[0]) {
        return;
    }
    const char *after = name + strlen(name) + 1;
    if ((name != head->next[0] && name != head->next[1]) || !value) {
        head->broken = true;
        return;
    }
    head->broken |= value != after + strspn(after, " \t");
    if (!head->broken) {
        head->last = value;
        head->next[0] = value + strlen(value) + 1; /* LF */
        head->next[1] = head->next[0] + 1;         /* CR LF */
    }
}

static enum MHD_Result look_at_header(void *user, enum MHD_ValueKind kind, const char *name,
                                      const char *value) {
    (void)kind;
    struct head *head = user;
    look_at_place(head, name, value);
    head->n_lengths += strcasecmp(name, "Content-Length") == 0;
    head->n_hosts += strcasecmp(name, "Host") == 0;
    head->odd_name |= name[0] == '\0' || name[strcspn(name, " \t\r\n\v\f")] != '\0';
    if (strcasecmp(name, "Transfer-Encoding") == 0) {
        head->n_encodings++;
        head->chunked = value && strcasecmp(value, "chunked") == 0;
    }
    for (size_t i = 0; i < N_SINGLES; i++) {
        if (strcasecmp(name, singles[i]) == 0) {
            head->twice = head->given[i] ? singles[i] : head->twice;
            head->given[i] = true;
        }
    }
    return head->broken ? MHD_NO : MHD_YES;
}

static void look(struct head *head, struct MHD_Connection *connection,
                 const struct request_line *line) {
#if MHD_VERSION < 0x00097701
    /* Later ones refuse both by themselves at the level that api/server.c asks for. */
    head->broken = line->version != line->url + strlen(line->target) + 1;
    head->next[0] = line->version + strlen(line->version) + 1;
    head->next[1] = head->next[0] + 1;
#else
    (void)line;
#endif
    if (!head->broken) {
        (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, look_at_header, head);
    }
    /* Behind the last one comes an empty line, of which the library makes NULs, too. */
    head->broken |= head->last && head->last[strlen(head->last) + 1] != '\0';
}

const char *head_problem(struct MHD_Connection *connection, const struct request_line *line) {
    struct head head = {0};
    look(&head, connection, line);
    if (head.broken) {
        return "A header must stand on one line, and nothing in the head may contain NUL.";
    }
    if (head.n_lengths > 1) {
        return "The request has more than one Content-Length.";
    }
    if (head.n_lengths > 0 && head.n_encodings > 0) {
        return "The request has both Content-Length and Transfer-Encoding.";
    }
    if (head.n_encodings > 1 || (head.n_encodings == 1 && !head.chunked)) {
        return "The only transfer encoding understood here is chunked.";
    }
    if (head.n_hosts > 1 || (head.n_hosts == 0 && strcmp(line->version, "HTTP/1.0") != 0)) {
        return "The request must have one Host.";
    }
    if (head.odd_name) {
        return "The name of a header must not contain blanks.";
    }
    if (head.twice) {
        return strcmp(head.twice, "Authorization") == 0
                   ? "The request has more than one Authorization."
                   : "The request has a header twice of which there can be one.";
    }
    return NULL;
}

void head_end_target_at_arguments(const char *target) {
    char *arguments = strchr(target, '?');
    if (arguments) {
        arguments[1] = '\0';
    }
}

/* Room for the library's record of a header and the bytes between its parts, rounded up. */
enum { RECORD_BYTES = 80 };

static enum MHD_Result add_size(void *user, enum MHD_ValueKind kind, const char *name,
                                const char *value) {
    (void)kind;
    size_t *n_bytes = user;
    *n_bytes += strlen(name) + (value ? strlen(value) : 0) + RECORD_BYTES;
    return MHD_YES;
}

size_t head_size(struct MHD_Connection *connection, const char *target) {
    size_t n_bytes = strlen(target) + RECORD_BYTES;
    (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, add_size, &n_bytes);
    (void)MHD_get_connection_values(connection, MHD_COOKIE_KIND, add_size, &n_bytes); /* copies */
    return n_bytes;
}

void head_answer(struct MHD_Connection *connection, int http_status, const char *body,
                 size_t n_body) {
    char text[2048]; /* the socket's buffer is empty, and larger */
    int n = snprintf(text, sizeof(text),
                     "HTTP/1.1 %d %s\r\nConnection: close\r\n"
                     "Content-Type: application/problem+json\r\nContent-Length: %zu\r\n\r\n%.*s",
                     http_status, MHD_get_reason_phrase_for((unsigned)http_status), n_body,
                     (int)n_body, body);
    size_t length = (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
    /* What the library returns is overwritten by its next answer (1.0), so each is used at once. */
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (info && info->tls_session) {
        (void)gnutls_record_send(info->tls_session, text, length);
        return;
    }
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info) {
        (void)send(info->connect_fd, text, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}
