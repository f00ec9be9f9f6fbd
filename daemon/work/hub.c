/* Followers of runs. Layer: daemon/work. Thread rule: the mutex guards the list and is held while
 * callbacks run, which is what makes hub_unsubscribe final. */
#include "daemon/work/hub.h"

#include <pthread.h>
#include <stdlib.h>

struct hub_subscription {
    int64_t run_id; /* 0: every run */
    hub_callback *callback;
    void *user;
    struct hub_subscription *next;
};

struct hub {
    pthread_mutex_t mutex;
    struct hub_subscription *first; /* guarded by mutex */
};

enum status hub_create(struct hub **ret_hub, struct error *error) {
    struct hub *hub = calloc(1, sizeof(*hub));
    if (!hub) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the hub");
    }
    (void)pthread_mutex_init(&hub->mutex, NULL);
    *ret_hub = hub;
    return STATUS_OK;
}

void hub_free(struct hub *hub) {
    if (hub) {
        (void)pthread_mutex_destroy(&hub->mutex);
        free(hub);
    }
}

enum status hub_subscribe(struct hub *hub, int64_t run_id, hub_callback *callback, void *user,
                          struct hub_subscription **ret_subscription, struct error *error) {
    struct hub_subscription *subscription = calloc(1, sizeof(*subscription));
    if (!subscription) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for one more follower");
    }
    subscription->run_id = run_id;
    subscription->callback = callback;
    subscription->user = user;
    (void)pthread_mutex_lock(&hub->mutex);
    subscription->next = hub->first;
    hub->first = subscription;
    (void)pthread_mutex_unlock(&hub->mutex);
    *ret_subscription = subscription;
    return STATUS_OK;
}

void hub_unsubscribe(struct hub *hub, struct hub_subscription *subscription) {
    if (!subscription) {
        return;
    }
    (void)pthread_mutex_lock(&hub->mutex);
    struct hub_subscription **link = &hub->first;
    while (*link != subscription) {
        link = &(*link)->next;
    }
    *link = subscription->next;
    (void)pthread_mutex_unlock(&hub->mutex);
    free(subscription);
}

void hub_publish(void *user, int64_t run_id) {
    struct hub *hub = user;
    (void)pthread_mutex_lock(&hub->mutex);
    for (struct hub_subscription *s = hub->first; s; s = s->next) {
        if (s->run_id == 0 || s->run_id == run_id) {
            s->callback(s->user, run_id);
        }
    }
    (void)pthread_mutex_unlock(&hub->mutex);
}
