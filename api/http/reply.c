/* Layer: api. */
#include "api/http/reply.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/http/compress.h"
#include "core/base/cleanup.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/base/text_stream.h"

enum { RETRY_AFTER_S = 5 };

static const char no_memory_problem[] =
    "{\"type\":\"urn:cutoutd:problem:no-memory\",\"title\":\"Out of memory\",\"status\":503,"
    "\"detail\":\"The daemon has no memory left to answer; try again later.\"}";

/* What a client is told of a status: the code of the answer and the title of the problem. */
struct http_answer {
    int code;
    const char *title;
};

/* The one table from status to HTTP; the compiler asks for every status. */
static struct http_answer answer_of(enum status status) {
    switch (status) {
    case STATUS_OK:
        return (struct http_answer){200, "Ok"};
    case STATUS_STOPPED:
        return (struct http_answer){200, "Stopped on request"};
    case STATUS_INVALID:
        return (struct http_answer){422, "Invalid argument"};
    case STATUS_MALFORMED:
        return (struct http_answer){400, "Malformed input"};
    case STATUS_UNAUTHORIZED:
        return (struct http_answer){401, "Not authorized"};
    case STATUS_FORBIDDEN:
        return (struct http_answer){403, "Forbidden"};
    case STATUS_NOT_FOUND:
        return (struct http_answer){404, "Not found"};
    case STATUS_CONFLICT:
        return (struct http_answer){409, "Conflict with the current state"};
    case STATUS_QUOTA:
        return (struct http_answer){409, "Over a limit of its owner"};
    case STATUS_TOO_LARGE:
        return (struct http_answer){413, "Too large"};
    case STATUS_CORRUPT:
        return (struct http_answer){500, "Data is damaged"};
    case STATUS_DIVERGED:
        return (struct http_answer){500, "The loss is no longer a finite number"};
    case STATUS_IO:
        return (struct http_answer){500, "Input or output failed"};
    case STATUS_NO_SPACE:
        return (struct http_answer){507, "No space left on device"};
    case STATUS_NO_MEMORY:
        return (struct http_answer){503, "Out of memory"};
    case STATUS_BUSY:
        return (struct http_answer){503, "In use by another process"};
    case STATUS_UNSUPPORTED:
        return (struct http_answer){501, "Not supported"};
    case STATUS_INTERNAL:
        return (struct http_answer){500, "Internal error"};
    }
    return (struct http_answer){500, "Internal error"};
}

int http_code(enum status status) {
    return answer_of(status).code;
}

bool reply_is_of_address(const struct reply *reply) {
    return (reply->http_status >= 200 && reply->http_status < 300) || reply->http_status == 304;
}

bool reply_leave_to_slow(struct reply *reply, const struct request *request) {
    reply->leave_to_slow = !request->slow;
    return reply->leave_to_slow;
}

void reply_clear(struct reply *reply) {
    free(reply->body);
    reply->body = NULL;
    reply->n_body = 0;
    free(reply->link);
    reply->link = NULL;
    if (reply->file.open) {
        (void)close(reply->file.fd);
        reply->file.open = false;
    }
}

static void take_body(struct reply *reply, const struct request *request, int http_status,
                      const char *content_type, char *text, size_t n_text) {
    reply_clear(reply);
    if (!text) {
        log_error("%s %s: out of memory while answering", request->method, request->url.path);
        reply->http_status = http_code(STATUS_NO_MEMORY);
        reply->content_type = CONTENT_PROBLEM;
        reply->retry_after_s = RETRY_AFTER_S;
        text = strdup(no_memory_problem);
        n_text = text ? strlen(text) : 0;
    } else {
        reply->http_status = http_status;
        reply->content_type = content_type;
    }
    reply->body = text;
    reply->n_body = n_text;
}

void reply_text(struct reply *reply, const struct request *request, int http_status,
                const char *content_type, char *text) {
    take_body(reply, request, http_status, content_type, text, text ? strlen(text) : 0);
}

void reply_bytes(struct reply *reply, const struct request *request, const char *content_type,
                 char *bytes, size_t n_bytes) {
    take_body(reply, request, 200, content_type, bytes, n_bytes);
}

/* A whole line: a terminal's prompt comes on the next one. NULL only when memory is out. */
static char *take_line(struct json_writer *writer) {
    CLEANUP(free_pointer) char *json = json_write_take(writer);
    char *line = NULL;
    return json && asprintf(&line, "%s\n", json) >= 0 ? line : NULL;
}

void reply_json(struct reply *reply, const struct request *request, int http_status,
                struct json_writer *writer) {
    reply_text(reply, request, http_status, CONTENT_JSON, take_line(writer));
}

void reply_put_link_prefix(struct reply *reply, const struct request *request) {
    size_t n_prefix = strlen(request->prefix);
    size_t n_marks = 0;
    for (size_t i = 0; i < reply->n_body; i++) {
        n_marks += reply->body[i] == LINK_PREFIX_MARK[0];
    }
    if (n_marks == 0) {
        return;
    }
    size_t n = reply->n_body - n_marks + n_marks * n_prefix;
    char *body = malloc(n + 1);
    char *to = body;
    for (size_t i = 0; body && i < reply->n_body; i++) {
        if (reply->body[i] == LINK_PREFIX_MARK[0]) {
            memcpy(to, request->prefix, n_prefix);
            to += n_prefix;
        } else {
            *to++ = reply->body[i];
        }
    }
    if (body) {
        *to = '\0';
    }
    take_body(reply, request, reply->http_status, reply->content_type, body, n);
}

