/* Layer: tools. */
#include "tools/cutoutctl/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/cleanup.h"
#include "core/base/host.h"
#include "core/base/text_stream.h"
#include "daemon/config/text_file.h"

enum { CONNECT_TIMEOUT_S = 10, SILENCE_S = 60, TOKEN_FILE_MOST = 4096 };

static void close_curl(CURL **curl) {
    curl_easy_cleanup(*curl);
}

static void free_headers(struct curl_slist **headers) {
    curl_slist_free_all(*headers);
}

/* The variable that has a token; the second is the older name of the first. NULL: none. */
static const char *find_token_variable(void) {
    static const char *const names[] = {"CUTOUTD_TOKEN", "CUTOUTCTL_TOKEN"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = getenv(names[i]);
        if (value && value[0]) {
            return names[i];
        }
    }
    return NULL;
}

static enum status keep_token(struct client *client, const char *token, struct error *error) {
    client->token = strdup(token);
    return client->token ? STATUS_OK : error_set(error, STATUS_NO_MEMORY, "no memory");
}

static enum status read_token_file(struct client *client, const char *path, struct error *error) {
    CLEANUP(free_pointer) char *text = NULL;
    size_t n = 0;
    TRY(text_file_read_any(path, TOKEN_FILE_MOST, &text, &n, error));
    char *token = text + strspn(text, " \t\r\n");
    token[strcspn(token, " \t\r\n")] = '\0';
    if (token[0] == '\0') {
        return error_set(error, STATUS_INVALID, "there is no token in %s", path);
    }
    return keep_token(client, token, error);
}

static enum status read_token(struct client *client, const char *token_file, struct error *error) {
    client->token_in_file = token_file != NULL;
    client->token_from = token_file ? token_file : find_token_variable();
    if (token_file) {
        return read_token_file(client, token_file, error);
    }
    const char *token = client->token_from ? getenv(client->token_from) : NULL;
    return token ? keep_token(client, token, error) : STATUS_OK;
}

static enum status find_cacert(struct client *client, const char *given, struct error *error) {
    const char *path = given ? given : getenv("CUTOUTCTL_CACERT");
    if (path && path[0]) {
        client->cacert = strdup(path);
        if (!client->cacert) {
            return error_set(error, STATUS_NO_MEMORY, "no memory");
        }
    }
    return STATUS_OK;
}

enum status client_open(struct client *client, const struct client_place *place,
                        struct error *error) {
    const char *server = place->server;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return error_set(error, STATUS_INTERNAL, "libcurl does not start");
    }
    if (strncmp(server, "unix:", 5) == 0) {
        client->unix_path = strdup(server + 5);
        client->origin = strdup("http://localhost");
        if (!client->unix_path) {
            return error_set(error, STATUS_NO_MEMORY, "no memory");
        }
    } else if (asprintf(&client->origin, "%s%s", strstr(server, "://") ? "" : "http://", server) <
               0) {
        client->origin = NULL;
    }
    if (!client->origin) {
        return error_set(error, STATUS_NO_MEMORY, "no memory");
    }
    size_t n = strlen(client->origin);
    while (n > 0 && client->origin[n - 1] == '/') {
        client->origin[--n] = '\0';
    }
    TRY(find_cacert(client, place->cacert, error));
    return read_token(client, place->token_file, error);
}

void client_close(struct client *client) {
    free(client->origin);
    free(client->unix_path);
    free(client->token);
    free(client->cacert);
    curl_global_cleanup();
}

static bool add_header(struct curl_slist **headers, const char *name, const char *value) {
    CLEANUP(free_pointer) char *line = NULL;
    struct curl_slist *longer =
        asprintf(&line, "%s: %s", name, value) < 0 ? NULL : curl_slist_append(*headers, line);
    *headers = longer ? longer : *headers;
    return longer;
}

bool client_is_here(const struct client *client) {
    const char *authority = strstr(client->origin, "://");
    char host[HOST_SIZE];
    int port = 0;
    authority = authority ? authority + strlen("://") : client->origin;
    return client->unix_path ||
           (host_split(authority, strcspn(authority, "/"), host, &port) && host_is_loopback(host));
}

const char *call_type(const struct call *call) {
    return call->type ? call->type : "application/json";
}

