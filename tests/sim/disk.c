/* Thread rule: see the header. */
#include "tests/sim/disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/disk_node.h"

static struct node *root;
static struct node *disk_nodes;
static int64_t next_number;
static int64_t capacity = -1;
static struct disk_journal disk_journal;

/* ---- memory ---- */

void *disk_allocate(size_t n_bytes) {
    void *memory = calloc(1, n_bytes ? n_bytes : 1);
    if (!memory) {
        perror("sim: no memory for the disk");
        abort();
    }
    return memory;
}

static struct node *new_node(bool directory) {
    struct node *node = disk_allocate(sizeof(*node));
    node->directory = directory;
    node->number = ++next_number;
    node->next = disk_nodes;
    disk_nodes = node;
    return node;
}

/* ---- entries ---- */

static struct entry *entries_find(struct entries *entries, const char *name) {
    for (int i = 0; i < entries->n; i++) {
        if (strcmp(entries->items[i].name, name) == 0) {
            return &entries->items[i];
        }
    }
    return NULL;
}

static void entries_set(struct entries *entries, const char *name, struct node *node) {
    struct entry *entry = entries_find(entries, name);
    if (!entry) {
        if (entries->n == entries->capacity) {
            entries->capacity = entries->capacity ? 2 * entries->capacity : 4;
            struct entry *items =
                disk_allocate((size_t)entries->capacity * sizeof(*entries->items));
            if (entries->n > 0) {
                memcpy(items, entries->items, (size_t)entries->n * sizeof(*items));
            }
            free(entries->items);
            entries->items = items;
        }
        entry = &entries->items[entries->n++];
        (void)snprintf(entry->name, sizeof(entry->name), "%s", name);
    }
    entry->node = node;
}

static void entries_remove(struct entries *entries, const char *name) {
    struct entry *entry = entries_find(entries, name);
    if (entry) {
        *entry = entries->items[--entries->n];
    }
}

/* ---- paths ---- */

bool disk_has(const char *path) {
    return strncmp(path, "/sim/", 5) == 0 || strcmp(path, "/sim") == 0;
}

/* The directory that holds the last part of the path, which is copied. */
static struct node *find_parent(const char *path, char ret_name[DISK_NAME_SIZE]) {
    struct node *at = root;
    const char *part = path + 1;
    for (;;) {
        size_t n = strcspn(part, "/");
        const char *after = part + n + strspn(part + n, "/");
        char name[DISK_NAME_SIZE];
        (void)snprintf(name, sizeof(name), "%.*s", (int)n, part);
        if (*after == '\0') {
            memcpy(ret_name, name, sizeof(name));
            return at->directory ? at : NULL;
        }
        struct entry *entry = at->directory ? entries_find(&at->now, name) : NULL;
        if (!entry) {
            return NULL;
        }
        at = entry->node;
        part = after;
    }
}

struct node *disk_find(const char *path) {
    char name[DISK_NAME_SIZE];
    struct node *parent = find_parent(path, name);
    struct entry *entry = parent ? entries_find(&parent->now, name) : NULL;
    return entry ? entry->node : NULL;
}

/* ---- the journal ---- */

static void note(enum journal_kind kind, struct node *directory, const char *name,
                 struct node *node, struct node *to_directory, const char *to_name) {
    struct disk_journal *j = &disk_journal;
    if (j->n == j->capacity) {
        j->capacity = j->capacity ? 2 * j->capacity : 64;
        struct journal_item *items = disk_allocate((size_t)j->capacity * sizeof(*items));
        if (j->n > 0) {
            memcpy(items, j->items, (size_t)j->n * sizeof(*items));
        }
        free(j->items);
        j->items = items;
    }
    struct journal_item *item = &j->items[j->n++];
    *item = (struct journal_item){
        .kind = kind, .directory = directory, .node = node, .to_directory = to_directory};
    (void)snprintf(item->name, sizeof(item->name), "%s", name);
    (void)snprintf(item->to_name, sizeof(item->to_name), "%s", to_name);
}

