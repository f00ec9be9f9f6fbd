/* POST /runs/{id}/cancel, kill, pause, resume, hold, release, requeue. Layer: api. */
#include <string.h>

#include "api/routes.h"
#include "api/run_actions.h"
#include "core/base/cleanup.h"

void route_run_act(struct api_context *context, const struct request *request,
                   struct reply *reply) {
    enum run_action action = RUN_ACTION_CANCEL;
    (void)run_action_from_name(strrchr(request->url.path, '/') + 1, &action);
    CLEANUP(run_row_clear) struct run_row before = {0};
    if (!route_find_run(context, request, reply, &before)) {
        return;
    }
    struct error error;
    enum status status = run_action_apply(context, request, action, before.id, &error);
    CLEANUP(run_row_clear) struct run_row row = {0};
    struct error read_error;
    if (status != STATUS_OK && status != STATUS_CONFLICT) {
        reply_error(reply, request, &error);
    } else if (run_table_get(context->options.store, before.id, &row, &read_error) != STATUS_OK) {
        reply_error(reply, request, &read_error);
    } else if (status == STATUS_CONFLICT) {
        struct json_writer writer = {0};
        run_action_write_problem(&writer, NULL, request, action, &row, &error);
        reply_problem_end(reply, request, STATUS_CONFLICT, &writer);
    } else {
        /* 202: it runs on until it can obey. */
        route_reply_run(context, request, reply, row.state == RUN_RUNNING ? 202 : 200, &row);
    }
}
