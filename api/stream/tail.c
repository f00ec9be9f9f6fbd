/* Layer: api. A ring of entries; the mutex guards all of it, and is held for copies only. */
#include "api/stream/tail.h"

#include <pthread.h>
#include <stdlib.h>

#include "api/view/event_view.h"
#include "core/base/cleanup.h"

enum { EVENTS_A_READ = 128 };

struct tail {
    struct store *store;
    pthread_mutex_t mutex;
    /* Every event with base_id < id <= newest_id is here. All guarded by mutex. */
    int64_t base_id;
    int64_t newest_id;
    bool stale;   /* a read failed: events above newest_id may be stored */
    size_t first; /* index of the oldest entry */
    size_t n;
    struct tail_entry entries[TAIL_ENTRIES];
};

enum status tail_create(struct store *store, struct tail **ret_tail, struct error *error) {
    struct tail *tail = calloc(1, sizeof(*tail));
    if (!tail) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the newest events");
    }
    tail->store = store;
    (void)pthread_mutex_init(&tail->mutex, NULL);
    enum status status = event_table_newest(store, &tail->newest_id, error);
    if (status != STATUS_OK) {
        tail_free(tail);
        return status;
    }
    tail->base_id = tail->newest_id;
    *ret_tail = tail;
    return STATUS_OK;
}

/* With the mutex held: the i-th oldest. */
static struct tail_entry *entry_at(struct tail *tail, size_t i) {
    return &tail->entries[(tail->first + i) % TAIL_ENTRIES];
}

/* With the mutex held. */
static void drop_oldest(struct tail *tail) {
    struct tail_entry *oldest = entry_at(tail, 0);
    tail->base_id = oldest->id;
    free(oldest->json);
    oldest->json = NULL;
    tail->first = (tail->first + 1) % TAIL_ENTRIES;
    tail->n--;
}

void tail_free(struct tail *tail) {
    if (tail) {
        while (tail->n > 0) {
            drop_oldest(tail);
        }
        (void)pthread_mutex_destroy(&tail->mutex);
        free(tail);
    }
}

static void add_news(struct tail_news *news, const struct event_row *event) {
    for (int i = 0; i < news->n; i++) {
        if (news->items[i].run_id == event->run_id) {
            return;
        }
    }
    if (news->n == TAIL_NEWS) {
        news->more = true;
        return;
    }
    news->items[news->n].run_id = event->run_id;
    news->items[news->n++].sweep_id = event->sweep_id;
}

bool tail_news_match(const struct tail_news *news, const struct watch *watch) {
    bool found = news->more || (watch->kind == WATCH_ALL && news->n > 0);
    for (int i = 0; i < news->n && !found; i++) {
        found = watch->kind == WATCH_RUN ? news->items[i].run_id == watch->id
                                         : news->items[i].sweep_id == watch->id;
    }
    return found;
}

/* Takes over json. */
static void append(struct tail *tail, const struct event_row *event, char *json) {
    (void)pthread_mutex_lock(&tail->mutex);
    if (tail->n == TAIL_ENTRIES) {
        drop_oldest(tail);
    }
    *entry_at(tail, tail->n++) = (struct tail_entry){
        .id = event->id,
        .run_id = event->run_id,
        .sweep_id = event->sweep_id,
        .type = event_type_name(event->type),
        .final = event->type == EVENT_STATE && event_may_end_sweep(event->state),
        .json = json,
    };
    tail->newest_id = event->id;
    (void)pthread_mutex_unlock(&tail->mutex);
}

/* Forgets everything up to `id`. */
static void restart_behind(struct tail *tail, int64_t id) {
    (void)pthread_mutex_lock(&tail->mutex);
    while (tail->n > 0) {
        drop_oldest(tail);
    }
    tail->base_id = id;
    tail->newest_id = id;
    (void)pthread_mutex_unlock(&tail->mutex);
}

static enum status append_list(struct tail *tail, const struct event_list *list,
                               struct tail_news *news, struct error *error) {
    if (list->expired) {
        /* Some were deleted before they were read: it cannot reach back over them. */
        restart_behind(tail, list->n > 0 ? list->rows[0].id - 1 : list->upto_id);
    }
    for (size_t i = 0; i < list->n; i++) {
        add_news(news, &list->rows[i]);
    }
    for (size_t i = 0; i < list->n; i++) {
        if (!event_is_told(&list->rows[i])) {
            continue;
        }
        char *json = event_json(&list->rows[i]);
        if (!json) {
            restart_behind(tail, list->upto_id);
            return error_set(error, STATUS_NO_MEMORY, "no memory for the newest events");
        }
        append(tail, &list->rows[i], json);
    }
    (void)pthread_mutex_lock(&tail->mutex);
    if (list->upto_id > tail->newest_id) {
        tail->newest_id = list->upto_id;
    }
    (void)pthread_mutex_unlock(&tail->mutex);
    return STATUS_OK;
}

static enum status read_new(struct tail *tail, struct tail_news *news, struct error *error) {
    static const struct watch all = {.kind = WATCH_ALL};
    bool more = true;
    while (more) {
        CLEANUP(event_list_clear) struct event_list list = {0};
        /* Only this thread writes newest_id. */
        TRY(event_table_follow(tail->store, &all, tail->newest_id, EVENTS_A_READ, &list, error));
        TRY(append_list(tail, &list, news, error));
        more = list.more;
    }
    return STATUS_OK;
}

enum status tail_update(struct tail *tail, struct tail_news *ret_news, struct error *error) {
    *ret_news = (struct tail_news){.n = 0};
    enum status status = read_new(tail, ret_news, error);
    (void)pthread_mutex_lock(&tail->mutex);
    tail->stale = status != STATUS_OK;
    (void)pthread_mutex_unlock(&tail->mutex);
    return status;
}

static bool is_watched(const struct tail_entry *entry, const struct watch *watch) {
    switch (watch->kind) {
    case WATCH_RUN:
        return entry->run_id == watch->id;
    case WATCH_SWEEP:
        return entry->sweep_id == watch->id;
    case WATCH_ALL:
        break;
    }
    return true;
}

bool tail_read(struct tail *tail, const struct watch *watch, int64_t after_id, tail_visit *visit,
               void *user, int64_t *ret_upto) {
    (void)pthread_mutex_lock(&tail->mutex);
    bool reaches_back = after_id >= tail->base_id && !tail->stale;
    if (reaches_back) {
        size_t i = tail->n;
        while (i > 0 && entry_at(tail, i - 1)->id > after_id) {
            i--;
        }
        *ret_upto = after_id > tail->newest_id ? after_id : tail->newest_id;
        for (; i < tail->n; i++) {
            const struct tail_entry *entry = entry_at(tail, i);
            if (is_watched(entry, watch) && !visit(user, entry)) {
                *ret_upto = entry->id;
                break;
            }
        }
    }
    (void)pthread_mutex_unlock(&tail->mutex);
    return reaches_back;
}
