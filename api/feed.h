/* The events of one run as text of a `text/event-stream`, from any point on.
 *
 * Layer: api. Thread rule: a feed belongs to one thread at a time.
 *
 * Persistent events (state, epoch, checkpoint) come from the store and carry its ids; a client that
 * comes back with the last id it saw misses nothing. `snapshot` (the whole run, first, when no id
 * was given) carries the id it stands at. `step` is the position at the moment, at most once a
 * second, without an id. `end` is the last: the run is final and nothing will follow.
 */
#ifndef CUTOUTD_API_FEED_H
#define CUTOUTD_API_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "api/context.h"

enum { FEED_HEARTBEAT_S = 15 };

struct feed {
    int64_t run_id;
    int64_t last_id; /* of the last event written */
    bool snapshot_due;
    bool greeted;   /* the line that comes before all events is written */
    bool check_end; /* the run may be final: look before waiting */
    bool ended;     /* `end` is written */
    uint64_t n_reports;
    double last_step_s; /* monotonic, of the last `step` */
    double last_text_s; /* monotonic, of anything written */
    double wake_s;      /* when there is something to write without anything having happened */
};

/* since: the last id the client has seen, 0 for all events, -1 to begin with a snapshot. */
void feed_init(struct feed *feed, int64_t run_id, int64_t since, double now_s);

/* What there is to say now: *ret_text is owned by the caller (free), "" when there is nothing until
 * the run is heard of again or feed->wake_s is reached. Statuses of the store; STATUS_NO_MEMORY. */
enum status feed_next(struct feed *feed, const struct api_context *context, char **ret_text,
                      size_t *ret_n_bytes, struct error *error);

#endif
