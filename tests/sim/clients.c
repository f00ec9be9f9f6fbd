/* Thread rule: one thread; client_main is a task.
 *
 * What a client is about to ask is chosen by the driver (clients_ask) and carried out by a task of
 * the process, so that requests meet each other and everything else. */
#include "tests/sim/clients.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/access.h"
#include "api/router.h"
#include "daemon/queue/run_action.h"
#include "tests/sim/model_claims.h"
#include "tests/sim/process.h"
#include "tests/sim/questions.h"
#include "tests/sim/sched.h"
#include "tests/sim/sim.h"

enum { N_CLIENTS = 3, MOST_KEYED = 64 };

/* What was answered to a key, as far as somebody heard it. */
struct keyed {
    struct question question;
    bool answered;
    int http_status;
    char location[64];
    uint64_t body_hash; /* of actions, whose answers are stored as they were */
};

struct client {
    bool busy;
    struct question question;
    struct keyed *keyed; /* NULL: without a key */
    bool repeats;
    struct task *task;
};

static struct client clients[N_CLIENTS];
static struct keyed keyed[MOST_KEYED];
static int n_keyed;
static bool stopping; /* an event as well */

static struct client *find_idle(void) {
    for (int i = 0; i < N_CLIENTS; i++) {
        if (!clients[i].busy && clients[i].task) {
            return &clients[i];
        }
    }
    return NULL;
}

static void give(struct client *c) {
    question_announce(&c->question);
    sim_tell("  client %d: %s %s %s%s%s%s", (int)(c - clients), c->question.method,
             c->question.target, c->question.body, c->question.key[0] ? " key " : "",
             c->question.key, c->repeats ? " again" : "");
    c->busy = true;
    sched_signal(c);
}

void clients_ask(struct stream *choices) {
    struct client *c = find_idle();
    if (!c) {
        return;
    }
    c->keyed = NULL;
    c->repeats = n_keyed > 0 && stream_chance(choices, 15);
    if (c->repeats) {
        c->keyed = &keyed[stream_below(choices, n_keyed)];
        c->question = c->keyed->question;
    } else {
        question_choose(&c->question, choices);
        if (strcmp(c->question.method, "POST") == 0 && n_keyed < MOST_KEYED &&
            stream_chance(choices, 40)) {
            c->keyed = &keyed[n_keyed++];
            (void)snprintf(c->question.key, sizeof(c->question.key), "k%d", n_keyed);
            *c->keyed = (struct keyed){.question = c->question};
        }
    }
    give(c);
}

/* RUN_ACTION_COUNT: none. */
static enum run_action releasing_action(const struct wanted *w, bool stuck) {
    if (w->state == RUN_HELD) {
        return RUN_ACTION_RELEASE;
    }
    if (w->state == RUN_PAUSED) {
        return RUN_ACTION_RESUME;
    }
    const struct wanted *before = w->n_after > 0 ? model_find(w->after[0]) : NULL;
    return stuck && w->state == RUN_QUEUED && before && before->state == RUN_PAUSED
               ? RUN_ACTION_CANCEL
               : RUN_ACTION_COUNT;
}

bool clients_release(bool stuck) {
    static int next;
    struct client *c = find_idle();
    if (!c) {
        return false;
    }
    struct question *q = &c->question;
    c->keyed = NULL;
    c->repeats = false;
    for (int i = 0; i <= (int)model_last_id(); i++) {
        next = next >= (int)model_last_id() ? 0 : next + 1;
        const struct wanted *w = model_find(next);
        enum run_action action = RUN_ACTION_COUNT;
        if (next > 0 && w && !w->deleted) {
            action = releasing_action(w, stuck);
        }
        if (next > 0 && action == RUN_ACTION_COUNT) {
            continue;
        }
        *q = (struct question){.kind = ASK_DRAIN, .method = "POST", .id = next};
        if (next == 0) {
            (void)snprintf(q->target, sizeof(q->target), "/api/v1/scheduler/resume");
        } else {
            q->kind = ASK_ACTION;
            q->action = action;
            (void)snprintf(q->target, sizeof(q->target), "/api/v1/runs/%d/%s", next,
                           run_action_rule(q->action)->name);
        }
        give(c);
        return true;
    }
    return true;
}

