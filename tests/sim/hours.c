/* Thread rule: see the header. */
#include "tests/sim/hours.h"

#include <stdio.h>
#include <string.h>

#include "tests/sim/sched.h"
#include "tests/sim/sim.h"

/* A piece of every hour and a half, day and night. */
enum { PERIOD_MIN = 90, DAY_MIN = 24 * 60, MOST_READINGS = 256 };

static const int64_t MINUTE_MS = 60000;

static int from_min;
static int n_min; /* 0: none */

/* The last reading of each task, and those that were the first quiet ones of theirs. */
static int64_t last_ms[SCHED_MOST_TASKS];
static int64_t first_quiet_ms[MOST_READINGS];
static int n_first_quiet;

void hours_choose(struct stream *choices) {
    from_min = stream_below(choices, 20);
    n_min = 5 + stream_below(choices, 40);
}

struct quiet_hours hours_of_config(void) {
    char text[512] = "";
    struct quiet_hours quiet = {.n = 0};
    struct error error;
    for (int min = from_min; n_min > 0 && min < DAY_MIN; min += PERIOD_MIN) {
        size_t used = strlen(text);
        int until = min + n_min;
        (void)snprintf(text + used, sizeof(text) - used, "%s%02d:%02d-%02d:%02d", used ? ", " : "",
                       min / 60, min % 60, until / 60, until % 60);
    }
    if (quiet_hours_parse(text, &quiet, &error) != STATUS_OK) {
        sim_fail("the simulator works", "%s: %s", text, error.message);
    }
    return quiet;
}

bool hours_hold(int64_t at_ms) {
    int64_t min = at_ms / MINUTE_MS % PERIOD_MIN;
    return min >= from_min && min < from_min + n_min;
}

int64_t hours_change(int64_t at_ms) {
    bool now = hours_hold(at_ms);
    int64_t next_ms = at_ms / MINUTE_MS * MINUTE_MS;
    do {
        next_ms += MINUTE_MS;
    } while (n_min > 0 && hours_hold(next_ms) == now);
    return n_min > 0 ? next_ms : 0;
}

void hours_on_reading(int64_t now_ms) {
    int task = sched_task_number();
    if (task < 0 || n_min == 0) {
        return;
    }
    if (hours_hold(now_ms) && last_ms[task] > 0 && !hours_hold(last_ms[task])) {
        first_quiet_ms[n_first_quiet++ % MOST_READINGS] = now_ms;
    }
    last_ms[task] = now_ms;
}

bool hours_began_meanwhile(int64_t at_ms) {
    for (int i = 0; i < n_first_quiet && i < MOST_READINGS; i++) {
        if (first_quiet_ms[i] == at_ms) {
            return true;
        }
    }
    return false;
}

void hours_reset(void) {
    memset(last_ms, 0, sizeof(last_ms));
}
