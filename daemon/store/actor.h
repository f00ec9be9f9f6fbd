/* Whoever asks for a write, so that the audit can tell of him (table/audit_table.h).
 *
 * Layer: daemon/store (inside of the store only). Thread rule: the actor is the thread's own.
 */
#ifndef CUTOUTD_DAEMON_STORE_ACTOR_H
#define CUTOUTD_DAEMON_STORE_ACTOR_H

#include "daemon/store/db.h"

/* A body that somebody asked for; it may run on another thread than his. actor: NULL: nobody. */
struct asked_body {
    store_body *body;
    void *arguments;
    const struct store_actor *actor;
};

/* With whom this thread acts for. */
struct asked_body actor_ask(store_body *body, void *arguments);

/* A store_body over a struct asked_body with an actor: while the body runs, table `actor` says who
 * asks. */
enum status actor_run(struct db *db, void *arguments, struct error *error);

#endif
