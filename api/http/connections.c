/* Layer: api. */
#include "api/http/connections.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

struct connection {
    int fd;
    bool over_cap;
    void *kept; /* the serving thread's, as is the next */
    void (*release)(void *kept);
    bool granted; /* guarded by connections->mutex, as are all below */
    struct token_grant grant;
    double deadline_s;
    struct connection *previous, *next;
};

struct connections {
    int cap;
    pthread_mutex_t mutex;
    pthread_cond_t removed; /* with mutex; by the monotonic clock */
    int n;                  /* guarded by mutex, as the next two */
    bool draining;
    struct connection *first;
};

enum status connections_create(int cap, struct connections **ret_connections, struct error *error) {
    struct connections *connections = calloc(1, sizeof(*connections));
    if (!connections) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the list of connections");
    }
    connections->cap = cap;
    (void)pthread_mutex_init(&connections->mutex, NULL);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&connections->removed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    *ret_connections = connections;
    return STATUS_OK;
}

void connections_free(struct connections *connections) {
    if (connections) {
        (void)pthread_cond_destroy(&connections->removed);
        (void)pthread_mutex_destroy(&connections->mutex);
        free(connections);
    }
}

/* With the mutex held. The library sees the end of input and closes; the descriptor stays ours
 * until connections_remove, so it cannot be another connection's by now. */
static void shut_down(struct connection *connection) {
    (void)shutdown(connection->fd, SHUT_RDWR);
    connection->deadline_s = 0;
}

struct connection *connections_add(struct connections *connections, int fd, double deadline_s) {
    struct connection *connection = calloc(1, sizeof(*connection));
    if (!connection) {
        return NULL;
    }
    connection->fd = fd;
    connection->deadline_s = deadline_s;
    (void)pthread_mutex_lock(&connections->mutex);
    connection->over_cap = connections->n >= connections->cap;
    connection->next = connections->first;
    if (connection->next) {
        connection->next->previous = connection;
    }
    connections->first = connection;
    connections->n++;
    if (connections->draining) { /* it was let in just before */
        shut_down(connection);
    }
    (void)pthread_mutex_unlock(&connections->mutex);
    return connection;
}

bool connections_have_place(struct connections *connections) {
    (void)pthread_mutex_lock(&connections->mutex);
    bool place = !connections->draining && connections->n < connections->cap + CONNECTIONS_OVER_CAP;
    (void)pthread_mutex_unlock(&connections->mutex);
    return place;
}

void connections_remove(struct connections *connections, struct connection *connection) {
    if (!connection) {
        return;
    }
    (void)pthread_mutex_lock(&connections->mutex);
    if (connection->previous) {
        connection->previous->next = connection->next;
    } else {
        connections->first = connection->next;
    }
    if (connection->next) {
        connection->next->previous = connection->previous;
    }
    connections->n--;
    (void)pthread_cond_signal(&connections->removed);
    (void)pthread_mutex_unlock(&connections->mutex);
    connection_keep(connection, NULL, NULL);
    free(connection);
}

void connection_keep(struct connection *connection, void *kept, void (*release)(void *kept)) {
    if (connection->release) {
        connection->release(connection->kept);
    }
    connection->kept = kept;
    connection->release = release;
}

void connections_set_deadline(struct connections *connections, struct connection *connection,
                              double deadline_s) {
    if (!connection) {
        return;
    }
    (void)pthread_mutex_lock(&connections->mutex);
    connection->deadline_s = deadline_s;
    if (connections->draining && deadline_s > 0) { /* its answer is sent: it waits for another */
        shut_down(connection);
    }
    (void)pthread_mutex_unlock(&connections->mutex);
}

void connections_set_grant(struct connections *connections, struct connection *connection,
                           const struct token_grant *grant) {
    if (!connection) {
        return;
    }
    (void)pthread_mutex_lock(&connections->mutex);
    connection->granted = grant != NULL;
    if (grant) {
        connection->grant = *grant;
    }
    (void)pthread_mutex_unlock(&connections->mutex);
}

int connections_end_revoked(struct connections *connections,
                            bool (*holds)(void *user, const struct token_grant *grant),
                            void *user) {
    int n = 0;
    (void)pthread_mutex_lock(&connections->mutex);
    for (struct connection *c = connections->first; c; c = c->next) {
        if (c->granted && !holds(user, &c->grant)) {
            (void)shutdown(c->fd, SHUT_RDWR); /* as shut_down does */
            c->granted = false;
            n++;
        }
    }
    (void)pthread_mutex_unlock(&connections->mutex);
    return n;
}

bool connection_is_over_cap(const struct connection *connection) {
    return connection && connection->over_cap;
}

int connections_count(struct connections *connections) {
    (void)pthread_mutex_lock(&connections->mutex);
    int n = connections->n;
    (void)pthread_mutex_unlock(&connections->mutex);
    return n;
}

void connections_tick(struct connections *connections, double now_s) {
    (void)pthread_mutex_lock(&connections->mutex);
    for (struct connection *c = connections->first; c; c = c->next) {
        if (c->deadline_s > 0 && now_s >= c->deadline_s) {
            shut_down(c);
        }
    }
    (void)pthread_mutex_unlock(&connections->mutex);
}

void connections_drain(struct connections *connections, double most_s) {
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)most_s + 1;
    (void)pthread_mutex_lock(&connections->mutex);
    connections->draining = true;
    for (struct connection *c = connections->first; c; c = c->next) {
        if (c->deadline_s > 0) {
            shut_down(c);
        }
    }
    int reason = 0;
    while (connections->n > 0 && reason == 0) {
        reason = pthread_cond_timedwait(&connections->removed, &connections->mutex, &until);
    }
    (void)pthread_mutex_unlock(&connections->mutex);
}
