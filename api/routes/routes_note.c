/* GET, PUT and DELETE of /runs/{id}/note and /sweeps/{id}/note. Layer: api. */
#include <stdio.h>
#include <string.h>

#include "api/routes/routes.h"
#include "core/base/cleanup.h"
#include "core/base/sha256.h"
#include "core/base/text.h"
#include "daemon/store/table/note_table.h"
#include "daemon/store/table/sweep_table.h"

enum { NOTE_MOST_BYTES = 16 * 1024, NOTE_TAG_SIZE = SHA256_HEX_SIZE + 2 };

/* The run or sweep of the path, if the one who asks may do this with it. false: *reply says why
 * not. */
static bool find_subject(struct api_context *context, const struct request *request,
                         struct reply *reply, struct note_subject *ret_subject) {
    if (strstr(request->url.path, "/sweeps/")) {
        CLEANUP(sweep_row_clear) struct sweep_row sweep = {0};
        ret_subject->kind = NOTE_OF_SWEEP;
        bool found = route_find_sweep(context, request, reply, &sweep);
        ret_subject->id = sweep.id;
        return found;
    }
    CLEANUP(run_row_clear) struct run_row run = {0};
    ret_subject->kind = NOTE_OF_RUN;
    bool found = route_find_run(context, request, reply, &run);
    ret_subject->id = run.id;
    return found;
}

/* The digest of the text between quotes: a strong ETag. */
static void tag_of(const char *text, char ret_tag[NOTE_TAG_SIZE]) {
    char hex[SHA256_HEX_SIZE];
    struct sha256 sha;
    sha256_begin(&sha);
    sha256_update(&sha, text, strlen(text));
    sha256_end(&sha, hex);
    (void)snprintf(ret_tag, NOTE_TAG_SIZE, "\"%s\"", hex);
}

void route_note_get(struct api_context *context, const struct request *request,
                    struct reply *reply) {
    struct note_subject subject;
    struct error error;
    char *text = NULL;
    if (!find_subject(context, request, reply, &subject)) {
        return;
    }
    if (note_table_get(context->options.store, &subject, &text, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    char tag[NOTE_TAG_SIZE];
    char weak_tag[NOTE_TAG_SIZE + 2];
    tag_of(text, tag);
    (void)snprintf(weak_tag, sizeof(weak_tag), "W/%s", tag);
    reply_text(reply, request, 200, CONTENT_MARKDOWN, text);
    if (request_has_tag(request, weak_tag)) {
        reply_clear(reply);
        reply->http_status = 304;
    }
    memcpy(reply->etag, tag, sizeof(tag));
}

/* If-Match: the note must be as the client knows it. */
static bool is_as_expected(const void *user, const char *text) {
    const struct request *request = user;
    char tag[NOTE_TAG_SIZE];
    if (!text) {
        return false;
    }
    tag_of(text, tag);
    return strcmp(request->if_match, "*") == 0 || request_matches(request, tag);
}

/* text NULL: deletes. */
static void change(struct api_context *context, const struct request *request, struct reply *reply,
                   const char *text) {
    struct note_change note = {.text = text,
                               .condition = request->if_match[0] ? is_as_expected : NULL,
                               .user = request,
                               .now_ms = clock_unix_ms(context->options.clock)};
    enum note_result result = NOTE_KEPT;
    struct error error;
    if (!find_subject(context, request, reply, &note.subject)) {
        return;
    }
    if (note_table_change(context->options.store, &note, &result, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    if (result == NOTE_KEPT) {
        reply_http_problem(reply, request, 412, "precondition-failed", "Precondition failed",
                           "The note is not the one that If-Match names; read it again.");
        return;
    }
    reply->http_status = result == NOTE_ADDED ? 201 : 204;
    if (result == NOTE_ADDED) {
        (void)snprintf(reply->location, sizeof(reply->location), "%.63s", request->url.path);
    }
    if (text) {
        tag_of(text, reply->etag);
    }
}

/* UTF-8 without control characters but tabs and ends of lines. */
static bool is_text(const char *text, size_t n_bytes) {
    for (size_t at = 0; at < n_bytes;) {
        const unsigned char *c = (const unsigned char *)text + at;
        size_t length = utf8_sequence_length(text + at, n_bytes - at);
        bool c0 = *c < 0x20 && *c != '\t' && *c != '\n' && *c != '\r';
        bool c1 = length == 2 && c[0] == 0xc2 && c[1] < 0xa0;
        if (length == 0 || c0 || c1 || *c == 0x7f) {
            return false;
        }
        at += length;
    }
    return true;
}

void route_note_put(struct api_context *context, const struct request *request,
                    struct reply *reply) {
    if (request->n_body > NOTE_MOST_BYTES) {
        reply_problem(reply, request, STATUS_TOO_LARGE,
                      "A note may have at most %d bytes, not %zu.", NOTE_MOST_BYTES,
                      request->n_body);
        return;
    }
    if (request->n_body == 0) {
        reply_problem(reply, request, STATUS_INVALID,
                      "A note has some text; DELETE takes it away.");
        return;
    }
    if (!is_text(request->body, request->n_body)) {
        reply_problem(reply, request, STATUS_INVALID,
                      "A note is UTF-8 without control characters but tabs and ends of lines.");
        return;
    }
    CLEANUP(free_pointer) char *text = malloc(request->n_body + 1);
    if (!text) {
        reply_problem(reply, request, STATUS_NO_MEMORY, "Try again later.");
        return;
    }
    memcpy(text, request->body, request->n_body);
    text[request->n_body] = '\0';
    change(context, request, reply, text);
}

void route_note_delete(struct api_context *context, const struct request *request,
                       struct reply *reply) {
    change(context, request, reply, NULL);
}
