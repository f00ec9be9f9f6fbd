/* Layer: daemon/notify. Thread rule: the mutex guards `poked`, the rounds and `must_stop`'s sleep;
 * no call of the store or of the network is made under it. */
#include "daemon/notify/sender.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/cleanup.h"
#include "core/base/log.h"
#include "daemon/notify/post.h"
#include "daemon/store/query/run_queue.h"

/* How often the disk and running runs are looked at. */
static const double LOOK_S = 30.0;

/* After a failure of the store. */
static const int64_t STORE_RETRY_MS = 10 * 1000;

/* Until the next try, after the first, the second, ...: a day and two hours in all. */
static const int backoff_s[] = {5,        15,       60,       5 * 60,   15 * 60, 3600,
                                2 * 3600, 4 * 3600, 6 * 3600, 6 * 3600, 6 * 3600};

enum { MOST_RUNS = 64, MOST_TRIES = sizeof(backoff_s) / sizeof(backoff_s[0]) + 1 };

/* A running run, and since when it has not moved. */
struct seen {
    int64_t run_id;
    int attempt;
    uint64_t n_reports;
    int epoch;
    double since_s; /* monotonic */
    bool told;
};

struct sender {
    struct sender_options options;
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_cond_t round_ended;
    bool poked;       /* guarded by mutex, as the two below */
    uint64_t n_begun; /* rounds */
    uint64_t n_ended;
    atomic_bool must_stop;
    /* Of the thread. */
    bool disk_was_low;
    double looked_s; /* monotonic; < 0: not yet */
    int64_t last_ms; /* at the last round; INT64_MAX: there was none */
    struct seen seen[MOST_RUNS];
    int n_seen;
    bool has_unsettled; /* what came of this delivery is not stored yet */
    struct delivery_row unsettled;
};

static int64_t now_ms(const struct sender *sender) {
    return clock_unix_ms(sender->options.clock);
}

static double now_s(const struct sender *sender) {
    return clock_monotonic_s(sender->options.clock);
}

/* ---- one delivery ---- */

static void fail(struct delivery_row *delivery, const struct error *error, int64_t now) {
    (void)snprintf(delivery->error, sizeof(delivery->error), "%.250s", error->message);
    bool dead = delivery->attempts >= (int)MOST_TRIES;
    (void)snprintf(delivery->state, sizeof(delivery->state), "%s", dead ? "dead" : "pending");
    delivery->next_ms = dead ? now : now + (int64_t)backoff_s[delivery->attempts - 1] * 1000;
}

static enum status send_to(const struct sender *sender, const struct webhook_row *webhook,
                           struct delivery_row *delivery, struct error *error) {
    CLEANUP(message_clear) struct message message = {.body = NULL};
    char signature[SIGNATURE_SIZE];
    TRY(message_make(webhook, delivery, &message, error));
    message_sign(webhook->secret, now_ms(sender) / 1000, message.body, signature);
    const struct post post = {.url = webhook->url,
                              .content_type = message.content_type,
                              .event = delivery->event,
                              .title = webhook->template == WEBHOOK_NTFY ? message.title : NULL,
                              .delivery = delivery->id,
                              .signature = signature,
                              .body = message.body,
                              .allowed = sender->options.allowed_addresses,
                              .stop = &sender->must_stop};
    return post_send(&post, &delivery->http_status, error);
}

/* Stores what came of the last delivery. False: the store fails; nothing may be sent, that one
 * again least of all. */
static bool settle(struct sender *sender) {
    struct error error;
    if (sender->has_unsettled &&
        delivery_table_settle(sender->options.store, &sender->unsettled, &error) != STATUS_OK) {
        log_warning("webhooks: what came of delivery %" PRId64 " cannot be stored, and nothing is "
                    "sent until it is: %s",
                    sender->unsettled.id, error.message);
        return false;
    }
    sender->has_unsettled = false;
    return true;
}

/* False: the store fails; later. */
static bool deliver(struct sender *sender, struct delivery_row *delivery) {
    struct webhook_row webhook;
    struct error error = {.message = ""};
    enum status status =
        webhook_table_get(sender->options.store, delivery->webhook_id, &webhook, &error);
    if (status != STATUS_OK) {
        return status == STATUS_NOT_FOUND; /* and its deliveries with it */
    }
    delivery->http_status = 0;
    status = send_to(sender, &webhook, delivery, &error);
    if (status == STATUS_STOPPED) {
        return true;
    }
    delivery->attempts++;
    if (status == STATUS_OK) {
        delivery->error[0] = '\0';
        delivery->next_ms = now_ms(sender);
        (void)snprintf(delivery->state, sizeof(delivery->state), "delivered");
    } else {
        fail(delivery, &error, now_ms(sender));
        log_warning("webhook %s: delivery %" PRId64 ", try %d: %s%s", webhook.name, delivery->id,
                    delivery->attempts, delivery->error,
                    strcmp(delivery->state, "dead") == 0 ? "; it is given up" : "");
    }
    sender->unsettled = *delivery;
    sender->has_unsettled = true;
    return settle(sender);
}

