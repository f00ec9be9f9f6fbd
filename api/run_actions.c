/* Layer: api. */
#include "api/run_actions.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

enum status run_action_apply(struct api_context *context, enum run_action action, int64_t id,
                             struct error *error) {
    return pool_act(context->options.pool, action, id, error);
}

/* Succeeded runs are the one case in which another way leads where the user wants to go. */
static const char *advice(enum run_action action, const struct run_row *row) {
    if (action == RUN_ACTION_REQUEUE && row->state == RUN_SUCCEEDED) {
        return " It is complete: submit it again with another seed, or fork it.";
    }
    if (action == RUN_ACTION_PAUSE && row->state == RUN_QUEUED) {
        return " Only running runs are paused; hold keeps one in the queue.";
    }
    return "";
}

static void write_conflict(struct json_writer *writer, const char *key,
                           const struct request *request, enum run_action action,
                           const struct run_row *row) {
    char detail[320];
    (void)snprintf(detail, sizeof(detail), "Run %" PRId64 " is %s%s%s and cannot be asked to %s.%s",
                   row->id, run_state_name(row->state), row->request ? ", was asked to " : "",
                   run_request_name(row->request), run_action_rule(action)->name,
                   advice(action, row));
    problem_write_begin(writer, key, request, STATUS_CONFLICT, detail);
    json_write_string(writer, "state", run_state_name(row->state));
    json_write_array(writer, "allowed_states");
    for (int to = 0; to < RUN_STATE_COUNT; to++) {
        if (run_state_may_move(row->state, (enum run_state)to)) {
            json_write_string(writer, NULL, run_state_name((enum run_state)to));
        }
    }
    json_write_end(writer, ']');
    json_write_array(writer, "allowed_actions");
    for (int other = 0; other < RUN_ACTION_COUNT; other++) {
        if (run_action_allowed((enum run_action)other, row->state, row->request)) {
            json_write_string(writer, NULL, run_action_rule((enum run_action)other)->name);
        }
    }
    json_write_end(writer, ']');
    json_write_end(writer, '}');
}

void run_action_write_problem(struct json_writer *writer, const char *key,
                              const struct request *request, enum run_action action,
                              const struct run_row *row, const struct error *error) {
    if (error->code == STATUS_CONFLICT && row) {
        write_conflict(writer, key, request, action, row);
        return;
    }
    char detail[sizeof(error->message) + 1];
    reply_detail(request, error, detail, sizeof(detail));
    problem_write_begin(writer, key, request, error->code, detail);
    json_write_end(writer, '}');
}
