/* Tells the streams what is new: one thread reads it once for all of them.
 *
 * Layer: api. Thread rule: start and stop by one thread; `tell` is called on the herald's own.
 *
 * Whoever commits or trains only leaves the run's number here, by the hub. The herald brings the
 * tail up to date and says whose events came, which runs made a step, and which are gone.
 */
#ifndef CUTOUTD_API_STREAM_HERALD_H
#define CUTOUTD_API_STREAM_HERALD_H

#include "api/context.h"
#include "api/stream/tail.h"

enum { HERALD_RUNS = 64 };

/* Some runs. */
struct herald_runs {
    int n;
    int64_t ids[HERALD_RUNS];
    bool more; /* and others, for which there was no room */
};

struct herald_news {
    struct tail_news events;  /* these runs have new events, in the tail by now */
    struct herald_runs heard; /* something happened to these, be it a step only */
    struct herald_runs gone;  /* these were deleted */
    double now_s;
};

/* Whether something happened to what is watched. True when in doubt. */
bool herald_is_heard(const struct herald_news *news, const struct watch *watch);

/* Whether what is watched, or a part of it, was deleted. True when in doubt. */
bool herald_is_gone(const struct herald_news *news, const struct watch *watch);

typedef void herald_tell(void *user, const struct herald_news *news);

struct herald;

/* context->tail must be there before and after it. On success *ret_herald is owned by the caller
 * (herald_stop). STATUS_NO_MEMORY, STATUS_IO. */
enum status herald_start(const struct api_context *context, herald_tell *tell, void *user,
                         struct herald **ret_herald, struct error *error);

/* After it `tell` is not called again. NULL is fine. */
void herald_stop(struct herald *herald);

#endif
