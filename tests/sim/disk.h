/* A disk in memory, on which nothing is durable before it was synced.
 *
 * A file has its bytes as the process sees them, and those of the sectors that were changed since
 * the last sync as they are on the platter. What happened to the entries of directories is a
 * journal, of which a sync of the directory (or, for the entry that a file was made with, of the
 * file) carries out what belongs to it. When the power goes a random part of the sectors and the
 * beginning of each directory's journal survive. A process that is killed loses nothing.
 *
 * Functions return 0 or an errno. Faults are not decided here (faults.h).
 *
 * Thread rule: the simulator has one thread.
 */
#ifndef CUTOUTD_TESTS_SIM_DISK_H
#define CUTOUTD_TESTS_SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/stream.h"

enum { DISK_NAME_SIZE = 112, DISK_SECTOR_BYTES = 512 };

/* A file or a directory. */
struct node;

/* An empty disk with the durable directories /sim and /sim/state. */
void disk_format(void);

/* Whether the path is on this disk: below /sim. */
bool disk_has(const char *path);

/* NULL: there is none. */
struct node *disk_find(const char *path);

/* EEXIST, ENOENT (the directory above), ENOTDIR, ENOSPC. */
int disk_make(const char *path, bool directory, struct node **ret_node);

int disk_rename(const char *from, const char *to);
int disk_link(const char *from, const char *to);
int disk_unlink(const char *path);
int disk_rmdir(const char *path);

int64_t disk_number(const struct node *node); /* of the inode */
bool disk_is_directory(const struct node *node);
int64_t disk_size(const struct node *node);
int disk_links(const struct node *node);

/* Returns how many bytes there were. */
size_t disk_read(const struct node *node, void *bytes, size_t n, int64_t offset);
int disk_write(struct node *node, const void *bytes, size_t n, int64_t offset);
int disk_resize(struct node *node, int64_t size);

void disk_sync(struct node *node);

/* What a failed sync leaves (Linux): what was written is forgotten as if it had been stored. */
void disk_sync_failed(struct node *node);

/* The entries of a directory: index 0 ..; NULL: no more. */
const char *disk_entry(const struct node *directory, int index);

/* So many bytes may be used; -1: as many as one likes. */
void disk_set_capacity(int64_t n_bytes);
int64_t disk_used(void);
int64_t disk_free(void); /* as statvfs tells it */

/* The power goes: *choices says what survives. */
void disk_lose_power(struct stream *choices);

#endif