/* Times of tries are of the clock on the wall, which may have been set back since they were stored:
 * since the last round, or while no daemon ran. */
static void follow_clock(struct sender *sender) {
    int64_t waits_ms[MOST_TRIES] = {0};
    int64_t now = now_ms(sender);
    struct error error;
    for (int i = 1; i < (int)MOST_TRIES; i++) {
        waits_ms[i] = (int64_t)backoff_s[i - 1] * 1000;
    }
    if (now < sender->last_ms && delivery_table_hasten(sender->options.store, waits_ms, MOST_TRIES,
                                                       now, &error) != STATUS_OK) {
        return; /* the next round tries again */
    }
    sender->last_ms = now;
}

/* Sends what is due; returns when the next one is, INT64_MAX: nothing is pending. */
static int64_t send_due(struct sender *sender) {
    while (!atomic_load(&sender->must_stop)) {
        struct delivery_row delivery;
        struct error error;
        enum status status = delivery_table_next(sender->options.store, &delivery, &error);
        if (status == STATUS_NOT_FOUND) {
            return INT64_MAX;
        }
        if (status != STATUS_OK) {
            return now_ms(sender) + STORE_RETRY_MS;
        }
        if (delivery.next_ms > now_ms(sender)) {
            return delivery.next_ms;
        }
        if (!deliver(sender, &delivery)) {
            return now_ms(sender) + STORE_RETRY_MS;
        }
    }
    return INT64_MAX;
}

/* ---- what no commit tells ---- */

static void look_at_disk(struct sender *sender) {
    struct health_report report;
    char facts[96];
    struct error error;
    health_read(sender->options.health, &report);
    int64_t free_bytes = report.disk.free_bytes;
    bool low = free_bytes >= 0 && free_bytes < sender->options.disk_low_bytes;
    (void)snprintf(facts, sizeof(facts), "{\"free_bytes\":%" PRId64 "}", free_bytes);
    if (low && !sender->disk_was_low &&
        delivery_table_add(sender->options.store, 0, "disk_low", "", facts, now_ms(sender),
                           &error) != STATUS_OK) {
        return; /* the next look tries again */
    }
    sender->disk_was_low = low;
}

static struct seen *find_seen(struct sender *sender, const struct run_row *row) {
    for (int i = 0; i < sender->n_seen; i++) {
        if (sender->seen[i].run_id == row->id) {
            return &sender->seen[i];
        }
    }
    return NULL;
}

static enum status tell_stalled(struct sender *sender, const struct run_row *row, int64_t minutes,
                                struct error *error) {
    char facts[256];
    /* Nothing here needs an escape: an owner is the name of a token. */
    (void)snprintf(facts, sizeof(facts),
                   "{\"run\":\"%" PRId64 "\",\"owner\":\"%s\",\"minutes\":%" PRId64 "}", row->id,
                   row->owner, minutes);
    return delivery_table_add(sender->options.store, 0, "stalled", row->notify, facts,
                              now_ms(sender), error);
}

static void look_at_runs(struct sender *sender) {
    CLEANUP(run_list_clear) struct run_list running = {0};
    struct seen seen[MOST_RUNS];
    int n = 0;
    double now = now_s(sender);
    struct error error;
    if (run_queue_list(sender->options.store, RUN_RUNNING, MOST_RUNS, &running, &error) !=
        STATUS_OK) {
        return;
    }
    for (size_t i = 0; i < running.n; i++) {
        const struct run_row *row = &running.rows[i];
        struct progress progress = {.n_reports = 0};
        const struct seen *before = find_seen(sender, row);
        (void)progress_board_find(sender->options.progress, row->id, &progress);
        struct seen now_seen = {.run_id = row->id,
                                .attempt = row->attempt,
                                .n_reports = progress.n_reports,
                                .epoch = row->epochs_done,
                                .since_s = now};
        if (before && before->attempt == now_seen.attempt &&
            before->n_reports == now_seen.n_reports && before->epoch == now_seen.epoch) {
            now_seen.since_s = before->since_s;
            now_seen.told = before->told;
        }
        double still_s = now - now_seen.since_s;
        if (!now_seen.told && still_s >= sender->options.stalled_s) {
            now_seen.told =
                tell_stalled(sender, row, (int64_t)(still_s / 60.0), &error) == STATUS_OK;
        }
        seen[n++] = now_seen;
    }
    memcpy(sender->seen, seen, sizeof(seen[0]) * (size_t)n);
    sender->n_seen = n;
}

