/* What clients ask for.
 *
 * Thread rule: in the driver.
 */
#ifndef CUTOUTD_TESTS_SIM_QUESTIONS_H
#define CUTOUTD_TESTS_SIM_QUESTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/queue/run_action.h"
#include "tests/sim/model.h"
#include "tests/sim/stream.h"

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

enum { BODY_SIZE = 640 };

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
    bool sets_time; /* of an edit: not_before as well */
    int64_t not_before_ms;
    bool draining;
};

/* Of all that may be asked. */
void question_choose(struct question *q, struct stream *choices);

/* It is about to be asked: tells the model what it must know before anything of it can be seen. */
void question_announce(const struct question *q);

#endif
