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
#include "tests/sim/model.h"
#include "tests/sim/process.h"
#include "tests/sim/sched.h"
#include "tests/sim/sim.h"

enum { N_CLIENTS = 3, MOST_KEYED = 64, MOST_SWEEP = 3, BODY_SIZE = 512 };

enum ask_kind {
    ASK_RUN,
    ASK_SWEEP,
    ASK_FORK,
    ASK_ACTION,
    ASK_DELETE,
    ASK_EDIT,
    ASK_GET,
    ASK_DRAIN,
    ASK_PURGE,
};

struct question {
    enum ask_kind kind;
    char method[8];
    char target[96];
    char body[BODY_SIZE];
    char key[32];          /* "": none */
    struct wanted *wanted; /* [n_wanted] */
    int n_wanted;
    int64_t id;
    int owner; /* who asks */
    enum run_action action;
    int priority;
    bool draining;
};

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
static int n_names;
static int n_groups;
static bool stopping; /* an event as well */

/* ---- what may be asked ---- */

static int64_t some_run(struct stream *choices) {
    int64_t last = model_last_id();
    int64_t first = last > 8 && stream_chance(choices, 80) ? last - 8 : 1;
    return last == 0 ? 1 : first + stream_below(choices, (int)(last - first + 1));
}

/* "hold" only where it may become of use: a stopped queue tells nothing. */
static enum run_action some_action(struct stream *choices) {
    static const enum run_action actions[] = {
        RUN_ACTION_CANCEL, RUN_ACTION_KILL,    RUN_ACTION_PAUSE,   RUN_ACTION_PAUSE,
        RUN_ACTION_RESUME, RUN_ACTION_RESUME,  RUN_ACTION_HOLD,    RUN_ACTION_RELEASE,
        RUN_ACTION_HOLD,   RUN_ACTION_RELEASE, RUN_ACTION_REQUEUE, RUN_ACTION_REQUEUE};
    return actions[stream_below(choices, sizeof(actions) / sizeof(actions[0]))];
}

static int owner_of(int number) {
    return (int)(mix((uint64_t)number + 1234) % SIM_OWNERS);
}

static void new_run(struct question *q, struct stream *choices) {
    struct wanted *w = model_want();
    char after[64] = "";
    int number = ++n_names;
    (void)snprintf(w->name, sizeof(w->name), "r%d", number);
    w->seed = mix((uint64_t)number) % 1000000;
    w->owner = owner_of(number);
    w->epochs = 1 + stream_below(choices, 5);
    w->priority = stream_below(choices, 3);
    w->elsewhere = kinds.elsewhere && stream_chance(choices, 40);
    w->held = stream_chance(choices, 8);
    if (model_last_id() > 0 && stream_chance(choices, 20)) {
        w->after[w->n_after++] = some_run(choices);
        (void)snprintf(after, sizeof(after), ",\"after\":[\"%" PRId64 "\"]", w->after[0]);
    }
    *q = (struct question){.kind = ASK_RUN, .method = "POST", .target = "/api/v1/runs"};
    (void)snprintf(q->body, sizeof(q->body),
                   "{\"name\":\"%s\",\"dataset\":\"shapes\",\"depth\":8,\"m\":1,\"batch_size\":2,"
                   "\"epochs\":%d,\"seed\":%" PRIu64 ",\"priority\":%d,\"hold\":%s%s%s}",
                   w->name, w->epochs, w->seed, w->priority, w->held ? "true" : "false", after,
                   w->elsewhere ? ",\"executor\":\"" SIM_ELSEWHERE "\"" : "");
    q->wanted = w;
    q->n_wanted = 1;
    q->owner = w->owner;
}

static void new_sweep(struct question *q, struct stream *choices) {
    char seeds[64] = "";
    int number = ++n_names;
    bool halves = stream_chance(choices, 50);
    int epochs = (halves ? 2 : 1) + stream_below(choices, 3);
    *q = (struct question){.kind = ASK_SWEEP, .method = "POST", .target = "/api/v1/sweeps"};
    q->n_wanted = 2 + stream_below(choices, MOST_SWEEP - 1);
    q->owner = owner_of(number);
    n_groups++;
    for (int i = 0; i < q->n_wanted; i++) {
        struct wanted *w = model_want();
        size_t used = strlen(seeds);
        q->wanted = i == 0 ? w : q->wanted;
        w->seed = (uint64_t)(number * 10 + i);
        w->owner = owner_of(number);
        w->epochs = epochs;
        w->group = n_groups;
        w->halving_eta = halves ? 2 : 0;
        (void)snprintf(w->name, sizeof(w->name), "s%d seed=%" PRIu64, number, w->seed);
        (void)snprintf(seeds + used, sizeof(seeds) - used, "%s%" PRIu64, i ? "," : "", w->seed);
    }
    (void)snprintf(q->body, sizeof(q->body),
                   "{\"name\":\"s%d\",\"base\":{\"dataset\":\"shapes\",\"depth\":8,\"m\":1,"
                   "\"batch_size\":2,\"epochs\":%d},\"grid\":{\"seed\":[%s]}%s}",
                   number, epochs, seeds,
                   halves ? ",\"halving\":{\"first_epochs\":1,\"eta\":2}" : "");
}

