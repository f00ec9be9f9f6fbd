/* The links that are in force: whose secret lets one read which sweep.
 *
 * Layer: daemon/work. Thread rule: sweep_links_open and _close by one thread; the others from any.
 *
 * They are kept in memory as well as in the store, so that a request is known by its secret on a
 * thread that must not wait.
 */
#ifndef CUTOUTD_DAEMON_WORK_SWEEP_LINKS_H
#define CUTOUTD_DAEMON_WORK_SWEEP_LINKS_H

#include "core/base/clock.h"
#include "daemon/config/tokens.h"
#include "daemon/store/table/link_table.h"

/* What a secret begins with; tokens begin otherwise. */
#define SWEEP_LINK_PREFIX "cutoutd-link_"

enum { SWEEP_LINKS_MOST_OF_SWEEP = 100, SWEEP_LINKS_MOST = 10000 };

struct sweep_links;

/* Reads those that have not expired. store and clock must outlive it. STATUS_NO_MEMORY, statuses of
 * the store. On success *ret_links is owned by the caller (sweep_links_close). */
enum status sweep_links_open(struct store *store, const struct clock *clock,
                             struct sweep_links **ret_links, struct error *error);

/* NULL is fine. */
void sweep_links_close(struct sweep_links *links);

/* Whether a text has the form of a secret, in force or not. */
bool sweep_links_is_secret(const char *text);

/* What the secret allows: scope read of one sweep (token_grant.sweep_id). False: it is none, it has
 * expired, or was withdrawn; *ret_grant is cleared. Takes as long for every text of the same
 * length. */
bool sweep_links_grant(struct sweep_links *links, const char *text, struct token_grant *ret_grant);

/* Whether what was granted then is still in force. */
bool sweep_links_hold(struct sweep_links *links, const struct token_grant *grant);

/* Makes one; ret_secret is told only here. owner: "" for none. STATUS_NOT_FOUND: there is no such
 * sweep; STATUS_CONFLICT: it has too many, or all have; statuses of the store. */
enum status sweep_links_add(struct sweep_links *links, int64_t sweep_id, const char *owner,
                            int64_t expires_ms, char ret_secret[TOKEN_TEXT_SIZE],
                            struct link_row *ret_row, struct error *error);

/* From its return on the secret opens nothing. STATUS_NOT_FOUND, statuses of the store. */
enum status sweep_links_withdraw(struct sweep_links *links, int64_t id, struct error *error);

/* After the deletion of the sweep, with which its links went from the store. NULL is fine. */
void sweep_links_forget_sweep(struct sweep_links *links, int64_t sweep_id);

/* Lets go of those that have expired; returns how many. */
int sweep_links_expire(struct sweep_links *links);

#endif
