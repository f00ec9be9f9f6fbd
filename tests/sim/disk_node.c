/* The bytes of one file. Thread rule: disk.h. */
#include "tests/sim/disk_node.h"

#include <stdlib.h>
#include <string.h>

static const unsigned ALL_SECTORS = (1u << SECTORS_A_PAGE) - 1;

static void have_pages(struct node *node, int n) {
    if (n <= node->n_pages) {
        return;
    }
    int larger = n > 2 * node->n_pages ? n : 2 * node->n_pages;
    struct page *pages = disk_allocate((size_t)larger * sizeof(*pages));
    if (node->n_pages > 0) {
        memcpy(pages, node->pages, (size_t)node->n_pages * sizeof(*pages));
    }
    free(node->pages);
    node->pages = pages;
    node->n_pages = larger;
}

static unsigned char *copy_of(const unsigned char *bytes) {
    unsigned char *copy = bytes ? disk_allocate(DISK_PAGE_BYTES) : NULL;
    if (copy) {
        memcpy(copy, bytes, DISK_PAGE_BYTES);
    }
    return copy;
}

/* Before sectors of it change. */
static void touch(struct page *page, unsigned sectors) {
    if ((page->dirty | page->lost) == 0) {
        page->durable = copy_of(page->now);
    }
    page->dirty |= sectors;
    page->lost &= ~sectors;
    if (!page->now) {
        page->now = disk_allocate(DISK_PAGE_BYTES);
    }
}

static unsigned sectors_of(int64_t first, int64_t end) {
    unsigned sectors = 0;
    for (int64_t at = first / DISK_SECTOR_BYTES; at * DISK_SECTOR_BYTES < end; at++) {
        sectors |= 1u << at;
    }
    return sectors;
}

void node_write(struct node *node, const void *bytes, size_t n, int64_t offset) {
    const unsigned char *from = bytes;
    have_pages(node, (int)((offset + (int64_t)n + DISK_PAGE_BYTES - 1) / DISK_PAGE_BYTES));
    while (n > 0) {
        struct page *page = &node->pages[offset / DISK_PAGE_BYTES];
        int64_t first = offset % DISK_PAGE_BYTES;
        size_t part = (size_t)(DISK_PAGE_BYTES - first) < n ? (size_t)(DISK_PAGE_BYTES - first) : n;
        touch(page, sectors_of(first, first + (int64_t)part));
        memcpy(page->now + first, from, part);
        from += part;
        offset += (int64_t)part;
        n -= part;
    }
}

size_t disk_read(const struct node *node, void *bytes, size_t n, int64_t offset) {
    unsigned char *to = bytes;
    size_t done = 0;
    int64_t left = node->size - offset;
    n = left <= 0 ? 0 : (int64_t)n < left ? n : (size_t)left;
    while (done < n) {
        int64_t place = offset / DISK_PAGE_BYTES;
        int64_t first = offset % DISK_PAGE_BYTES;
        size_t part = (size_t)(DISK_PAGE_BYTES - first);
        part = part < n - done ? part : n - done;
        const unsigned char *now = place < node->n_pages ? node->pages[place].now : NULL;
        if (now) {
            memcpy(to + done, now + first, part);
        } else {
            memset(to + done, 0, part);
        }
        done += part;
        offset += (int64_t)part;
    }
    return done;
}

/* What lies behind `size` becomes zeros. */
static void clear_behind(struct node *node, int64_t size) {
    for (int64_t at = size / DISK_PAGE_BYTES; at < node->n_pages; at++) {
        struct page *page = &node->pages[at];
        int64_t first = at * DISK_PAGE_BYTES < size ? size % DISK_PAGE_BYTES : 0;
        if (page->now) {
            touch(page, first > 0 ? sectors_of(first, DISK_PAGE_BYTES) : ALL_SECTORS);
            memset(page->now + first, 0, (size_t)(DISK_PAGE_BYTES - first));
        }
    }
}

void node_resize(struct node *node, int64_t size) {
    if (size < node->size) {
        clear_behind(node, size);
    }
    node->size = size;
}

static void copy_sectors(unsigned char *to, const unsigned char *from, unsigned sectors) {
    for (size_t i = 0; i < SECTORS_A_PAGE; i++) {
        if ((sectors & 1u << i) != 0 && from) {
            memcpy(to + i * DISK_SECTOR_BYTES, from + i * DISK_SECTOR_BYTES, DISK_SECTOR_BYTES);
        } else if ((sectors & 1u << i) != 0) {
            memset(to + i * DISK_SECTOR_BYTES, 0, DISK_SECTOR_BYTES);
        }
    }
}

static void settle_page(struct page *page) {
    if (page->lost == 0) {
        free(page->durable);
        page->durable = NULL;
    } else if (page->dirty != 0) {
        page->durable = page->durable ? page->durable : disk_allocate(DISK_PAGE_BYTES);
        copy_sectors(page->durable, page->now, page->dirty);
    }
    page->dirty = 0;
}

void node_settle(struct node *node) {
    for (int i = 0; i < node->n_pages; i++) {
        settle_page(&node->pages[i]);
    }
    node->durable_size = node->size;
}

/* What was written can still be read, and goes with the power. */
void node_forget_changes(struct node *node) {
    for (int i = 0; i < node->n_pages; i++) {
        node->pages[i].lost |= node->pages[i].dirty;
        node->pages[i].dirty = 0;
    }
}

/* Returns where the last sector that survived ends; 0: none did. */
static int64_t tear_page(struct page *page, struct stream *choices, int keep_percent,
                         int64_t first) {
    unsigned kept = 0;
    int64_t end = 0;
    for (int i = 0; i < SECTORS_A_PAGE; i++) {
        if ((page->dirty & 1u << i) != 0 && stream_chance(choices, keep_percent)) {
            kept |= 1u << i;
            end = first + (int64_t)(i + 1) * DISK_SECTOR_BYTES;
        }
    }
    unsigned char *merged = page->durable ? page->durable : disk_allocate(DISK_PAGE_BYTES);
    copy_sectors(merged, page->now, kept);
    free(page->now);
    *page = (struct page){.now = merged};
    return end;
}

void node_tear(struct node *node, struct stream *choices, int keep_percent) {
    int64_t end = 0;
    for (int i = 0; i < node->n_pages; i++) {
        if ((node->pages[i].dirty | node->pages[i].lost) != 0) {
            int64_t kept =
                tear_page(&node->pages[i], choices, keep_percent, (int64_t)i * DISK_PAGE_BYTES);
            end = kept > 0 ? kept : end;
        }
    }
    int64_t size = node->durable_size;
    if (node->size < size && stream_chance(choices, 50)) {
        size = node->size;
    } else if (end > size && node->size > size) {
        size = end < node->size ? end : node->size;
    }
    node->size = size;
    clear_behind(node, size);
    node_settle(node);
}