/* ---- asking ---- */

/* In the place of tokens: everybody is who he says he is, and may do everything. */
bool __wrap_access_grant(const struct api_context *context, struct request *request,
                         enum scope needed, struct reply *reply);
bool __wrap_access_grant(const struct api_context *context, struct request *request,
                         enum scope needed, struct reply *reply) {
    (void)context;
    (void)needed;
    (void)reply;
    (void)snprintf(request->owner, sizeof(request->owner), "%.32s", request->authorization);
    request->scope = SCOPE_ADMIN;
    return true;
}

static struct reply ask(const struct question *q) {
    static const char *const names[SIM_OWNERS] = {"", "anna", "bert"};
    struct request request = {.body = q->body, .n_body = strlen(q->body)};
    struct reply reply = {0};
    struct error error = {.message = ""};
    (void)snprintf(request.method, sizeof(request.method), "%s", q->method);
    (void)snprintf(request.idempotency_key, sizeof(request.idempotency_key), "%s", q->key);
    (void)snprintf(request.authorization, sizeof(request.authorization), "%s", names[q->owner]);
    if (url_parse(q->target, &request.url, &error) != STATUS_OK) {
        sim_fail("the simulator works", "%s: %s", q->target, error.message);
    }
    router_dispatch(process_context(), &request, &reply);
    return reply;
}

static bool has_faults(void) {
    return kinds.fails_once || kinds.fails_long || kinds.disk_full || kinds.reads_fail;
}

static int64_t number_behind(const char *body, const char *name) {
    const char *at = body ? strstr(body, name) : NULL;
    return at ? strtoll(at + strlen(name), NULL, 10) : -1;
}

static void on_action(const struct question *q, const struct reply *reply, int64_t behind) {
    struct wanted *w = model_find(q->id);
    bool seen = model_look(false);
    if (!w || !seen || reply->replayed) {
        return;
    }
    if (reply->http_status == 202) {
        if (w->state == RUN_RUNNING && number_behind(reply->body, "\"attempt\":") == w->attempt) {
            w->request = run_action_rule(q->action)->request;
        }
    } else if (!model_has_state_event(q->id, run_action_rule(q->action)->to, behind) &&
               !w->deleting) {
        sim_fail("nothing is answered before it is stored", "run %" PRId64 " was told to %s: %d",
                 q->id, run_action_rule(q->action)->name, reply->http_status);
    }
}

static void on_success(const struct question *q, const struct reply *reply, int64_t behind) {
    const struct wanted *w = model_find(q->id);
    switch (q->kind) {
    case ASK_RUN:
    case ASK_SWEEP:
    case ASK_FORK:
        model_on_accepted(q->wanted, q->n_wanted,
                          q->kind == ASK_SWEEP ? 0 : number_behind(reply->location, "/runs/"),
                          reply->location);
        break;
    case ASK_ACTION:
        on_action(q, reply, behind);
        break;
    case ASK_DELETE:
        model_on_deleted(q->id);
        break;
    case ASK_EDIT:
        if (model_look(false) && !model_has_edit_event(q->id, q->priority, behind) && w &&
            !w->deleting) {
            sim_fail("nothing is answered before it is stored", "%s %s", q->target, q->body);
        }
        break;
    case ASK_DRAIN:
    case ASK_GET:
    case ASK_PURGE:
        break;
    }
}

/* Only where its owner had as many in the queue as it may, at some moment since it was asked. */
static void on_over_limit(const struct question *q, const struct reply *reply, int owner,
                          int64_t behind) {
    int n_more = q->n_wanted > 0 ? q->n_wanted : 1;
    if (reply->http_status != 409 || kinds.max_queued == 0 ||
        (model_look(false) && model_most_waiting(owner, behind) + n_more <= kinds.max_queued)) {
        sim_fail("what is within a limit is taken", "%s: %d, %d of at most %d waited: %s",
                 q->target, reply->http_status, model_most_waiting(owner, behind), kinds.max_queued,
                 reply->body);
    }
}

