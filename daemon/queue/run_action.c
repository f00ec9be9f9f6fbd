/* The table of actions. Layer: daemon/queue. Thread rule: constants. */
#include "daemon/queue/run_action.h"

#include <stdio.h>
#include <string.h>

#define BIT(state) (1u << (state))

struct action_rule {
    const char *name;
    unsigned from; /* bits of states */
    enum run_state to;
    const char *reason;
};

#define NOT_FINAL (BIT(RUN_QUEUED) | BIT(RUN_HELD) | BIT(RUN_RUNNING) | BIT(RUN_PAUSED))

static const struct action_rule rules[RUN_ACTION_COUNT] = {
    [RUN_ACTION_CANCEL] = {"cancel", NOT_FINAL, RUN_CANCELED, "canceled by the user"},
    [RUN_ACTION_KILL] = {"kill", NOT_FINAL, RUN_CANCELED, "killed by the user"},
    [RUN_ACTION_PAUSE] = {"pause", BIT(RUN_RUNNING), RUN_PAUSED, "paused by the user"},
    [RUN_ACTION_RESUME] = {"resume", BIT(RUN_PAUSED), RUN_QUEUED, "resumed by the user"},
    [RUN_ACTION_HOLD] = {"hold", BIT(RUN_QUEUED), RUN_HELD, "held by the user"},
    [RUN_ACTION_RELEASE] = {"release", BIT(RUN_HELD), RUN_QUEUED, ""},
    [RUN_ACTION_REQUEUE] = {"requeue", BIT(RUN_FAILED) | BIT(RUN_CANCELED), RUN_QUEUED,
                            "requeued by the user"},
};

const char *run_action_name(enum run_action action) {
    return rules[action].name;
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

bool run_action_is_allowed(enum run_action action, enum run_state state) {
    return (rules[action].from & BIT(state)) != 0;
}

enum run_state run_action_target(enum run_action action) {
    return rules[action].to;
}

const char *run_action_reason(enum run_action action) {
    return rules[action].reason;
}

void run_action_allowed_text(enum run_state state, char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (int action = 0; action < RUN_ACTION_COUNT && used < size; action++) {
        if (run_action_is_allowed((enum run_action)action, state)) {
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
                                     rules[action].name);
        }
    }
}