/* All that calls have in common. *ret_headers must outlive the handle. */
static enum status prepare(const struct client *client, const struct call *call, CURL **ret_curl,
                           struct curl_slist **ret_headers, char *reason, struct error *error) {
    CURL *curl = *ret_curl = curl_easy_init();
    CLEANUP(free_pointer) char *url = NULL;
    if (!curl || asprintf(&url, "%s/api/v1%s", client->origin, call->path) < 0) {
        url = NULL;
        return error_set(error, STATUS_NO_MEMORY, "no memory");
    }
    bool good = curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method) == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason) == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_USERAGENT, "cutoutctl/" CUTOUTD_VERSION) == CURLE_OK;
    long connect_s = client->timeout_s < CONNECT_TIMEOUT_S ? client->timeout_s : CONNECT_TIMEOUT_S;
    good &= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, connect_s) == CURLE_OK;
    if (client->unix_path) {
        good &= curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->unix_path) == CURLE_OK;
    }
    if (client_is_here(client)) {
        good &= curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK; /* not http_proxy either */
    }
    /* The variable as the command curl does it, so that --curl prints the same. */
    const char *authorities = client->cacert ? client->cacert : getenv("CURL_CA_BUNDLE");
    if (authorities && authorities[0]) {
        good &= curl_easy_setopt(curl, CURLOPT_CAINFO, authorities) == CURLE_OK;
    }
    if (client->token) {
        CLEANUP(free_pointer) char *bearer = NULL;
        if (asprintf(&bearer, "Bearer %s", client->token) < 0) {
            bearer = NULL;
        }
        good &= bearer && add_header(ret_headers, "Authorization", bearer);
    }
    if (call->body) {
        good &= curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body) == CURLE_OK;
        good &= add_header(ret_headers, "Content-Type", call_type(call));
    }
    good &= !call->key || add_header(ret_headers, "Idempotency-Key", call->key);
    good &= curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *ret_headers) == CURLE_OK;
    return good ? STATUS_OK
                : error_set(error, STATUS_INVALID, "libcurl does not take %s", client->origin);
}

static enum status say_no_answer(const struct client *client, CURLcode code, const char *reason,
                                 struct error *error) {
    const char *where = client->unix_path ? client->unix_path : client->origin;
    reason = reason[0] ? reason : curl_easy_strerror(code);
    if (code == CURLE_WRITE_ERROR || code == CURLE_OUT_OF_MEMORY) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the answer");
    }
    if (code == CURLE_PEER_FAILED_VERIFICATION) {
        return error_set(error, STATUS_IO,
                         "%s cannot be trusted: %s; --cacert FILE names a certificate to trust",
                         where, reason);
    }
    return error_set(error, STATUS_IO, "the daemon at %s does not answer: %s", where, reason);
}

/* What is known besides the body. */
static void read_outcome(CURL *curl, CURLcode code, struct answer *answer) {
    curl_off_t seconds = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->http_status);
    if (curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK) {
        answer->retry_after_s = (long)seconds;
    }
    /* 0: there was no connection to send anything on. */
    curl_off_t sending_at_us = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_PRETRANSFER_TIME_T, &sending_at_us);
    bool proxy_has_none = answer->http_status == 502 || answer->http_status == 504;
    answer->lost = code == CURLE_OK ? proxy_has_none : sending_at_us > 0;
}

static size_t take_body(char *data, size_t size, size_t n, void *user) {
    return fwrite(data, size, n, (FILE *)user) * size;
}

enum status client_send(const struct client *client, const struct call *call, struct answer *answer,
                        struct error *error) {
    *answer = (struct answer){.http_status = 0};
    CLEANUP(free_headers) struct curl_slist *headers = NULL;
    CLEANUP(close_curl) CURL *curl = NULL;
    char reason[CURL_ERROR_SIZE] = "";
    TRY(prepare(client, call, &curl, &headers, reason, error));
    FILE *body = text_stream_open(&answer->body, &answer->n_body);
    if (!body) {
        return error_set(error, STATUS_NO_MEMORY, "no memory");
    }
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, client->timeout_s);
    (void)curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    CURLcode code = curl_easy_perform(curl);
    bool whole = text_stream_close(body, &answer->body) != NULL;
    read_outcome(curl, code, answer);
    if (code != CURLE_OK) {
        return say_no_answer(client, code, reason, error);
    }
    if (!whole) {
        answer->lost = true;
        return error_set(error, STATUS_NO_MEMORY, "no memory for the answer");
    }
    answer->json = json_parse_foreign(answer->body, answer->n_body);
    return STATUS_OK;
}

/* Streams */

struct lines {
    CURL *curl;
    line_handler *handler;
    void *user;
    char *text; /* the line that has begun */
    size_t n;
    bool enough;
};

static bool add_text(struct lines *lines, const char *data, size_t n) {
    char *longer = realloc(lines->text, lines->n + n + 1);
    if (!longer) {
        return false;
    }
    memcpy(longer + lines->n, data, n);
    lines->text = longer;
    lines->n += n;
    longer[lines->n] = '\0';
    return true;
}

static size_t take_lines(char *data, size_t size, size_t n_items, void *user) {
    struct lines *lines = user;
    size_t n = size * n_items;
    long http_status = 0;
    (void)curl_easy_getinfo(lines->curl, CURLINFO_RESPONSE_CODE, &http_status);
    for (size_t begin = 0; begin < n;) {
        const char *newline = memchr(data + begin, '\n', n - begin);
        size_t length = newline ? (size_t)(newline - data) - begin : n - begin;
        if (!add_text(lines, data + begin, length)) {
            return 0;
        }
        begin += length + (newline ? 1 : 0);
        if (newline && http_status == 200) {
            lines->enough = !lines->handler(lines->user, lines->text);
            lines->n = 0;
            if (lines->enough) {
                return 0;
            }
        }
    }
    return n;
}

