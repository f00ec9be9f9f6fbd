/* Talks to a daemon: one request and its answer, or a stream of lines; or says how curl would.
 *
 * Layer: tools. Thread rule: a client belongs to one thread.
 */
#ifndef CUTOUTD_TOOLS_CUTOUTCTL_CLIENT_H
#define CUTOUTD_TOOLS_CUTOUTCTL_CLIENT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "core/base/error.h"

#define SERVER_DEFAULT "http://127.0.0.1:8080"

struct client {
    char *origin;           /* "http://127.0.0.1:8080", no slash at the end */
    char *unix_path;        /* NULL: over the network */
    char *token;            /* NULL: none */
    const char *token_from; /* the variable or file that it came from */
    bool token_in_file;
    char *cacert;    /* a file of certificates to trust in https; NULL: those of the system */
    long timeout_s;  /* for a whole answer; streams have none */
    bool print_curl; /* print the equal curl command instead */
};

struct call {
    const char *method;
    const char *path; /* behind /api/v1, with its query, percent codes where they must be */
    const char *body; /* NULL: none */
    const char *type; /* of the body; NULL: JSON */
    const char *key;  /* Idempotency-Key; NULL: none */
    bool stream;      /* NDJSON that comes as things happen */
    bool text;        /* the answer is to be shown as it is: CSV, lines */
    bool once;        /* makes something that must not be made twice: command_ask gives it a key */
};

struct answer {
    bool lost; /* the daemon's is not known, but the request may have arrived */
    long http_status;
    long retry_after_s; /* 0: not said */
    char *body;         /* as it came, NUL-terminated */
    size_t n_body;
    cJSON *json; /* NULL: the body is none */
};

struct client_place {
    const char *server;     /* a URL or unix:PATH */
    const char *token_file; /* NULL: the token is that of CUTOUTD_TOKEN, if any */
    const char *cacert;     /* NULL: that of CUTOUTCTL_CACERT, if any */
};

/* Copies what it needs of `place`. STATUS_INVALID, STATUS_NOT_FOUND, STATUS_IO, STATUS_NO_MEMORY:
 * close it all the same. */
enum status client_open(struct client *client, const struct client_place *place,
                        struct error *error);
void client_close(struct client *client);

/* Whether the daemon is on this machine: then no proxy is asked, which would see the token. */
bool client_is_here(const struct client *client);

/* Sends the call and waits for the whole answer, whatever its HTTP status; answer_clear it.
 * STATUS_IO: there was none, STATUS_NO_MEMORY. */
enum status client_send(const struct client *client, const struct call *call, struct answer *answer,
                        struct error *error);
void answer_clear(struct answer *answer);

/* The Content-Type of the body. */
const char *call_type(const struct call *call);

/* Prints the answer as it came; for people (a terminal) with a line for each member, and of texts
 * only what may be shown there. */
void answer_print(const struct answer *answer);

/* Prints a text for people: on a terminal without what may not be shown there. */
void answer_print_text(const struct answer *answer);

/* Writes the body of a file's answer as it comes, however long that takes. The ETag without its
 * quotes is ret_tag, "" without one. STATUS_IO: it broke off, or `out` takes no more;
 * STATUS_INVALID: refused, error says why; STATUS_NO_MEMORY. */
enum { TAG_SIZE = 96 };
enum status client_download(const struct client *client, const struct call *call, FILE *out,
                            char ret_tag[TAG_SIZE], struct error *error);

/* Says that the file of a download takes no more, and what to do. Returns STATUS_IO. */
enum status client_say_unwritable(int errno_value, struct error *error);

/* Parses what a daemon sent. Its texts may be other people's, and old ones may have control
 * characters: these become '?', so that no name speaks to the terminal. NULL: no JSON. */
cJSON *json_parse_foreign(const char *text, size_t n_bytes);

/* One line of a stream, without its newline. false: that is enough. */
typedef bool line_handler(void *user, const char *line);

/* Hands over the lines of a stream as they come; the handler may use client_send. STATUS_STOPPED:
 * the handler has had enough. STATUS_OK: the daemon ended the stream. STATUS_IO, STATUS_BUSY: it
 * broke off or cannot be had now, try again. STATUS_INVALID: refused. STATUS_NO_MEMORY. */
enum status client_stream(const struct client *client, const struct call *call,
                          line_handler *handler, void *user, struct error *error);

/* Prints the curl command that does the same, ready for a shell and without a key, so that it may
 * be given several times. A token is shown as $CUTOUTD_TOKEN. */
void client_print_curl(const struct client *client, const struct call *call);

#endif
