/* The table of actions. Layer: daemon/queue. Thread rule: constants. */
#include "daemon/queue/run_action.h"

#include <string.h>

#define BIT(state) (1u << (state))
#define WAITING (BIT(RUN_QUEUED) | BIT(RUN_HELD) | BIT(RUN_PAUSED))

static const struct run_action_rule rules[RUN_ACTION_COUNT] = {
    [RUN_ACTION_CANCEL] = {.name = "cancel",
                           .from = WAITING,
                           .to = RUN_CANCELED,
                           .request = RUN_REQUEST_CANCEL,
                           .reason = "canceled by the user"},
    [RUN_ACTION_KILL] = {.name = "kill",
                         .from = WAITING,
                         .to = RUN_CANCELED,
                         .request = RUN_REQUEST_KILL,
                         .reason = "killed by the user"},
    [RUN_ACTION_PAUSE] = {.name = "pause",
                          .to = RUN_PAUSED,
                          .request = RUN_REQUEST_PAUSE,
                          .reason = "paused by the user"},
    [RUN_ACTION_RESUME] = {.name = "resume",
                           .from = BIT(RUN_PAUSED),
                           .to = RUN_QUEUED,
                           .next_attempt = true,
                           .reason = "resumed by the user"},
    [RUN_ACTION_HOLD] = {.name = "hold",
                         .from = BIT(RUN_QUEUED),
                         .to = RUN_HELD,
                         .reason = "held by the user"},
    [RUN_ACTION_RELEASE] = {.name = "release",
                            .from = BIT(RUN_HELD),
                            .to = RUN_QUEUED,
                            .reason = "released by the user"},
    [RUN_ACTION_REQUEUE] = {.name = "requeue",
                            .from = BIT(RUN_FAILED) | BIT(RUN_CANCELED),
                            .to = RUN_QUEUED,
                            .next_attempt = true,
                            .reason = "queued again by the user"},
};

const struct run_action_rule *run_action_rule(enum run_action action) {
    return &rules[action];
}

bool run_action_from_name(const char *name, enum run_action *ret) {
    for (int action = 0; action < RUN_ACTION_COUNT; action++) {
        if (strcmp(name, rules[action].name) == 0) {
            *ret = (enum run_action)action;
            return true;
        }
    }
    return false;
}

/* A stronger request replaces a weaker one; the same one again is fine. */
static int strength(enum run_request request) {
    static const int strengths[RUN_REQUEST_COUNT] = {
        [RUN_REQUEST_PAUSE] = 1, [RUN_REQUEST_CANCEL] = 2, [RUN_REQUEST_KILL] = 3};
    return strengths[request];
}

bool run_action_allowed(enum run_action action, enum run_state state, enum run_request request) {
    const struct run_action_rule *rule = &rules[action];
    if (state == RUN_RUNNING) {
        return rule->request != RUN_REQUEST_NONE && strength(rule->request) >= strength(request);
    }
    return (rule->from & BIT(state)) != 0;
}

enum run_action run_action_within_sweep(enum run_action asked, enum run_state state) {
    if (asked == RUN_ACTION_PAUSE && state == RUN_QUEUED) {
        return RUN_ACTION_HOLD;
    }
    if (asked == RUN_ACTION_RESUME && state == RUN_HELD) {
        return RUN_ACTION_RELEASE;
    }
    return asked;
}

static const struct run_action_rule *rule_of(enum run_request request) {
    const struct run_action_rule *rule = &rules[0];
    while (rule->request != request) {
        rule++;
    }
    return rule;
}

enum run_state run_request_state(enum run_request request) {
    return rule_of(request)->to;
}

const char *run_request_reason(enum run_request request) {
    return rule_of(request)->reason;
}
