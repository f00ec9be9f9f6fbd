/* The newest events of all runs as JSON, read and written out once for every stream.
 *
 * Layer: api. Thread rule: tail_update on one thread at a time; the rest from any thread.
 *
 * It holds every event in a stretch of ids that ends with the newest one it knows. A feed inside
 * of that stretch costs the store nothing, however many feeds there are; one behind it reads the
 * store by itself until it has caught up.
 */
#ifndef CUTOUTD_API_STREAM_TAIL_H
#define CUTOUTD_API_STREAM_TAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "daemon/store/query/watch.h"

enum { TAIL_ENTRIES = 4096, TAIL_NEWS = 64 };

struct tail;

struct tail_entry {
    int64_t id;
    int64_t run_id;
    int64_t sweep_id; /* 0: none */
    const char *type; /* static */
    bool final;       /* the run has come to a final state */
    char *json;       /* the event's data */
};

/* Whose events an update found. */
struct tail_news {
    int n;
    struct {
        int64_t run_id;
        int64_t sweep_id;
    } items[TAIL_NEWS];
    bool more; /* and others, for which there was no room */
};

/* Begins behind the newest event of the store. STATUS_NO_MEMORY, statuses of the store. */
enum status tail_create(struct store *store, struct tail **ret_tail, struct error *error);

/* NULL is fine. */
void tail_free(struct tail *tail);

/* Takes in what was stored since; *ret_news is written in any case. Statuses of the store;
 * STATUS_NO_MEMORY. After a failure feeds read the store, until an update succeeds. */
enum status tail_update(struct tail *tail, struct tail_news *ret_news, struct error *error);

/* Whether it is about what is watched. */
bool tail_news_match(const struct tail_news *news, const struct watch *watch);

/* Sees one entry, in order of ids; false: enough for now. Called with the tail's lock held. */
typedef bool tail_visit(void *user, const struct tail_entry *entry);

/* Shows the watched entries above `after_id`. *ret_upto: no watched event up to this id was left
 * out. false: the tail begins later or its last update failed, and nothing was shown. */
bool tail_read(struct tail *tail, const struct watch *watch, int64_t after_id, tail_visit *visit,
               void *user, int64_t *ret_upto);

#endif