/* Returns in how many milliseconds it must look again; INT64_MAX: never. */
static int64_t look(struct sender *sender) {
    bool disk = sender->options.health && sender->options.disk_low_bytes > 0;
    bool runs = sender->options.progress && sender->options.stalled_s > 0;
    double now = now_s(sender);
    if (!disk && !runs) {
        return INT64_MAX;
    }
    if (sender->looked_s < 0 || now >= sender->looked_s + LOOK_S) {
        sender->looked_s = now;
        if (disk) {
            look_at_disk(sender);
        }
        if (runs) {
            look_at_runs(sender);
        }
    }
    return (int64_t)((sender->looked_s + LOOK_S - now) * 1000.0);
}

/* ---- the thread ---- */

/* INT64_MAX: until somebody pokes. A minute at most otherwise: the clock on the wall may be set. */
static void wait_for(struct sender *sender, int64_t wait_ms) {
    enum { MOST_MS = 60 * 1000 };
    bool for_ever = wait_ms == INT64_MAX;
    struct timespec until;
    wait_ms = wait_ms < 0 ? 0 : wait_ms > MOST_MS ? MOST_MS : wait_ms;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += wait_ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    int code = 0;
    (void)pthread_mutex_lock(&sender->mutex);
    while (!sender->poked && !atomic_load(&sender->must_stop) && code == 0) {
        code = for_ever ? pthread_cond_wait(&sender->wake, &sender->mutex)
                        : pthread_cond_timedwait(&sender->wake, &sender->mutex, &until);
    }
    sender->poked = false;
    (void)pthread_mutex_unlock(&sender->mutex);
}

static void begin_round(struct sender *sender) {
    (void)pthread_mutex_lock(&sender->mutex);
    sender->n_begun++;
    (void)pthread_mutex_unlock(&sender->mutex);
}

static void end_round(struct sender *sender) {
    (void)pthread_mutex_lock(&sender->mutex);
    sender->n_ended = sender->n_begun;
    (void)pthread_cond_broadcast(&sender->round_ended);
    (void)pthread_mutex_unlock(&sender->mutex);
}

static void *work(void *user) {
    struct sender *sender = user;
    while (!atomic_load(&sender->must_stop)) {
        begin_round(sender);
        int64_t look_ms = look(sender);
        int64_t due_ms = now_ms(sender) + STORE_RETRY_MS;
        if (settle(sender)) {
            follow_clock(sender);
            due_ms = send_due(sender);
        }
        end_round(sender);
        due_ms = due_ms == INT64_MAX ? due_ms : due_ms - now_ms(sender);
        wait_for(sender, look_ms < due_ms ? look_ms : due_ms);
    }
    (void)settle(sender); /* so that the next daemon does not send it again */
    return NULL;
}

enum status sender_create(const struct sender_options *options, struct sender **ret_sender,
                          struct error *error) {
    struct sender *sender = calloc(1, sizeof(*sender));
    if (!sender) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the sender of webhooks");
    }
    pthread_condattr_t monotonic;
    sender->options = *options;
    sender->looked_s = -1.0;
    sender->last_ms = INT64_MAX;
    (void)pthread_mutex_init(&sender->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&sender->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_cond_init(&sender->round_ended, NULL);
    post_init();
    *ret_sender = sender;
    return STATUS_OK;
}

enum status sender_start(struct sender *sender, struct error *error) {
    int reason = pthread_create(&sender->thread, NULL, work, sender);
    sender->started = reason == 0;
    return sender->started ? STATUS_OK : error_set_errno(error, reason, "cannot start a thread");
}

void sender_poke(struct sender *sender) {
    if (sender) {
        (void)pthread_mutex_lock(&sender->mutex);
        sender->poked = true;
        (void)pthread_cond_signal(&sender->wake);
        (void)pthread_mutex_unlock(&sender->mutex);
    }
}

void sender_round(struct sender *sender) {
    (void)pthread_mutex_lock(&sender->mutex);
    uint64_t wanted = sender->n_begun + 1;
    sender->poked = true;
    (void)pthread_cond_signal(&sender->wake);
    while (sender->n_ended < wanted && !atomic_load(&sender->must_stop)) {
        (void)pthread_cond_wait(&sender->round_ended, &sender->mutex);
    }
    (void)pthread_mutex_unlock(&sender->mutex);
}

void sender_ask_stop(struct sender *sender) {
    if (sender) {
        (void)pthread_mutex_lock(&sender->mutex);
        atomic_store(&sender->must_stop, true);
        sender->poked = true;
        (void)pthread_cond_signal(&sender->wake);
        (void)pthread_cond_broadcast(&sender->round_ended);
        (void)pthread_mutex_unlock(&sender->mutex);
    }
}

void sender_free(struct sender *sender) {
    if (!sender) {
        return;
    }
    sender_ask_stop(sender);
    if (sender->started) {
        (void)pthread_join(sender->thread, NULL);
    }
    (void)pthread_cond_destroy(&sender->wake);
    (void)pthread_cond_destroy(&sender->round_ended);
    (void)pthread_mutex_destroy(&sender->mutex);
    free(sender);
}