void reply_plain(struct reply *reply, const struct request *request, int http_status,
                 const char *text) {
    reply_text(reply, request, http_status, CONTENT_TEXT, strdup(text));
}

/* FNV-1a, 64 bits. Not collision-resistant, which an ETag of one's own answers need not be. */
static uint64_t digest(const char *body, size_t n_body) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n_body; i++) {
        hash = (hash ^ (unsigned char)body[i]) * 0x100000001b3u;
    }
    return hash;
}

void reply_tag(struct reply *reply, const struct request *request) {
    if (reply->http_status != 200 || !reply->body) {
        return;
    }
    (void)snprintf(reply->etag, sizeof(reply->etag), "W/\"%016" PRIx64 "\"",
                   digest(reply->body, reply->n_body));
    if (request_has_tag(request, reply->etag)) {
        free(reply->body);
        reply->body = NULL;
        reply->n_body = 0;
        reply->http_status = 304;
        reply->content_type = NULL;
    }
}

bool reply_tag_state(struct reply *reply, const struct request *request, const char *commit,
                     const char *state) {
    char program[128];
    int n = snprintf(program, sizeof(program), CUTOUTD_VERSION " %.64s", commit ? commit : "");
    (void)snprintf(reply->etag, sizeof(reply->etag), "W/\"%.80s-%08" PRIx32 "\"", state,
                   (uint32_t)digest(program, (size_t)n));
    if (request_has_tag(request, reply->etag)) {
        reply->http_status = 304;
        return true;
    }
    return false;
}

static bool is_packed(const char *content_type) {
    return !content_type || strncmp(content_type, "image/png", 9) == 0 ||
           strncmp(content_type, "application/pdf", 15) == 0;
}

void reply_compress(struct reply *reply, const struct request *request) {
    enum { LEAST_BYTES = 1024 };
    bool strong = reply->etag[0] == '"';
    if (reply->n_body < LEAST_BYTES || reply->encoding || strong ||
        is_packed(reply->content_type) || !gzip_is_accepted(request->accept_encoding)) {
        return;
    }
    size_t n = 0;
    char *packed = gzip_make(reply->body, reply->n_body, &n);
    if (packed) {
        free(reply->body);
        reply->body = packed;
        reply->n_body = n;
        reply->encoding = "gzip";
    }
}

/* Writes `text` with everything but letters, digits and "-._~:," as percent codes. */
static void put_encoded(FILE *out, const char *text) {
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (isalnum(c) || strchr("-._~:,", c)) {
            (void)fputc(c, out);
        } else {
            (void)fprintf(out, "%%%02X", (unsigned)c);
        }
    }
}

void reply_link_next(struct reply *reply, const struct request *request, const char *cursor) {
    size_t size = 0;
    FILE *out = text_stream_open(&reply->link, &size);
    if (!out) {
        return; /* next_cursor in the body says the same */
    }
    (void)fprintf(out, "<%s%s?", request->prefix, request->url.path);
    for (int i = 0; i < request->url.n_arguments; i++) {
        const struct url_argument *argument = &request->url.arguments[i];
        if (strcmp(argument->name, "cursor") != 0) {
            put_encoded(out, argument->name);
            (void)fputc('=', out);
            put_encoded(out, argument->value);
            (void)fputc('&', out);
        }
    }
    (void)fprintf(out, "cursor=%s>; rel=\"next\"", cursor);
    (void)text_stream_close(out, &reply->link);
}

void reply_page(struct reply *reply, const struct request *request, struct json_writer *writer,
                const char *cursor) {
    json_write_end(writer, ']');
    json_write_string(writer, "next_cursor", cursor);
    json_write_end(writer, '}');
    reply_json(reply, request, 200, writer);
    if (cursor) {
        reply_link_next(reply, request, cursor);
    }
    reply_tag(reply, request);
}

/* Everything up to "detail". */
static void problem_head(struct json_writer *writer, const char *key, const struct request *request,
                         int http_status, const char *kind, const char *title, const char *detail) {
    char type[96];
    (void)snprintf(type, sizeof(type), "urn:cutoutd:problem:%s", kind);
    json_write_object(writer, key);
    json_write_string(writer, "type", type);
    json_write_string(writer, "title", title);
    json_write_int(writer, "status", http_status);
    json_write_string(writer, "detail", detail);
    writer->link_prefix = request->prefix;
    if (request->url.path[0]) {
        json_write_link(writer, "instance", request->url.path);
    } else {
        json_write_null(writer, "instance");
    }
    json_write_string(writer, "request_id", request->id[0] ? request->id : NULL);
}