static void journal_carry_out(const struct journal_item *item) {
    switch (item->kind) {
    case JOURNAL_ADD:
        entries_set(&item->directory->durable, item->name, item->node);
        break;
    case JOURNAL_REMOVE:
        entries_remove(&item->directory->durable, item->name);
        break;
    case JOURNAL_RENAME:
        entries_remove(&item->directory->durable, item->name);
        entries_set(&item->to_directory->durable, item->to_name, item->node);
        break;
    }
}

static bool concerns(const struct journal_item *item, const struct node *directory) {
    return item->directory == directory || item->to_directory == directory;
}

/* Of this directory, the first `upto` items of the journal. */
static void flush(const struct node *directory, int upto) {
    struct disk_journal *j = &disk_journal;
    int kept = 0;
    for (int i = 0; i < j->n; i++) {
        if (i < upto && concerns(&j->items[i], directory)) {
            journal_carry_out(&j->items[i]);
        } else {
            j->items[kept++] = j->items[i];
        }
    }
    j->n = kept;
}

/* The entry that the file was made with. */
static void flush_made(const struct node *node) {
    for (int i = 0; i < disk_journal.n; i++) {
        const struct journal_item *item = &disk_journal.items[i];
        if (item->kind == JOURNAL_ADD && item->node == node) {
            flush(item->directory, i + 1);
            return;
        }
    }
}

/* ---- entries, from outside ---- */

static bool has_room_for(int64_t n_bytes) {
    return capacity < 0 || disk_used() + n_bytes <= capacity;
}

int disk_make(const char *path, bool directory, struct node **ret_node) {
    char name[DISK_NAME_SIZE];
    struct node *parent = find_parent(path, name);
    if (!parent) {
        return ENOENT;
    }
    if (entries_find(&parent->now, name)) {
        return EEXIST;
    }
    if (!has_room_for(directory ? DISK_PAGE_BYTES : 1)) {
        return ENOSPC;
    }
    struct node *node = new_node(directory);
    node->links = 1;
    entries_set(&parent->now, name, node);
    note(JOURNAL_ADD, parent, name, node, NULL, "");
    if (ret_node) {
        *ret_node = node;
    }
    return 0;
}

int disk_rename(const char *from, const char *to) {
    char name[DISK_NAME_SIZE];
    char to_name[DISK_NAME_SIZE];
    struct node *parent = find_parent(from, name);
    struct node *to_parent = find_parent(to, to_name);
    struct entry *entry = parent ? entries_find(&parent->now, name) : NULL;
    if (!entry || !to_parent) {
        return ENOENT;
    }
    struct node *node = entry->node;
    struct entry *old = entries_find(&to_parent->now, to_name);
    if (old && old->node->directory && old->node->now.n > 0) {
        return ENOTEMPTY;
    }
    if (old) {
        old->node->links--;
    }
    entries_remove(&parent->now, name);
    entries_set(&to_parent->now, to_name, node);
    note(JOURNAL_RENAME, parent, name, node, to_parent, to_name);
    return 0;
}

int disk_link(const char *from, const char *to) {
    char name[DISK_NAME_SIZE];
    struct node *node = disk_find(from);
    struct node *parent = find_parent(to, name);
    if (!node || !parent) {
        return ENOENT;
    }
    if (entries_find(&parent->now, name)) {
        return EEXIST;
    }
    node->links++;
    entries_set(&parent->now, name, node);
    note(JOURNAL_ADD, parent, name, node, NULL, "");
    return 0;
}

static int remove_entry(const char *path, bool directory) {
    char name[DISK_NAME_SIZE];
    struct node *parent = find_parent(path, name);
    struct entry *entry = parent ? entries_find(&parent->now, name) : NULL;
    if (!entry) {
        return ENOENT;
    }
    if (entry->node->directory != directory) {
        return directory ? ENOTDIR : EISDIR;
    }
    if (directory && entry->node->now.n > 0) {
        return ENOTEMPTY;
    }
    entry->node->links--;
    entries_remove(&parent->now, name);
    note(JOURNAL_REMOVE, parent, name, NULL, NULL, "");
    return 0;
}

int disk_unlink(const char *path) {
    return remove_entry(path, false);
}

