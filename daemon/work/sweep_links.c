/* Layer: daemon/work. Thread rule: the mutex guards the list; the store is written without it.
 * Whoever changes the list after a change of the store holds `changes` over both, so that what was
 * taken out of the store does not come into the list afterwards. */
#include "daemon/work/sweep_links.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"

enum { HASH_BYTES = crypto_hash_sha256_BYTES };

struct link {
    int64_t id;
    int64_t sweep_id;
    int64_t expires_ms;
    unsigned char sha256[HASH_BYTES];
};

struct sweep_links {
    struct store *store;
    const struct clock *clock;
    pthread_mutex_t changes; /* taken before mutex */
    pthread_mutex_t mutex;
    struct link *items; /* guarded by mutex, as all below: [capacity], n used */
    size_t n;
    size_t capacity;
};

/* With the mutex held. STATUS_NO_MEMORY. */
static enum status reserve(struct sweep_links *links, size_t n, struct error *error) {
    if (n > links->capacity) {
        struct link *items = realloc(links->items, 2 * n * sizeof(*items));
        if (!items) {
            return error_set(error, STATUS_NO_MEMORY, "no memory for %zu links", n);
        }
        links->items = items;
        links->capacity = 2 * n;
    }
    return STATUS_OK;
}

/* With the mutex held, and room. */
static void keep(struct sweep_links *links, const struct link_row *row) {
    struct link link = {.id = row->id, .sweep_id = row->sweep_id, .expires_ms = row->expires_ms};
    size_t n_bytes = 0;
    if (sodium_hex2bin(link.sha256, sizeof(link.sha256), row->sha256, strlen(row->sha256), NULL,
                       &n_bytes, NULL) == 0 &&
        n_bytes == HASH_BYTES) {
        links->items[links->n++] = link;
    }
}

static enum status read_all(struct sweep_links *links, struct error *error) {
    CLEANUP(link_list_clear) struct link_list list = {0};
    TRY(link_table_list(links->store, 0, clock_unix_ms(links->clock), &list, error));
    TRY(reserve(links, list.n, error));
    for (size_t i = 0; i < list.n; i++) {
        keep(links, &list.rows[i]);
    }
    return STATUS_OK;
}

enum status sweep_links_open(struct store *store, const struct clock *clock,
                             struct sweep_links **ret_links, struct error *error) {
    struct sweep_links *links = calloc(1, sizeof(*links));
    if (!links) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for links");
    }
    links->store = store;
    links->clock = clock;
    (void)pthread_mutex_init(&links->changes, NULL);
    (void)pthread_mutex_init(&links->mutex, NULL);
    enum status status = read_all(links, error);
    if (status != STATUS_OK) {
        sweep_links_close(links);
        return status;
    }
    *ret_links = links;
    return STATUS_OK;
}

void sweep_links_close(struct sweep_links *links) {
    if (links) {
        (void)pthread_mutex_destroy(&links->mutex);
        (void)pthread_mutex_destroy(&links->changes);
        free(links->items);
        free(links);
    }
}

bool sweep_links_is_secret(const char *text) {
    return strncmp(text, SWEEP_LINK_PREFIX, strlen(SWEEP_LINK_PREFIX)) == 0;
}

/* With the mutex held; goes to the end, whether found or not. */
static const struct link *find(const struct sweep_links *links,
                               const unsigned char sha256[HASH_BYTES]) {
    const struct link *found = NULL;
    int64_t now_ms = clock_unix_ms(links->clock);
    for (size_t i = 0; i < links->n; i++) {
        const struct link *link = &links->items[i];
        bool same = sodium_memcmp(link->sha256, sha256, HASH_BYTES) == 0;
        found = same && link->expires_ms > now_ms ? link : found;
    }
    return found;
}

bool sweep_links_grant(struct sweep_links *links, const char *text, struct token_grant *ret_grant) {
    *ret_grant = (struct token_grant){.scope = SCOPE_NONE};
    (void)crypto_hash_sha256(ret_grant->sha256, (const unsigned char *)text, strlen(text));
    (void)pthread_mutex_lock(&links->mutex);
    const struct link *link = find(links, ret_grant->sha256);
    if (link) {
        ret_grant->scope = SCOPE_READ;
        ret_grant->sweep_id = link->sweep_id;
    }
    (void)pthread_mutex_unlock(&links->mutex);
    return ret_grant->sweep_id > 0;
}