void problem_write_begin(struct json_writer *writer, const char *key, const struct request *request,
                         enum status status, const char *detail) {
    char kind[64]; /* NOT_FOUND: "not-found" */
    (void)snprintf(kind, sizeof(kind), "%s", status_name(status));
    for (char *c = kind; *c; c++) {
        *c = *c == '_' ? '-' : (char)tolower((unsigned char)*c);
    }
    const struct http_answer answer = answer_of(status);
    problem_head(writer, key, request, answer.code, kind, answer.title, detail);
}

void reply_problem_begin(struct json_writer *writer, const struct request *request,
                         enum status status, const char *detail) {
    problem_write_begin(writer, NULL, request, status, detail);
}

void reply_problem_end(struct reply *reply, const struct request *request, enum status status,
                       struct json_writer *writer) {
    int http_status = http_code(status);
    reply_text(reply, request, http_status, CONTENT_PROBLEM, take_line(writer));
    if (http_status == 503) {
        reply->retry_after_s = RETRY_AFTER_S;
    }
}

/* What a client may know of a failure that is not its own. */
static const char *public_detail(enum status status) {
    if (status == STATUS_NO_SPACE) {
        return "The daemon's disk is full; nothing was stored. Free some space and try again.";
    }
    if (http_code(status) == 503) {
        return "The daemon cannot do this at the moment; try again later.";
    }
    return "The daemon could not do this; its log says why.";
}

void reply_field_errors(struct reply *reply, const struct request *request, enum status status,
                        const char *what, const struct field_errors *errors) {
    char detail[128];
    if (http_code(status) >= 500) {
        reply_problem(reply, request, status, "%s", public_detail(status));
        return;
    }
    if (status == STATUS_INVALID) {
        (void)snprintf(detail, sizeof(detail), "%d field%s of the %s cannot be used as given.",
                       errors->n, errors->n == 1 ? "" : "s", what);
    } else {
        (void)snprintf(detail, sizeof(detail), "The body is not a JSON object of a %s.", what);
    }
    struct json_writer writer = {0};
    reply_problem_begin(&writer, request, status, detail);
    field_errors_write(&writer, errors);
    json_write_end(&writer, '}');
    reply_problem_end(reply, request, status, &writer);
}

/* Whole characters only, where the end did not fit into a fixed room. Returns the length. */
static size_t trim_to_characters(char *text) {
    size_t n_bytes = strlen(text);
    size_t n = text_cut(text, n_bytes, n_bytes);
    text[n] = '\0';
    return n;
}

static void problem(struct reply *reply, const struct request *request, enum status status,
                    const char *detail) {
    struct json_writer writer = {0};
    reply_problem_begin(&writer, request, status, detail);
    json_write_end(&writer, '}');
    reply_problem_end(reply, request, status, &writer);
}

void reply_problem(struct reply *reply, const struct request *request, enum status status,
                   const char *format, ...) {
    char detail[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    (void)trim_to_characters(detail);
    problem(reply, request, status, detail);
}

void reply_detail(const struct request *request, const struct error *error, char *detail,
                  size_t size) {
    if (http_code(error->code) < 500) {
        /* Messages of functions begin small and end open; this one is read on its own. */
        (void)snprintf(detail, size - 1, "%s", error->message);
        size_t n = trim_to_characters(detail);
        (void)snprintf(detail + n, size - n, ".");
        detail[0] = (char)toupper((unsigned char)detail[0]);
    } else {
        log_error("%s %s: %s", request->method, request->url.path, error->message);
        (void)snprintf(detail, size, "%s", public_detail(error->code));
    }
}

void reply_error(struct reply *reply, const struct request *request, const struct error *error) {
    char detail[sizeof(error->message) + 1];
    reply_detail(request, error, detail, sizeof(detail));
    problem(reply, request, error->code, detail);
}

void reply_http_problem(struct reply *reply, const struct request *request, int http_status,
                        const char *kind, const char *title, const char *detail) {
    struct json_writer writer = {0};
    problem_head(&writer, NULL, request, http_status, kind, title, detail);
    json_write_end(&writer, '}');
    reply_text(reply, request, http_status, CONTENT_PROBLEM, take_line(&writer));
}

void reply_bad_argument(struct reply *reply, const struct request *request, const char *argument,
                        const char *format, ...) {
    char detail[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    (void)trim_to_characters(detail);
    struct json_writer writer = {0};
    reply_problem_begin(&writer, request, STATUS_MALFORMED,
                        "An argument of the query cannot be used.");
    json_write_array(&writer, "errors");
    json_write_object(&writer, NULL);
    json_write_string(&writer, "parameter", argument);
    json_write_string(&writer, "detail", detail);
    json_write_end(&writer, '}');
    json_write_end(&writer, ']');
    json_write_end(&writer, '}');
    reply_problem_end(reply, request, STATUS_MALFORMED, &writer);
}

void field_errors_write(struct json_writer *writer, const struct field_errors *errors) {
    json_write_array(writer, "errors");
    for (int i = 0; i < errors->n; i++) {
        json_write_object(writer, NULL);
        json_write_string(writer, "pointer", errors->items[i].pointer);
        json_write_string(writer, "detail", errors->items[i].detail);
        json_write_end(writer, '}');
    }
    json_write_end(writer, ']');
}
