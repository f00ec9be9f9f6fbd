/* The sender: tells webhooks what has happened, from the outbox in the store.
 *
 * Layer: daemon/notify. Thread rule: create, start and free by one thread; poke and round from any.
 *
 * At least once: a delivery is settled in the store after the receiver's answer, so one that the
 * daemon died over is sent again; while the store does not take what came of one, nothing is sent.
 * A failed one is tried again after 5 s, 15 s, a minute, five, and so on over a day; then it is
 * dead, and says why. Deliveries go one after the other, the oldest due one first; a receiver that
 * hangs costs the others at most POST_MOST_S.
 */
#ifndef CUTOUTD_DAEMON_NOTIFY_SENDER_H
#define CUTOUTD_DAEMON_NOTIFY_SENDER_H

#include "core/base/clock.h"
#include "daemon/store/store.h"
#include "daemon/work/health.h"
#include "daemon/work/progress.h"

struct sender;

/* Everything is borrowed and must outlive the sender. */
struct sender_options {
    struct store *store;
    const struct clock *clock;
    struct health *health;           /* NULL: nobody is told of the disk */
    struct progress_board *progress; /* NULL: nor of runs that stand still */
    const char *allowed_addresses;   /* as host_address_is_listed takes them */
    int64_t disk_low_bytes;          /* disk_low: with less free than that; 0: never */
    int stalled_s;                   /* stalled: a run that has not moved for so long; 0: never */
};

/* STATUS_NO_MEMORY. */
enum status sender_create(const struct sender_options *options, struct sender **ret_sender,
                          struct error *error);

/* Begins to send. STATUS_IO. */
enum status sender_start(struct sender *sender, struct error *error);

/* There may be something to send: after every commit, and cheap. NULL is fine. */
void sender_poke(struct sender *sender);

/* Pokes, and returns when a round that began afterwards has ended: what was due has been tried, and
 * disk and runs looked at if it was time. Returns at once from a sender that has been asked to
 * stop. */
void sender_round(struct sender *sender);

/* Gives up what is being sent, which is sent again by the next daemon. NULL is fine, here and
 * below. */
void sender_ask_stop(struct sender *sender);
void sender_free(struct sender *sender);

#endif
