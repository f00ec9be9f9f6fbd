/* Thread rule: see the header. */
#include "tests/sim/questions.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/time_text.h"
#include "tests/sim/model_claims.h"
#include "tests/sim/sched.h"
#include "tests/sim/sim.h"

enum { MOST_SWEEP = 3 };

struct sweep {
    int n_m; /* m from 1 on; 0: it is not in the grid */
    int n_seeds;
    int epochs;
    int eta; /* 0: no halving */
    bool by_loss;
    bool by_m;
};

static int n_names;
static int n_groups;

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

/* ---- when it may start ---- */

/* A time about now, or none: ",\"not_before\":..". */
static int64_t choose_time(struct stream *choices, char text[64]) {
    static const int minutes[] = {-60, 1, 10, 60, 120};
    char time[TIME_TEXT_SIZE];
    if (stream_chance(choices, 20)) {
        (void)snprintf(text, 64, ",\"not_before\":null");
        return 0;
    }
    int64_t ms = sched_unix_ms() + (int64_t)minutes[stream_below(choices, 5)] * 60000;
    (void)snprintf(text, 64, ",\"not_before\":\"%s\"", time_format(ms, time));
    return ms;
}

static void maybe_later(struct wanted *w, struct stream *choices, char text[64]) {
    text[0] = '\0';
    if (kinds.later && stream_chance(choices, 35)) {
        w->not_before.least_ms = choose_time(choices, text);
        w->not_before.most_ms = w->not_before.least_ms;
    }
}

/* ---- what may be asked ---- */

static void new_run(struct question *q, struct stream *choices) {
    struct wanted *w = model_want();
    char after[64] = "";
    char later[64];
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
    maybe_later(w, choices, later);
    *q = (struct question){.kind = ASK_RUN, .method = "POST", .target = "/api/v1/runs"};
    (void)snprintf(q->body, sizeof(q->body),
                   "{\"name\":\"%s\",\"dataset\":\"shapes\",\"depth\":8,\"m\":1,\"batch_size\":2,"
                   "\"epochs\":%d,\"seed\":%" PRIu64 ",\"priority\":%d,\"hold\":%s%s%s%s}",
                   w->name, w->epochs, w->seed, w->priority, w->held ? "true" : "false", after,
                   later, w->elsewhere ? ",\"executor\":\"" SIM_ELSEWHERE "\"" : "");
    q->wanted = w;
    q->n_wanted = 1;
    q->owner = w->owner;
}

/* Several values of m, those of one m ranked together or not, by what and eta of more than 2. */
static void choose_ranking(struct sweep *s, struct stream *choices) {
    s->n_m = 1 + stream_below(choices, 4);
    s->n_seeds = s->n_m > 2 ? 1 + stream_below(choices, 2) : 2 + stream_below(choices, 2);
    s->eta = 2 + stream_below(choices, 3);
    s->by_loss = stream_chance(choices, 40);
    s->by_m = s->n_m > 1 && stream_chance(choices, 70);
    s->epochs += stream_below(choices, 3);
}

/* The members of the body behind "base". */
static void write_grid(const struct sweep *s, int number, char *text, size_t size) {
    char m[64] = "";
    char seeds[64] = "";
    for (int i = 0; i < s->n_m; i++) {
        size_t used = strlen(m);
        (void)snprintf(m + used, sizeof(m) - used, "%s%d", i ? "," : "\"m\":[", i + 1);
    }
    for (int i = 0; i < s->n_seeds; i++) {
        size_t used = strlen(seeds);
        (void)snprintf(seeds + used, sizeof(seeds) - used, "%s%d", i ? "," : "", number * 10 + i);
    }
    (void)snprintf(text, size, "\"grid\":{%s%s\"seed\":[%s]}", m, s->n_m > 0 ? "]," : "", seeds);
    size_t used = strlen(text);
    if (s->eta > 0) {
        (void)snprintf(text + used, size - used, ",\"halving\":{\"first_epochs\":1,\"eta\":%d%s%s}",
                       s->eta, s->by_loss ? ",\"metric\":\"val_loss\"" : "",
                       s->by_m ? ",\"rank_by\":[\"m\"]" : "");
    }
}

