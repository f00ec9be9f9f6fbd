/* Wakes the streams: one thread reads what is new once for all of them.
 *
 * Layer: api. Thread rule: start and stop by one thread; the callback runs on the waker's own.
 *
 * A thread that commits or trains only notes the run's number here (daemon/work/notifier.h). The
 * waker then brings the tail up to date and says which runs have new events, which made a step,
 * and which were deleted.
 *
 * News after a silence are passed on at once. After that it pauses, the longer the more streams it
 * woke, and what happens meanwhile is told together: so that followers in their thousands take
 * a small part of one core from training, however often something happens.
 */
#ifndef CUTOUTD_API_STREAM_WAKER_H
#define CUTOUTD_API_STREAM_WAKER_H

#include "api/context.h"
#include "api/stream/tail.h"

enum { NEWS_RUNS = 64 };

/* Some runs. */
struct run_numbers {
    int n;
    int64_t ids[NEWS_RUNS];
    bool more; /* and others, for which there was no room */
};

struct stream_news {
    struct tail_news events;    /* these runs have new events, in the tail by now */
    struct run_numbers touched; /* something happened to these, be it a step only */
    struct run_numbers gone;    /* these were deleted, or whether they were is not known */
    double now_s;
};

/* Whether something happened to what is watched. True when in doubt. */
bool news_are_about(const struct stream_news *news, const struct watch *watch);

/* Whether what is watched, or a part of it, was deleted. True when in doubt. */
bool news_may_delete(const struct stream_news *news, const struct watch *watch);

enum {
    WAKER_PAUSE_US = 1100, /* for each stream that was woken */
    WAKER_MOST_PAUSE_MS = 2000,
};

/* Returns how many streams it woke. */
typedef int waker_callback(void *user, const struct stream_news *news);

struct waker;

/* context->tail must be there before and after it. On success *ret_waker is owned by the caller
 * (waker_stop). STATUS_NO_MEMORY, STATUS_IO. */
enum status waker_start(const struct api_context *context, waker_callback *callback, void *user,
                        struct waker **ret_waker, struct error *error);

/* After it the callback is not called again. NULL is fine. */
void waker_stop(struct waker *waker);

#endif