static bool new_fork(struct question *q, struct stream *choices) {
    int64_t id = some_run(choices);
    const struct wanted *source = model_find(id);
    if (!source || source->epochs_seen == 0) {
        return false;
    }
    struct wanted *w = model_want();
    (void)snprintf(w->name, sizeof(w->name), "f%d", ++n_names);
    w->seed = source->seed;
    w->owner = owner_of(n_names);
    w->epochs = source->epochs + 1;
    w->elsewhere = source->elsewhere;
    w->forked_from = id;
    *q = (struct question){
        .kind = ASK_FORK, .method = "POST", .wanted = w, .n_wanted = 1, .owner = w->owner};
    (void)snprintf(q->target, sizeof(q->target), "/api/v1/runs/%" PRId64 "/fork", id);
    (void)snprintf(q->body, sizeof(q->body),
                   "{%s\"overrides\":{\"name\":\"%s\",\"priority\":0,\"epochs\":%d}}",
                   stream_chance(choices, 30) ? "\"from_epoch\":\"best\"," : "", w->name,
                   w->epochs);
    return true;
}

static void new_action(struct question *q, struct stream *choices) {
    *q = (struct question){.kind = ASK_ACTION, .method = "POST", .id = some_run(choices)};
    q->action = some_action(choices);
    (void)snprintf(q->target, sizeof(q->target), "/api/v1/runs/%" PRId64 "/%s", q->id,
                   run_action_rule(q->action)->name);
}

static void new_other(struct question *q, struct stream *choices) {
    int choice = stream_below(choices, 10);
    *q = (struct question){.kind = ASK_GET, .method = "GET", .id = some_run(choices)};
    (void)snprintf(q->target, sizeof(q->target), "/api/v1/runs/%" PRId64, q->id);
    if (choice < 3) {
        q->kind = ASK_EDIT;
        q->priority = stream_below(choices, 5);
        (void)snprintf(q->method, sizeof(q->method), "PATCH");
        (void)snprintf(q->body, sizeof(q->body), "{\"priority\":%d}", q->priority);
    } else if (choice < 5) {
        q->kind = ASK_DELETE;
        (void)snprintf(q->method, sizeof(q->method), "DELETE");
    } else if (choice < 6) {
        q->kind = ASK_DRAIN;
        q->draining = stream_chance(choices, 40);
        (void)snprintf(q->method, sizeof(q->method), "POST");
        (void)snprintf(q->target, sizeof(q->target), "/api/v1/scheduler/%s",
                       q->draining ? "drain" : "resume");
    } else if (choice < 7) {
        q->kind = ASK_PURGE;
        (void)snprintf(q->method, sizeof(q->method), "POST");
        (void)snprintf(q->target, sizeof(q->target), "/api/v1/admin/purge");
        (void)snprintf(q->body, sizeof(q->body), "{\"older_than_days\":0}");
    }
}

static void new_question(struct question *q, struct stream *choices) {
    int choice = stream_below(choices, 100);
    if (choice < 40 || model_last_id() == 0) {
        new_run(q, choices);
    } else if (choice < 46) {
        new_sweep(q, choices);
    } else if (choice < 52) {
        if (!new_fork(q, choices)) {
            new_action(q, choices);
        }
    } else if (choice < 78) {
        new_action(q, choices);
    } else {
        new_other(q, choices);
    }
}

/* What the model must know before anything of it can be seen. */
static void announce(const struct question *q) {
    struct wanted *w = model_find(q->id);
    for (int i = 0; i < q->n_wanted; i++) {
        q->wanted[i].refused = false; /* what was refused may be asked again under its key */
    }
    if (q->kind == ASK_DELETE) {
        model_on_deleting(q->id);
    } else if (q->kind == ASK_DRAIN) {
        model_on_drain_asked();
    } else if (q->kind == ASK_ACTION && q->action == RUN_ACTION_REQUEUE && w) {
        w->requeues_asked++;
    }
}

static struct client *find_idle(void) {
    for (int i = 0; i < N_CLIENTS; i++) {
        if (!clients[i].busy && clients[i].task) {
            return &clients[i];
        }
    }
    return NULL;
}

static void give(struct client *c) {
    announce(&c->question);
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
        new_question(&c->question, choices);
        if (strcmp(c->question.method, "POST") == 0 && n_keyed < MOST_KEYED &&
            stream_chance(choices, 40)) {
            c->keyed = &keyed[n_keyed++];
            (void)snprintf(c->question.key, sizeof(c->question.key), "k%d", n_keyed);
            *c->keyed = (struct keyed){.question = c->question};
        }
    }
    give(c);
}

bool clients_release(void) {
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
        if (next > 0 && (!w || w->deleted || (w->state != RUN_HELD && w->state != RUN_PAUSED))) {
            continue;
        }
        *q = (struct question){.kind = ASK_DRAIN, .method = "POST", .id = next};
        if (next == 0) {
            (void)snprintf(q->target, sizeof(q->target), "/api/v1/scheduler/resume");
        } else {
            q->kind = ASK_ACTION;
            q->action = w->state == RUN_HELD ? RUN_ACTION_RELEASE : RUN_ACTION_RESUME;
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

static void on_refusal(const struct question *q, const struct reply *reply) {
    const struct wanted *w = model_find(q->id);
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
        on_refusal(q, &reply);
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
