/* The table of legal moves. Layer: daemon/store. Thread rule: constants. */
#include "daemon/store/run_state.h"

#include <stdio.h>
#include <string.h>

#define BIT(state) (1u << (state))

struct state_rule {
    const char *name;
    unsigned moves; /* bits of the states it may move to */
    bool final;
};

static const struct state_rule rules[RUN_STATE_COUNT] = {
    [RUN_QUEUED] = {"queued",
                    BIT(RUN_RUNNING) | BIT(RUN_HELD) | BIT(RUN_FAILED) | BIT(RUN_CANCELED), false},
    [RUN_HELD] = {"held", BIT(RUN_QUEUED) | BIT(RUN_FAILED) | BIT(RUN_CANCELED), false},
    [RUN_RUNNING] = {"running",
                     BIT(RUN_QUEUED) | BIT(RUN_PAUSED) | BIT(RUN_SUCCEEDED) | BIT(RUN_FAILED) |
                         BIT(RUN_CANCELED),
                     false},
    [RUN_PAUSED] = {"paused", BIT(RUN_QUEUED) | BIT(RUN_CANCELED), false},
    [RUN_SUCCEEDED] = {"succeeded", BIT(RUN_QUEUED), true},
    [RUN_FAILED] = {"failed", BIT(RUN_QUEUED), true},
    [RUN_CANCELED] = {"canceled", BIT(RUN_QUEUED), true},
};

const char *run_state_name(enum run_state state) {
    return rules[state].name;
}

bool run_state_from_name(const char *name, enum run_state *ret) {
    for (int state = 0; state < RUN_STATE_COUNT; state++) {
        if (strcmp(name, rules[state].name) == 0) {
            *ret = (enum run_state)state;
            return true;
        }
    }
    return false;
}

bool run_state_may_move(enum run_state from, enum run_state to) {
    return (rules[from].moves & BIT(to)) != 0;
}

bool run_state_is_final(enum run_state state) {
    return rules[state].final;
}

void run_state_moves_text(enum run_state from, char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (int to = 0; to < RUN_STATE_COUNT && used < size; to++) {
        if (run_state_may_move(from, (enum run_state)to)) {
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
                                     rules[to].name);
        }
    }
}
