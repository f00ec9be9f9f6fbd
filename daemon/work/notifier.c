/* Layer: daemon/work. Thread rule: the mutex guards the follower and is held while it is called,
 * which is what makes notifier_set final. */
#include "daemon/work/notifier.h"

#include <pthread.h>
#include <stdlib.h>

struct notifier {
    pthread_mutex_t mutex;
    notifier_callback *callback; /* guarded by mutex; NULL: nobody follows */
    void *user;                  /* guarded by mutex */
};

enum status notifier_create(struct notifier **ret_notifier, struct error *error) {
    struct notifier *notifier = calloc(1, sizeof(*notifier));
    if (!notifier) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the notifier");
    }
    (void)pthread_mutex_init(&notifier->mutex, NULL);
    *ret_notifier = notifier;
    return STATUS_OK;
}

void notifier_free(struct notifier *notifier) {
    if (notifier) {
        (void)pthread_mutex_destroy(&notifier->mutex);
        free(notifier);
    }
}

void notifier_set(struct notifier *notifier, notifier_callback *callback, void *user) {
    (void)pthread_mutex_lock(&notifier->mutex);
    notifier->callback = callback;
    notifier->user = user;
    (void)pthread_mutex_unlock(&notifier->mutex);
}

void notifier_publish(void *user, int64_t run_id) {
    struct notifier *notifier = user;
    (void)pthread_mutex_lock(&notifier->mutex);
    if (notifier->callback) {
        notifier->callback(notifier->user, run_id);
    }
    (void)pthread_mutex_unlock(&notifier->mutex);
}
