/* What one client is told about what it watches - a run, a sweep, everything - from any point on.
 *
 * Layer: api. Thread rule: a feed belongs to one thread at a time.
 *
 * Persistent events (state, epoch, checkpoint) carry the ids of the store; a client that comes back
 * with the last id it saw misses nothing and hears nothing twice. `snapshot` (the state of things;
 * first, when no id was given) carries the id it stands at. `step` is where a running run is at the
 * moment, at most once a second, without an id. `end` is the last: every run is final, or what was
 * watched is deleted. `resync` is a snapshot in place of events: the client did not read, and too
 * many of them had come together; or some of them are no longer kept (keep_events_days).
 *
 * A feed keeps no backlog: what a client has not read yet is in the store, not in memory. What was
 * stored when the client came is told in full, at the client's own pace; of what comes later, at
 * most FEED_MOST_BEHIND events may be waiting.
 */
#ifndef CUTOUTD_API_STREAM_FEED_H
#define CUTOUTD_API_STREAM_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "api/context.h"
#include "api/http/request.h"
#include "daemon/store/query/watch.h"

enum {
    FEED_HEARTBEAT_S = 15,
    FEED_MOST_BEHIND = 4000,     /* a sweep may bring 1,000 at once */
    FEED_MOST_BYTES = 64 * 1024, /* of events handed out at a time, give or take one */
    FEED_MOST_RUNS = 100,        /* short rows in a snapshot */
    FEED_MOST_RUNNING = 64,      /* runs at a time whose steps are told */
};

enum feed_format { FEED_SSE, FEED_NDJSON };

struct feed {
    struct watch watch;
    char prefix[REQUEST_PREFIX_SIZE]; /* of links in snapshots; the owner sets it after feed_init */
    enum feed_format format;
    int64_t last_id;  /* of the last event that was told */
    int64_t position; /* nothing of what is watched up to this id is left to tell */
    int64_t asked_id; /* the newest event when the client came: told in full up to here */
    bool snapshot_due;
    bool greeted;       /* the line that comes before all events is written */
    bool check_end;     /* all may be final or gone: look before waiting */
    bool ended;         /* `end` is written */
    bool more;          /* there may be something to say although nothing happened since */
    double step_s;      /* monotonic: the earliest time for the next `step` */
    double last_text_s; /* monotonic, of anything written */
    double wake_s;      /* when there is something to write without anything having happened */
    /* The steps that were told last. */
    int n_running;
    struct feed_position {
        int64_t run_id;
        uint64_t n_reports;
    } running[FEED_MOST_RUNNING];
};

/* since: the last id the client has seen, 0 for all events, -1 to begin with a snapshot. */
void feed_init(struct feed *feed, const struct watch *watch, enum feed_format format, int64_t since,
               double now_s);

/* What there is to say now: *ret_text is owned by the caller (free), "" when there is nothing until
 * something happens or feed->wake_s is reached. Statuses of the store; STATUS_NO_MEMORY. */
enum status feed_next(struct feed *feed, const struct api_context *context, char **ret_text,
                      size_t *ret_n_bytes, struct error *error);

#endif