static void on_refusal(const struct question *q, const struct reply *reply, int64_t behind) {
    const struct wanted *w = model_find(q->id);
    if (reply->body && strstr(reply->body, "max_queued allows")) {
        on_over_limit(q, reply, q->n_wanted > 0 ? q->owner : w->owner, behind);
        if (!q->key[0]) { /* the same key may be taken meanwhile */
            model_on_refused(q->wanted, q->n_wanted);
        }
    }
    /* 404: somebody deleted it between its commit and the answer, or the source of a fork. */
    if (q->n_wanted > 0 && reply->http_status != 409 && reply->http_status != 404) {
        if (q->kind != ASK_FORK && q->wanted->n_after == 0) {
            sim_fail("a good request is taken", "%s: %d %s", q->target, reply->http_status,
                     reply->body ? reply->body : "");
        }
        model_on_refused(q->wanted, q->n_wanted);
    }
    if (reply->http_status == 404 && w && w->id > 0 && !w->deleting) {
        sim_fail("an accepted run is there", "%s: 404", q->target);
    }
}

/* The same key, the same answer. An answer that nobody heard is heard now. */
static void on_keyed(struct keyed *k, const struct reply *reply) {
    uint64_t hash = 0;
    for (const char *c = reply->body; c && *c && k->question.kind == ASK_ACTION; c++) {
        hash = mix(hash ^ (unsigned char)*c);
    }
    if (reply->http_status / 100 != 2) {
        return;
    }
    if (k->answered && (k->http_status != reply->http_status || k->body_hash != hash ||
                        strcmp(k->location, reply->location) != 0)) {
        sim_fail("the same key gives the same answer", "%s %s: %d %s, and before %d %s",
                 k->question.key, k->question.target, reply->http_status, reply->location,
                 k->http_status, k->location);
    }
    k->answered = true;
    k->http_status = reply->http_status;
    k->body_hash = hash;
    (void)snprintf(k->location, sizeof(k->location), "%s", reply->location);
}

static void carry_out(struct client *c) {
    const struct question *q = &c->question;
    int64_t behind = model_newest_event();
    struct reply reply = ask(q);
    int class = reply.http_status / 100;
    sim_tell("  client %d: %s %s: %d %s%s", (int)(c - clients), q->method, q->target,
             reply.http_status, reply.location, reply.replayed ? " (replayed)" : "");
    if (class == 5 && !has_faults()) {
        sim_fail("a good request is taken", "%s %s: %d %s", q->method, q->target, reply.http_status,
                 reply.body ? reply.body : "");
    }
    if (q->kind == ASK_DRAIN) {
        model_on_drain_answered(class == 2 && !reply.replayed ? q->draining : -1);
    }
    if (c->keyed) {
        on_keyed(c->keyed, &reply);
    }
    if (class == 2) {
        on_success(q, &reply, behind);
    } else if (class == 4 && !c->repeats) {
        on_refusal(q, &reply, behind);
    }
    if (q->kind == ASK_EDIT && q->sets_time && model_find(q->id)) {
        bool done = class == 2 && model_look(false);
        start_time_answer(&model_find(q->id)->not_before, q->not_before_ms, done);
    }
    reply_clear(&reply);
    c->busy = false;
}

static void *client_main(void *user) {
    struct client *c = user;
    while (!stopping) {
        if (c->busy) {
            carry_out(c);
        } else {
            (void)sched_wait(c, (double)INFINITY);
        }
    }
    return NULL;
}

void clients_start(void) {
    stopping = false;
    for (int i = 0; i < N_CLIENTS; i++) {
        clients[i].busy = false;
        clients[i].task = sched_spawn(client_main, &clients[i]);
    }
}

void clients_stop(void) {
    stopping = true;
    for (int i = 0; i < N_CLIENTS; i++) {
        struct task *task = clients[i].task;
        clients[i].task = NULL;
        if (task) {
            sched_signal(&clients[i]);
            (void)sched_join(task);
        }
    }
}

void clients_reset(void) {
    for (int i = 0; i < N_CLIENTS; i++) {
        clients[i] = (struct client){.busy = false};
    }
}