/* A problem that came instead of what was asked for, with all that is wrong in it. */
static enum status say_refused(const char *text, long http_status, struct error *error) {
    cJSON *problem = json_parse_foreign(text, strlen(text));
    const char *detail = cJSON_GetStringValue(cJSON_GetObjectItem(problem, "detail"));
    char wrong[sizeof(error->message)] = "";
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(problem, "errors")) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(item, "parameter"));
        const char *why = cJSON_GetStringValue(cJSON_GetObjectItem(item, "detail"));
        size_t n = strlen(wrong);
        (void)snprintf(wrong + n, sizeof(wrong) - n, " %s: %s", name ? name : "", why ? why : "");
    }
    if (http_status == 401) {
        (void)snprintf(wrong, sizeof(wrong),
                       " The token is read from CUTOUTD_TOKEN or --token-file FILE.");
    }
    enum status status =
        error_set(error, http_status >= 500 ? STATUS_BUSY : STATUS_INVALID, "%s%s (HTTP %ld)",
                  detail ? detail : "it cannot be had", wrong, http_status);
    cJSON_Delete(problem);
    return status;
}

enum status client_stream(const struct client *client, const struct call *call,
                          line_handler *handler, void *user, struct error *error) {
    CLEANUP(free_headers) struct curl_slist *headers = NULL;
    CLEANUP(close_curl) CURL *curl = NULL;
    char reason[CURL_ERROR_SIZE] = "";
    TRY(prepare(client, call, &curl, &headers, reason, error));
    struct lines lines = {.curl = curl, .handler = handler, .user = user};
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_lines);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &lines);
    /* Heartbeats come every 15 s: less than a byte a second in a minute is a dead connection. */
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S);
    CURLcode code = curl_easy_perform(curl);
    long http_status = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http_status);
    enum status status = STATUS_OK;
    if (lines.enough) {
        status = STATUS_STOPPED;
    } else if (code != CURLE_OK) {
        status = say_no_answer(client, code, reason, error);
    } else if (http_status != 200) {
        status = say_refused(lines.text ? lines.text : "", http_status, error);
    }
    free(lines.text);
    return status;
}

/* Files */

struct download {
    CURL *curl;
    FILE *out;
    FILE *refusal; /* a problem instead of the file */
    char *tag;     /* TAG_SIZE */
    int error;     /* errno, when `out` took no more */
};

static size_t take_file(char *data, size_t size, size_t n, void *user) {
    struct download *download = user;
    long http_status = 0;
    (void)curl_easy_getinfo(download->curl, CURLINFO_RESPONSE_CODE, &http_status);
    FILE *to = http_status == 200 ? download->out : download->refusal;
    size_t written = fwrite(data, 1, size * n, to);
    if (written < size * n && to == download->out) {
        download->error = errno;
    }
    return written;
}

/* ETag: "012..." */
static size_t take_tag(char *data, size_t size, size_t n, void *user) {
    static const char name[] = "etag:";
    struct download *download = user;
    size_t length = size * n;
    if (length > sizeof(name) && strncasecmp(data, name, sizeof(name) - 1) == 0) {
        const char *begin = memchr(data, '"', length);
        const char *end =
            begin ? memchr(begin + 1, '"', (size_t)(data + length - begin - 1)) : NULL;
        if (end && end - begin - 1 < TAG_SIZE) {
            (void)snprintf(download->tag, TAG_SIZE, "%.*s", (int)(end - begin - 1), begin + 1);
        }
    }
    return length;
}

enum status client_say_unwritable(int errno_value, struct error *error) {
    return error_set(error, STATUS_IO,
                     "what arrives cannot be written: %s; make room, or name another place by -o",
                     strerror(errno_value));
}

enum status client_download(const struct client *client, const struct call *call, FILE *out,
                            char ret_tag[TAG_SIZE], struct error *error) {
    CLEANUP(free_headers) struct curl_slist *headers = NULL;
    CLEANUP(close_curl) CURL *curl = NULL;
    CLEANUP(free_pointer) char *refusal = NULL;
    size_t n_refusal = 0;
    char reason[CURL_ERROR_SIZE] = "";
    ret_tag[0] = '\0';
    TRY(prepare(client, call, &curl, &headers, reason, error));
    struct download download = {.curl = curl, .out = out, .tag = ret_tag};
    download.refusal = text_stream_open(&refusal, &n_refusal);
    if (!download.refusal) {
        return error_set(error, STATUS_NO_MEMORY, "no memory");
    }
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_file);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &download);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_tag);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, &download);
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, client->timeout_s);
    CURLcode code = curl_easy_perform(curl);
    long http_status = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http_status);
    bool whole = text_stream_close(download.refusal, &refusal) != NULL;
    if (download.error) {
        return client_say_unwritable(download.error, error);
    }
    if (code != CURLE_OK) {
        return say_no_answer(client, code, reason, error);
    }
    if (!whole) {
        return error_set(error, STATUS_NO_MEMORY, "no memory");
    }
    return http_status == 200 ? STATUS_OK : say_refused(refusal, http_status, error);
}
