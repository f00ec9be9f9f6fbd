/* What disk.c and disk_node.c share. */
#ifndef CUTOUTD_TESTS_SIM_DISK_NODE_H
#define CUTOUTD_TESTS_SIM_DISK_NODE_H

#include "tests/sim/disk.h"

enum { DISK_PAGE_BYTES = 4096, SECTORS_A_PAGE = DISK_PAGE_BYTES / DISK_SECTOR_BYTES };

struct page {
    unsigned char *now;     /* NULL: zeros */
    unsigned char *durable; /* valid while a sector is dirty or lost; NULL: zeros */
    unsigned dirty;         /* a bit a sector: changed since the last sync */
    unsigned lost;          /* a sync failed on them: no later one writes them */
};

struct entry {
    char name[DISK_NAME_SIZE];
    struct node *node;
};

struct entries {
    struct entry *items;
    int n;
    int capacity;
};

struct node {
    bool directory;
    int64_t number;
    int links;
    struct entries now; /* of a directory, as the next */
    struct entries durable;
    int cut;            /* disk_lose_power */
    struct page *pages; /* [n_pages], of a file as the next */
    int n_pages;
    int64_t size;
    int64_t durable_size;
    struct node *next;
};

enum journal_kind { JOURNAL_ADD, JOURNAL_REMOVE, JOURNAL_RENAME };

struct journal_item {
    enum journal_kind kind;
    struct node *directory;
    char name[DISK_NAME_SIZE];
    struct node *node; /* of ADD and RENAME */
    struct node *to_directory;
    char to_name[DISK_NAME_SIZE];
};

struct disk_journal {
    struct journal_item *items;
    int n;
    int capacity;
};

/* Zeroed; ends the simulator when there is none. */
void *disk_allocate(size_t n_bytes);

void node_write(struct node *node, const void *bytes, size_t n, int64_t offset);
void node_resize(struct node *node, int64_t size);

/* Everything is durable now. */
void node_settle(struct node *node);

/* Everything is taken for durable, and is not. */
void node_forget_changes(struct node *node);

/* The power goes: each changed sector survives with that chance. */
void node_tear(struct node *node, struct stream *choices, int keep_percent);

#endif
