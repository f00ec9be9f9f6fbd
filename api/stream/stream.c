/* Layer: api. */
#include "api/stream/stream.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "api/stream/feed.h"
#include "api/stream/waker.h"
#include "core/base/log.h"

enum {
    STREAM_BLOCK_BYTES = 4 * 1024,
    /* The kernel must not become the backlog of a client that does not read. It doubles this. */
    SEND_BUFFER_BYTES = 64 * 1024,
};

struct stream {
    struct stream_set *set;
    struct MHD_Connection *connection;
    struct watch watch; /* constant */

    /* Only the thread that serves the connection. */
    struct feed feed;
    char *text; /* what the feed gave, [n_bytes], of which n_sent are sent */
    size_t n_bytes;
    size_t n_sent;

    pthread_mutex_t mutex;
    bool suspended; /* guarded by mutex */
    bool signaled;  /* guarded by mutex; something happened since the feed was last read */
    bool check;     /* guarded by mutex; what is watched may be gone */
    bool ending;    /* guarded by mutex */
    double wake_s;  /* guarded by mutex */
    double step_s;  /* guarded by mutex; before it, a step is no reason to wake */

    struct stream *next; /* guarded by set->mutex, as is the link to this one */
};

struct stream_set {
    const struct api_context *context;
    int most;
    struct waker *waker;

    pthread_mutex_t mutex;
    struct stream *first; /* guarded by mutex */
    int n_streams;        /* guarded by mutex */
    bool ending;          /* guarded by mutex */
};

/* With stream->mutex held. */
static void wake_locked(struct stream *stream) {
    stream->signaled = true;
    if (stream->suspended) {
        stream->suspended = false;
        MHD_resume_connection(stream->connection);
    }
}

/* News */

/* With set->mutex held. true: it was woken. */
static bool pass_on(struct stream *stream, const struct stream_news *news) {
    const struct watch *watch = &stream->watch;
    bool gone = news_may_delete(news, watch);
    bool about_it = news_are_about(news, watch);
    (void)pthread_mutex_lock(&stream->mutex);
    bool wake = gone || !stream->suspended || tail_news_match(&news->events, watch) ||
                (about_it && news->now_s >= stream->step_s);
    stream->check |= gone;
    if (wake) {
        wake_locked(stream);
    } else if (about_it && stream->wake_s > stream->step_s) {
        stream->wake_s = stream->step_s;
    }
    (void)pthread_mutex_unlock(&stream->mutex);
    return wake;
}

static int pass_on_to_all(void *user, const struct stream_news *news) {
    struct stream_set *set = user;
    int n_woken = 0;
    (void)pthread_mutex_lock(&set->mutex);
    for (struct stream *stream = set->first; stream; stream = stream->next) {
        n_woken += pass_on(stream, news);
    }
    (void)pthread_mutex_unlock(&set->mutex);
    return n_woken;
}

enum status stream_set_create(const struct api_context *context, int most,
                              struct stream_set **ret_set, struct error *error) {
    struct stream_set *set = calloc(1, sizeof(*set));
    if (!set) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the set of streams");
    }
    set->context = context;
    set->most = most;
    (void)pthread_mutex_init(&set->mutex, NULL);
    enum status status = waker_start(context, pass_on_to_all, set, &set->waker, error);
    if (status != STATUS_OK) {
        stream_set_free(set);
        return status;
    }
    *ret_set = set;
    return STATUS_OK;
}

void stream_set_free(struct stream_set *set) {
    if (set) {
        waker_stop(set->waker);
        (void)pthread_mutex_destroy(&set->mutex);
        free(set);
    }
}

/* One stream */

/* Suspends the connection unless something happened since the feed was read: then there is more to
 * read. true: suspended. */
static bool suspend_if_quiet(struct stream *stream) {
    (void)pthread_mutex_lock(&stream->mutex);
    bool quiet = !stream->signaled && !stream->ending;
    if (quiet) {
        stream->wake_s = stream->feed.wake_s;
        stream->step_s = stream->feed.step_s;
        stream->suspended = true;
        MHD_suspend_connection(stream->connection);
    }
    (void)pthread_mutex_unlock(&stream->mutex);
    return quiet;
}

static void drop_text(struct stream *stream) {
    free(stream->text);
    stream->text = NULL;
    stream->n_bytes = 0;
    stream->n_sent = 0;
}

/* Reads the feed until there is something to send. false: nothing more comes (*ret_end), or the
 * connection was suspended. */
static bool refill(struct stream *stream, bool *ret_end) {
    *ret_end = false;
    drop_text(stream); /* it is sent; nothing is kept for a stream that waits */
    if (!stream->feed.more && !stream->feed.ended && suspend_if_quiet(stream)) {
        return false;
    }
    for (;;) {
        (void)pthread_mutex_lock(&stream->mutex);
        stream->signaled = false;
        bool ending = stream->ending;
        stream->feed.check_end |= stream->check;
        stream->check = false;
        (void)pthread_mutex_unlock(&stream->mutex);
        struct error error;
        if (stream->feed.ended || ending) {
            *ret_end = true;
            return false;
        }
        if (feed_next(&stream->feed, stream->set->context, &stream->text, &stream->n_bytes,
                      &error) != STATUS_OK) {
            log_error("an event stream: %s", error.message);
            *ret_end = true;
            return false;
        }
        if (stream->n_bytes > 0) {
            return true;
        }
        drop_text(stream);
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

static void limit_send_buffer(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int n_bytes = SEND_BUFFER_BYTES;
    if (info) {
        (void)setsockopt(info->connect_fd, SOL_SOCKET, SO_SNDBUF, &n_bytes, sizeof(n_bytes));
    }
}

enum status stream_open(struct stream_set *set, struct MHD_Connection *connection,
                        const struct reply_stream *wanted, struct MHD_Response **ret_response,
                        struct error *error) {
    struct stream *stream = calloc(1, sizeof(*stream));
    if (!stream) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for an event stream");
    }
    stream->set = set;
    stream->connection = connection;
    stream->watch = wanted->watch;
    (void)pthread_mutex_init(&stream->mutex, NULL);
    feed_init(&stream->feed, &wanted->watch, wanted->ndjson ? FEED_NDJSON : FEED_SSE, wanted->since,
              clock_monotonic_s(set->context->options.clock));
    memcpy(stream->feed.prefix, wanted->prefix, sizeof(wanted->prefix));
    enum status status = join_set(stream, error);
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
    limit_send_buffer(connection);
    *ret_response = response;
    return STATUS_OK;
}

int stream_set_count(struct stream_set *set) {
    (void)pthread_mutex_lock(&set->mutex);
    int n = set->n_streams;
    (void)pthread_mutex_unlock(&set->mutex);
    return n;
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
