/* Layer: daemon/store. Thread rule: see the header. */
#include "daemon/store/actor.h"

#include <pthread.h>

enum { BEGIN, END, N_STATEMENTS };

const struct statement_set actor_statements = {
    N_STATEMENTS,
    {
        [BEGIN] = ("INSERT INTO actor (at_ms, owner, peer, request_id, request)"
                   " VALUES (?1, ?2, ?3, ?4, ?5)"),
        [END] = "DELETE FROM actor",
    },
};

/* A key and no _Thread_local, so that tests/sim can give each of its tasks a value of its own. */
static pthread_key_t acting_for;
static pthread_once_t made = PTHREAD_ONCE_INIT;

static void make_key(void) {
    (void)pthread_key_create(&acting_for, NULL);
}

void store_act_for(const struct store_actor *actor) {
    (void)pthread_once(&made, make_key);
    (void)pthread_setspecific(acting_for, actor);
}

struct asked_body actor_ask(store_body *body, void *arguments) {
    (void)pthread_once(&made, make_key);
    return (struct asked_body){body, arguments, pthread_getspecific(acting_for)};
}

enum status actor_run(struct db *db, void *arguments, struct error *error) {
    const struct asked_body *asked = arguments;
    const struct store_actor *actor = asked->actor;
    sqlite3_stmt *statement = db_statement(db, DB_ACTOR, BEGIN);
    sqlite3_bind_int64(statement, 1, actor->at_ms);
    db_bind_text(statement, 2, actor->owner);
    db_bind_text(statement, 3, actor->peer);
    db_bind_text(statement, 4, actor->request_id);
    db_bind_text(statement, 5, actor->request);
    TRY(db_execute(db, statement, NULL, error));
    TRY(asked->body(db, asked->arguments, error));
    return db_execute(db, db_statement(db, DB_ACTOR, END), NULL, error);
}