static void want_child(const struct sweep *s, int number, int i, struct wanted *w) {
    uint64_t seed = (uint64_t)(number * 10 + i % s->n_seeds);
    w->m = 1 + i / s->n_seeds;
    w->seed = metric_seed(seed, w->m);
    w->owner = owner_of(number);
    w->epochs = s->epochs;
    w->group = n_groups;
    w->halving_eta = s->eta;
    w->ranked_by_loss = s->by_loss;
    w->ranked_by_m = s->by_m;
    if (s->n_m > 0) {
        (void)snprintf(w->name, sizeof(w->name), "s%d m=%d seed=%" PRIu64, number, w->m, seed);
    } else {
        (void)snprintf(w->name, sizeof(w->name), "s%d seed=%" PRIu64, number, seed);
    }
}

static void new_sweep(struct question *q, struct stream *choices) {
    char grid[256];
    int number = ++n_names;
    bool halves = stream_chance(choices, 50);
    struct sweep s = {.eta = halves ? 2 : 0};
    s.epochs = (halves ? 2 : 1) + stream_below(choices, 3);
    *q = (struct question){.kind = ASK_SWEEP, .method = "POST", .target = "/api/v1/sweeps"};
    s.n_seeds = 2 + stream_below(choices, MOST_SWEEP - 1);
    q->owner = owner_of(number);
    n_groups++;
    if (halves && kinds.ranks) {
        choose_ranking(&s, choices);
    }
    q->n_wanted = (s.n_m > 0 ? s.n_m : 1) * s.n_seeds;
    for (int i = 0; i < q->n_wanted; i++) {
        struct wanted *w = model_want();
        q->wanted = i == 0 ? w : q->wanted;
        want_child(&s, number, i, w);
    }
    write_grid(&s, number, grid, sizeof(grid));
    (void)snprintf(q->body, sizeof(q->body),
                   "{\"name\":\"s%d\",\"base\":{\"dataset\":\"shapes\",\"depth\":8,\"m\":1,"
                   "\"batch_size\":2,\"epochs\":%d},%s}",
                   number, s.epochs, grid);
}

static bool new_fork(struct question *q, struct stream *choices) {
    int64_t id = some_run(choices);
    const struct wanted *source = model_find(id);
    if (!source || source->epochs_seen == 0) {
        return false;
    }
    struct wanted *w = model_want();
    char later[64];
    (void)snprintf(w->name, sizeof(w->name), "f%d", ++n_names);
    w->seed = source->seed;
    w->owner = owner_of(n_names);
    w->epochs = source->epochs + 1;
    w->elsewhere = source->elsewhere;
    w->forked_from = id;
    maybe_later(w, choices, later);
    *q = (struct question){
        .kind = ASK_FORK, .method = "POST", .wanted = w, .n_wanted = 1, .owner = w->owner};
    (void)snprintf(q->target, sizeof(q->target), "/api/v1/runs/%" PRId64 "/fork", id);
    (void)snprintf(q->body, sizeof(q->body),
                   "{%s\"overrides\":{\"name\":\"%s\",\"priority\":0,\"epochs\":%d%s}}",
                   stream_chance(choices, 30) ? "\"from_epoch\":\"best\"," : "", w->name, w->epochs,
                   later);
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
    char later[64] = "";
    *q = (struct question){.kind = ASK_GET, .method = "GET", .id = some_run(choices)};
    (void)snprintf(q->target, sizeof(q->target), "/api/v1/runs/%" PRId64, q->id);
    if (choice < 3) {
        q->kind = ASK_EDIT;
        q->priority = stream_below(choices, 5);
        (void)snprintf(q->method, sizeof(q->method), "PATCH");
        q->sets_time = kinds.later && stream_chance(choices, 60);
        if (q->sets_time) {
            q->not_before_ms = choose_time(choices, later);
        }
        (void)snprintf(q->body, sizeof(q->body), "{\"priority\":%d%s}", q->priority, later);
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

void question_choose(struct question *q, struct stream *choices) {
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

void question_announce(const struct question *q) {
    struct wanted *w = model_find(q->id);
    for (int i = 0; i < q->n_wanted; i++) {
        q->wanted[i].refused = false; /* what was refused may be asked again under its key */
    }
    if (q->kind == ASK_DELETE) {
        model_on_deleting(q->id);
    } else if (q->kind == ASK_EDIT && q->sets_time && w) {
        start_time_ask(&w->not_before, q->not_before_ms);
    } else if (q->kind == ASK_DRAIN) {
        model_on_drain_asked();
    } else if (q->kind == ASK_ACTION && q->action == RUN_ACTION_REQUEUE && w) {
        w->requeues_asked++;
    }
}
