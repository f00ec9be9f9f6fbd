/* Layer: api. */
#include "api/idempotency.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/base/log.h"
#include "daemon/store/table/idempotency_table.h"

enum { KEY_SIZE = 128, IN_FLIGHT_MAX = 64, RETRY_AFTER_S = 1 };

/* The keys whose requests are being answered. */
struct keys_in_flight {
    pthread_mutex_t mutex;
    char names[IN_FLIGHT_MAX][KEY_SIZE + TOKEN_NAME_SIZE]; /* guarded by mutex; "": free */
};

enum status keys_in_flight_create(struct keys_in_flight **ret_keys, struct error *error) {
    struct keys_in_flight *keys = calloc(1, sizeof(*keys));
    if (!keys) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the keys of requests");
    }
    (void)pthread_mutex_init(&keys->mutex, NULL);
    *ret_keys = keys;
    return STATUS_OK;
}

void keys_in_flight_free(struct keys_in_flight *keys) {
    if (keys) {
        (void)pthread_mutex_destroy(&keys->mutex);
        free(keys);
    }
}

/* Its place; -1: it is there already; -2: too many at once. */
static int enter(struct keys_in_flight *keys, const char *name) {
    int place = -2;
    (void)pthread_mutex_lock(&keys->mutex);
    for (int i = 0; i < IN_FLIGHT_MAX; i++) {
        if (strcmp(keys->names[i], name) == 0) {
            place = -1;
            break;
        }
        place = keys->names[i][0] == '\0' ? i : place;
    }
    if (place >= 0) {
        (void)snprintf(keys->names[place], sizeof(keys->names[0]), "%s", name);
    }
    (void)pthread_mutex_unlock(&keys->mutex);
    return place;
}

static void leave(struct keys_in_flight *keys, int place) {
    (void)pthread_mutex_lock(&keys->mutex);
    keys->names[place][0] = '\0';
    (void)pthread_mutex_unlock(&keys->mutex);
}

/* Between commit and answer the daemon ended: the answer is made again from what was created. */
static void answer_again(struct api_context *context, const struct request *request,
                         const struct idempotency_row *row, struct reply *reply) {
    struct request get = *request;
    get.idempotency = NULL;
    get.idempotency_key[0] = '\0';
    get.url.n_arguments = 0;
    (void)snprintf(get.method, sizeof(get.method), "GET");
    (void)snprintf(get.url.path, sizeof(get.url.path), "%s", row->location);
    router_dispatch(context, &get, reply);
    if (reply->http_status == 200) {
        reply->http_status = row->http_status;
    }
}

static void replay(struct api_context *context, const struct request *request,
                   const struct idempotency_mark *mark, const struct idempotency_row *row,
                   struct reply *reply) {
    if (strcmp(mark->route, row->route) != 0 || strcmp(mark->body_sha256, row->body_sha256) != 0) {
        reply_problem(reply, request, STATUS_INVALID,
                      "The Idempotency-Key %s was used for another request; take a new one.",
                      mark->key);
        return;
    }
    if (row->body[0] || !row->location[0]) {
        reply_text(reply, request, row->http_status, CONTENT_JSON, strdup(row->body));
        reply_put_link_prefix(reply, request);
    } else {
        answer_again(context, request, row, reply);
    }
    (void)snprintf(reply->location, sizeof(reply->location), "%s", row->location);
    reply->replayed = true;
}

/* With marks in the place of the prefix of links: who asks again may come by another proxy. */
static void answer_marked(struct api_context *context, struct request *request, handler *answer,
                          const struct idempotency_mark *mark, struct reply *reply) {
    char prefix[REQUEST_PREFIX_SIZE];
    memcpy(prefix, request->prefix, sizeof(prefix));
    (void)snprintf(request->prefix, sizeof(request->prefix), "%s", LINK_PREFIX_MARK);
    request->idempotency = mark;
    answer(context, request, reply);
    request->idempotency = NULL;
    memcpy(request->prefix, prefix, sizeof(prefix));
}

static void keep(struct api_context *context, const struct idempotency_mark *mark,
                 const struct reply *reply) {
    const struct idempotency_answer stored = {.mark = mark,
                                              .http_status = reply->http_status,
                                              .location = reply->location,
                                              .body = reply->body ? reply->body : "",
                                              .now_ms = clock_unix_ms(context->options.clock)};
    struct error error;
    if (idempotency_table_put(context->options.store, &stored, &error) != STATUS_OK) {
        log_warning("the answer to the key %s could not be stored: %s", mark->key, error.message);
    }
}

static void handle(struct api_context *context, struct request *request, handler *answer,
                   const struct idempotency_mark *mark, struct reply *reply) {
    struct store *store = context->options.store;
    CLEANUP(idempotency_row_clear) struct idempotency_row row = {.http_status = 0};
    struct error error;
    enum status status = idempotency_table_get(store, mark, &row, &error);
    if (status == STATUS_OK) {
        replay(context, request, mark, &row, reply);
        return;
    }
    if (status != STATUS_NOT_FOUND) {
        reply_error(reply, request, &error);
        return;
    }
    answer_marked(context, request, answer, mark, reply);
    /* What was refused may be tried again under the same key. */
    if (!reply->stored && reply->http_status / 100 == 2) {
        keep(context, mark, reply);
    }
    reply_put_link_prefix(reply, request);
}

static bool is_key(const char *key) {
    size_t n = strlen(key);
    for (size_t i = 0; i < n; i++) {
        if (key[i] < '!' || key[i] > '~') {
            return false;
        }
    }
    return n > 0 && n < KEY_SIZE;
}

void idempotency_dispatch(struct api_context *context, struct request *request, handler *answer,
                          struct reply *reply) {
    if (!request->idempotency_key[0] || strcmp(request->method, "POST") != 0) {
        answer(context, request, reply);
        return;
    }
    if (!is_key(request->idempotency_key)) {
        reply_problem(reply, request, STATUS_MALFORMED,
                      "An Idempotency-Key has 1 to %d printable characters without blanks.",
                      KEY_SIZE - 1);
        return;
    }
    char sha256[SHA256_HEX_SIZE];
    char route[IDEMPOTENCY_ROUTE_SIZE];
    char name[KEY_SIZE + TOKEN_NAME_SIZE];
    struct sha256 sha;
    sha256_begin(&sha);
    sha256_update(&sha, request->body, request->n_body);
    sha256_end(&sha, sha256);
    const char *flag = url_argument(&request->url, "dry_run");
    bool dry = flag && strcmp(flag, "true") == 0;
    (void)snprintf(route, sizeof(route), "POST %.100s%s", request->url.path, dry ? "?dry_run" : "");
    (void)snprintf(name, sizeof(name), "%s %.*s", request->owner, KEY_SIZE - 1,
                   request->idempotency_key);
    const struct idempotency_mark mark = {.owner = request->owner,
                                          .key = request->idempotency_key,
                                          .route = route,
                                          .body_sha256 = sha256};
    int place = enter(context->keys, name);
    if (place == -2) {
        reply_problem(reply, request, STATUS_BUSY, "Too many requests with a key at once.");
        return;
    }
    if (place == -1) {
        reply_problem(reply, request, STATUS_CONFLICT,
                      "A request with this Idempotency-Key is being answered at the moment; "
                      "send it again to get its answer.");
        reply->retry_after_s = RETRY_AFTER_S;
        return;
    }
    handle(context, request, answer, &mark, reply);
    leave(context->keys, place);
}
