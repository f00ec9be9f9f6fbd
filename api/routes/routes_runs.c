/* POST /runs, and what the other files about runs share. Layer: api. */
#include <inttypes.h>
#include <stdio.h>

#include "api/change/admission.h"
#include "api/query/arguments.h"
#include "api/routes/routes.h"
#include "api/view/forecast.h"
#include "api/view/run_view.h"
#include "core/base/cleanup.h"
#include "daemon/queue/queue.h"
#include "daemon/spec/field_errors.h"

void route_reply_run(struct api_context *context, const struct request *request,
                     struct reply *reply, int http_status, const struct run_row *row) {
    struct json_writer writer = {.link_prefix = request->prefix};
    struct forecast forecast = {.context = context};
    forecast_write_run(&writer, &forecast, row, RUN_MEMBERS_ALL);
    reply_json(reply, request, http_status, &writer);
}

static enum status read_run(const struct api_context *context, const struct request *request,
                            struct run_row *row, struct error *error) {
    int64_t id = 0;
    TRY(request_read_id(request, "run", &id, error));
    return run_table_get(context->options.store, id, row, error);
}

bool route_read_run(struct api_context *context, const struct request *request, struct reply *reply,
                    struct run_row *ret_row) {
    struct error error;
    if (read_run(context, request, ret_row, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return false;
    }
    return true;
}

bool route_find_run(struct api_context *context, const struct request *request, struct reply *reply,
                    struct run_row *ret_row) {
    struct error error;
    if (!route_read_run(context, request, reply, ret_row)) {
        return false;
    }
    /* Everybody reads all runs; what changes one asks whose it is. */
    if (!request_only_reads(request) &&
        request_check_owner(request, ret_row->owner, "run", ret_row->id, &error) != STATUS_OK) {
        run_row_clear(ret_row);
        reply_error(reply, request, &error);
        return false;
    }
    return true;
}

/* POST /runs */

/* Whether this daemon can train the run; otherwise *reply says all that is in the way. */
static bool check_admission(const struct api_context *context, const struct request *request,
                            const struct run_spec *spec, struct admission *admission,
                            struct reply *reply) {
    struct field_errors errors = {.n = 0};
    admission_check(context, spec, admission, &errors);
    if (errors.n > 0) {
        reply_admission(reply, request, admission, &errors);
    }
    return errors.n == 0;
}

/* Stores the run; true: it is accepted, whatever happens from now on. */
static bool submit(struct api_context *context, const struct request *request,
                   const struct run_spec *spec, struct reply *reply, int64_t *ret_id) {
    CLEANUP(submission_clear) struct submission submission = {.labels_json = NULL};
    struct error error;
    enum status status = submission_make(context, request, spec, &submission, &error);
    submission.draft.idempotency = request->idempotency;
    if (status == STATUS_OK &&
        queue_submit(context->options.queue, &submission.draft, ret_id, &error) == STATUS_OK) {
        return true;
    }
    if (spec->n_after > 0 && (error.code == STATUS_NOT_FOUND || error.code == STATUS_CONFLICT)) {
        /* Only the store knows what there is to come after. */
        struct field_errors errors = {.n = 0};
        field_errors_add(&errors, "after", "%.200s.", error.message);
        reply_field_errors(reply, request, STATUS_INVALID, "run", &errors);
        return false;
    }
    reply_error(reply, request, &error);
    return false;
}

/* What POST would have taken, and what it would cost. */
static void reply_dry_run(const struct api_context *context, const struct request *request,
                          const struct run_config *config, const struct admission *admission,
                          struct reply *reply) {
    struct error error;
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    admission_write_plan(&writer, config, admission);
    if (admission_write_estimate(context, &writer, config, admission, &error) != STATUS_OK) {
        json_write_free(&writer);
        reply_error(reply, request, &error);
        return;
    }
    json_write_end(&writer, '}');
    reply_json(reply, request, 200, &writer);
}

void route_run_create(struct api_context *context, const struct request *request,
                      struct reply *reply) {
    const struct run_spec_context spec_context = run_surroundings(context);
    struct run_spec spec;
    struct admission admission;
    struct field_errors errors;
    bool dry_run = false;
    if (!arguments_read_flag(request, reply, "dry_run", &dry_run)) {
        return;
    }
    enum status status =
        run_spec_parse(request->body, request->n_body, &spec_context, &spec, &errors);
    if (status != STATUS_OK) {
        reply_field_errors(reply, request, status, "run", &errors);
        return;
    }
    int64_t id = 0;
    if (!check_admission(context, request, &spec, &admission, reply)) {
        return;
    }
    if (dry_run) {
        reply_dry_run(context, request, &spec.config, &admission, reply);
        return;
    }
    if (!submit(context, request, &spec, reply, &id)) {
        return;
    }
    CLEANUP(run_row_clear) struct run_row row = {0};
    struct error error;
    if (run_table_get(context->options.store, id, &row, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    route_reply_run(context, request, reply, 201, &row);
    (void)snprintf(reply->location, sizeof(reply->location), "/api/v1/runs/%" PRId64, id);
}