int disk_rmdir(const char *path) {
    return remove_entry(path, true);
}

const char *disk_entry(const struct node *directory, int index) {
    return index < directory->now.n ? directory->now.items[index].name : NULL;
}

int64_t disk_number(const struct node *node) {
    return node->number;
}

bool disk_is_directory(const struct node *node) {
    return node->directory;
}

int64_t disk_size(const struct node *node) {
    return node->size;
}

int disk_links(const struct node *node) {
    return node->links;
}

/* ---- sync ---- */

void disk_sync(struct node *node) {
    if (node->directory) {
        flush(node, disk_journal.n);
        return;
    }
    node_settle(node);
    flush_made(node);
}

void disk_sync_failed(struct node *node) {
    if (!node->directory) {
        node_forget_changes(node);
    }
}

/* ---- room ---- */

void disk_set_capacity(int64_t n_bytes) {
    capacity = n_bytes;
}

static int64_t rounded(int64_t n_bytes) {
    return (n_bytes + DISK_PAGE_BYTES - 1) / DISK_PAGE_BYTES * DISK_PAGE_BYTES;
}

int64_t disk_used(void) {
    int64_t used = 0;
    for (const struct node *node = disk_nodes; node; node = node->next) {
        used += node->links > 0 ? rounded(node->size) + (node->directory ? DISK_PAGE_BYTES : 0) : 0;
    }
    return used;
}

int64_t disk_free(void) {
    int64_t left = capacity < 0 ? INT64_C(1) << 40 : capacity - disk_used();
    return left > 0 ? left : 0;
}

int disk_resize(struct node *node, int64_t size) {
    if (size > node->size && !has_room_for(rounded(size) - rounded(node->size))) {
        return ENOSPC;
    }
    node_resize(node, size);
    return 0;
}

int disk_write(struct node *node, const void *bytes, size_t n, int64_t offset) {
    int64_t end = offset + (int64_t)n;
    if (end > node->size) {
        int code = disk_resize(node, end);
        if (code != 0) {
            return code;
        }
    }
    node_write(node, bytes, n, offset);
    return 0;
}

/* ---- the beginning ---- */

static struct node *make_durable_directory(struct node *parent, const char *name) {
    struct node *node = new_node(true);
    node->links = 1;
    entries_set(&parent->now, name, node);
    entries_set(&parent->durable, name, node);
    return node;
}

/* A process formats once: what was before is not freed. */
void disk_format(void) {
    disk_nodes = NULL;
    disk_journal = (struct disk_journal){.n = 0};
    capacity = -1;
    next_number = 0;
    root = new_node(true);
    root->links = 1;
    (void)make_durable_directory(make_durable_directory(root, "sim"), "state");
}

/* ---- the power goes ---- */

/* Of each directory a beginning of what happened to it survives. */
static void cut_journal(struct stream *choices) {
    struct disk_journal *j = &disk_journal;
    for (struct node *node = disk_nodes; node; node = node->next) {
        node->cut = stream_chance(choices, 50) ? j->n : stream_below(choices, j->n + 1);
        node->cut = stream_chance(choices, 30) ? 0 : node->cut;
    }
    for (int i = 0; i < j->n; i++) {
        if (i < j->items[i].directory->cut) {
            journal_carry_out(&j->items[i]);
        }
    }
    j->n = 0;
}

static void count_links(struct node *directory) {
    for (int i = 0; i < directory->durable.n; i++) {
        struct node *node = directory->durable.items[i].node;
        node->links++;
        entries_set(&directory->now, directory->durable.items[i].name, node);
        if (node->directory && node->links == 1) {
            count_links(node);
        }
    }
}

void disk_lose_power(struct stream *choices) {
    static const int shares[] = {0, 20, 50, 80, 100};
    cut_journal(choices);
    int keep_percent = shares[stream_below(choices, 5)];
    for (struct node *node = disk_nodes; node; node = node->next) {
        node->links = 0;
        node->now.n = 0;
        node_tear(node, choices, keep_percent);
    }
    root->links = 1;
    count_links(root);
}