bool sweep_links_hold(struct sweep_links *links, const struct token_grant *grant) {
    (void)pthread_mutex_lock(&links->mutex);
    bool holds = find(links, grant->sha256) != NULL;
    (void)pthread_mutex_unlock(&links->mutex);
    return holds;
}

/* Makes room for one more. */
static enum status make_room(struct sweep_links *links, struct error *error) {
    enum status status = STATUS_OK;
    (void)pthread_mutex_lock(&links->mutex);
    if (links->n >= SWEEP_LINKS_MOST) {
        status = error_set(error, STATUS_CONFLICT, "there are %d links: withdraw some of them",
                           SWEEP_LINKS_MOST);
    } else {
        status = reserve(links, links->n + 1, error);
    }
    (void)pthread_mutex_unlock(&links->mutex);
    return status;
}

/* With `changes` held. */
static enum status add(struct sweep_links *links, struct link_row *row, struct error *error) {
    TRY(make_room(links, error));
    TRY(link_table_add(links->store, row, SWEEP_LINKS_MOST_OF_SWEEP, &row->id, error));
    (void)pthread_mutex_lock(&links->mutex);
    keep(links, row);
    (void)pthread_mutex_unlock(&links->mutex);
    return STATUS_OK;
}

enum status sweep_links_add(struct sweep_links *links, int64_t sweep_id, const char *owner,
                            int64_t expires_ms, char ret_secret[TOKEN_TEXT_SIZE],
                            struct link_row *ret_row, struct error *error) {
    struct link_row row = {
        .sweep_id = sweep_id, .created_ms = clock_unix_ms(links->clock), .expires_ms = expires_ms};
    (void)sweep_links_expire(links);
    token_make(SWEEP_LINK_PREFIX, ret_secret, row.sha256);
    (void)snprintf(row.owner, sizeof(row.owner), "%s", owner);
    (void)pthread_mutex_lock(&links->changes);
    enum status status = add(links, &row, error);
    (void)pthread_mutex_unlock(&links->changes);
    TRY(status);
    *ret_row = row;
    return STATUS_OK;
}

/* With `changes` held: takes those out of the list that have this id, or are of this sweep; 0: none
 * has. */
static void forget(struct sweep_links *links, int64_t id, int64_t sweep_id) {
    size_t kept = 0;
    (void)pthread_mutex_lock(&links->mutex);
    for (size_t i = 0; i < links->n; i++) {
        if (links->items[i].id != id && links->items[i].sweep_id != sweep_id) {
            links->items[kept++] = links->items[i];
        }
    }
    links->n = kept;
    (void)pthread_mutex_unlock(&links->mutex);
}

enum status sweep_links_withdraw(struct sweep_links *links, int64_t id, struct error *error) {
    (void)pthread_mutex_lock(&links->changes);
    enum status status = link_table_delete(links->store, id, error);
    if (status == STATUS_OK) {
        forget(links, id, 0);
    }
    (void)pthread_mutex_unlock(&links->changes);
    return status;
}

void sweep_links_forget_sweep(struct sweep_links *links, int64_t sweep_id) {
    if (links) {
        (void)pthread_mutex_lock(&links->changes);
        forget(links, 0, sweep_id);
        (void)pthread_mutex_unlock(&links->changes);
    }
}

int sweep_links_expire(struct sweep_links *links) {
    size_t kept = 0;
    (void)pthread_mutex_lock(&links->mutex);
    int64_t now_ms = clock_unix_ms(links->clock);
    for (size_t i = 0; i < links->n; i++) {
        if (links->items[i].expires_ms > now_ms) {
            links->items[kept++] = links->items[i];
        }
    }
    int n = (int)(links->n - kept);
    links->n = kept;
    (void)pthread_mutex_unlock(&links->mutex);
    return n;
}
