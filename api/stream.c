/* Layer: api. */
#include "api/stream.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/feed.h"
#include "core/base/log.h"
#include "daemon/work/hub.h"

enum { STREAM_BLOCK_BYTES = 16 * 1024 };

struct stream {
    struct stream_set *set;
    struct MHD_Connection *connection;
    struct hub_subscription *subscription;

    /* Only the thread that serves the connection. */
    struct feed feed;
    char *text; /* what the feed gave, [n_bytes], of which n_sent are sent */
    size_t n_bytes;
    size_t n_sent;

    pthread_mutex_t mutex;
    bool suspended; /* guarded by mutex */
    bool signaled;  /* guarded by mutex; something happened since the feed was last read */
    bool ending;    /* guarded by mutex */
    double wake_s;  /* guarded by mutex */

    struct stream *next; /* guarded by set->mutex, as is the link to this one */
};

struct stream_set {
    const struct api_context *context;
    int most;
    pthread_mutex_t mutex;
    struct stream *first; /* guarded by mutex */
    int n_streams;        /* guarded by mutex */
    bool ending;          /* guarded by mutex */
};

enum status stream_set_create(const struct api_context *context, int most,
                              struct stream_set **ret_set, struct error *error) {
    struct stream_set *set = calloc(1, sizeof(*set));
    if (!set) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the set of streams");
    }
    set->context = context;
    set->most = most;
    (void)pthread_mutex_init(&set->mutex, NULL);
    *ret_set = set;
    return STATUS_OK;
}

void stream_set_free(struct stream_set *set) {
    if (set) {
        (void)pthread_mutex_destroy(&set->mutex);
        free(set);
    }
}

/* With stream->mutex held. */
static void wake_locked(struct stream *stream) {
    stream->signaled = true;
    if (stream->suspended) {
        stream->suspended = false;
        MHD_resume_connection(stream->connection);
    }
}

static void on_hub(void *user, int64_t run_id) {
    (void)run_id;
    struct stream *stream = user;
    (void)pthread_mutex_lock(&stream->mutex);
    wake_locked(stream);
    (void)pthread_mutex_unlock(&stream->mutex);
}

/* Suspends the connection unless something happened since the feed was read: then there is more to
 * read. true: suspended. */
static bool suspend_if_quiet(struct stream *stream) {
    (void)pthread_mutex_lock(&stream->mutex);
    bool quiet = !stream->signaled && !stream->ending;
    if (quiet) {
        stream->wake_s = stream->feed.wake_s;
        stream->suspended = true;
        MHD_suspend_connection(stream->connection);
    }
    (void)pthread_mutex_unlock(&stream->mutex);
    return quiet;
}

/* Reads the feed until there is something to send. false: nothing more comes (*ret_end), or the
 * connection was suspended. */
static bool refill(struct stream *stream, bool *ret_end) {
    *ret_end = false;
    for (;;) {
        (void)pthread_mutex_lock(&stream->mutex);
        stream->signaled = false;
        bool ending = stream->ending;
        (void)pthread_mutex_unlock(&stream->mutex);
        struct error error;
        free(stream->text);
        stream->text = NULL;
        stream->n_bytes = 0;
        stream->n_sent = 0;
        if (stream->feed.ended || ending) {
            *ret_end = true;
            return false;
        }
        if (feed_next(&stream->feed, stream->set->context, &stream->text, &stream->n_bytes,
                      &error) != STATUS_OK) {
            log_error("events of run %lld: %s", (long long)stream->feed.run_id, error.message);
            *ret_end = true;
            return false;
        }
        if (stream->n_bytes > 0) {
            return true;
        }
        if (suspend_if_quiet(stream)) {
            return false;
        }
    }
}

static ssize_t read_stream(void *user, uint64_t position, char *buffer, size_t size) {
    (void)position;
    struct stream *stream = user;
    if (stream->n_sent == stream->n_bytes) {
        bool end = false;
        if (!refill(stream, &end)) {
            return end ? MHD_CONTENT_READER_END_OF_STREAM : 0;
        }
    }
    size_t left = stream->n_bytes - stream->n_sent;
    size_t n = left < size ? left : size;
    memcpy(buffer, stream->text + stream->n_sent, n);
    stream->n_sent += n;
    return (ssize_t)n;
}

/* Takes the stream out of its set, if it is there. */
static void leave_set(struct stream *stream) {
    struct stream_set *set = stream->set;
    (void)pthread_mutex_lock(&set->mutex);
    for (struct stream **link = &set->first; *link; link = &(*link)->next) {
        if (*link == stream) {
            *link = stream->next;
            set->n_streams--;
            break;
        }
    }
    (void)pthread_mutex_unlock(&set->mutex);
}

static void free_stream(void *user) {
    struct stream *stream = user;
    hub_unsubscribe(stream->set->context->options.hub, stream->subscription);
    leave_set(stream);
    (void)pthread_mutex_destroy(&stream->mutex);
    free(stream->text);
    free(stream);
}

static enum status join_set(struct stream *stream, struct error *error) {
    struct stream_set *set = stream->set;
    (void)pthread_mutex_lock(&set->mutex);
    bool room = !set->ending && set->n_streams < set->most;
    if (room) {
        stream->next = set->first;
        set->first = stream;
        set->n_streams++;
    }
    (void)pthread_mutex_unlock(&set->mutex);
    return room ? STATUS_OK
                : error_set(error, STATUS_BUSY, "%d event streams are open, or the server stops",
                            set->most);
}

enum status stream_open(struct stream_set *set, struct MHD_Connection *connection, int64_t run_id,
                        int64_t since, struct MHD_Response **ret_response, struct error *error) {
    struct stream *stream = calloc(1, sizeof(*stream));
    if (!stream) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for an event stream");
    }
    stream->set = set;
    stream->connection = connection;
    (void)pthread_mutex_init(&stream->mutex, NULL);
    feed_init(&stream->feed, run_id, since, clock_monotonic_s(set->context->options.clock));
    enum status status = join_set(stream, error);
    if (status == STATUS_OK) {
        status = hub_subscribe(set->context->options.hub, run_id, on_hub, stream,
                               &stream->subscription, error);
    }
    struct MHD_Response *response = NULL;
    if (status == STATUS_OK) {
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES,
                                                     read_stream, stream, free_stream);
        if (!response) {
            status = error_set(error, STATUS_NO_MEMORY, "no memory for an event stream");
        }
    }
    if (status != STATUS_OK) {
        free_stream(stream);
        return status;
    }
    *ret_response = response;
    return STATUS_OK;
}

void stream_set_tick(struct stream_set *set, double now_s) {
    (void)pthread_mutex_lock(&set->mutex);
    for (struct stream *stream = set->first; stream; stream = stream->next) {
        (void)pthread_mutex_lock(&stream->mutex);
        if (stream->suspended && now_s >= stream->wake_s) {
            wake_locked(stream);
        }
        (void)pthread_mutex_unlock(&stream->mutex);
    }
    (void)pthread_mutex_unlock(&set->mutex);
}

void stream_set_end(struct stream_set *set) {
    (void)pthread_mutex_lock(&set->mutex);
    set->ending = true;
    for (struct stream *stream = set->first; stream; stream = stream->next) {
        (void)pthread_mutex_lock(&stream->mutex);
        stream->ending = true;
        wake_locked(stream);
        (void)pthread_mutex_unlock(&stream->mutex);
    }
    (void)pthread_mutex_unlock(&set->mutex);
}
