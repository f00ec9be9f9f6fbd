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
    struct error error;
    if (admission_check(context, request, spec, admission, &errors, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return false;
    }
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
        /* One that it comes after has ended since check_admission. */
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

/* Reads the run that is asked for. false: *reply says why this daemon would not train it. */
static bool read_spec(const struct api_context *context, const struct request *request,
                      struct run_spec *ret_spec, struct admission *ret_admission,
                      struct reply *reply) {
    const struct run_spec_context spec_context = run_surroundings(context);
    struct field_errors errors;
    enum status status =
        run_spec_parse(request->body, request->n_body, &spec_context, ret_spec, &errors);
    if (status != STATUS_OK) {
        reply_field_errors(reply, request, status, "run", &errors);
        return false;
    }
    return check_admission(context, request, ret_spec, ret_admission, reply);
}

void route_run_create(struct api_context *context, const struct request *request,
                      struct reply *reply) {
    struct run_spec spec;
    struct admission admission;
    bool dry_run = false;
    int64_t id = 0;
    if (!arguments_read_flag(request, reply, "dry_run", &dry_run) ||
        !read_spec(context, request, &spec, &admission, reply)) {
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

/* POST /runs/measure */

static void reply_speed(const struct request *request, const struct run_spec *spec,
                        const struct admission *admission, const struct executor_speed *speed,
                        struct reply *reply) {
    struct json_writer writer = {0};
    char source[96];
    (void)snprintf(source, sizeof(source), "%d step%s of %d images, timed here", speed->n_steps,
                   speed->n_steps == 1 ? "" : "s", speed->n_images);
    json_write_object(&writer, NULL);
    admission_write_times(&writer, &spec->config, admission, speed->images_per_second, source);
    json_write_int(&writer, "steps", speed->n_steps);
    json_write_int(&writer, "images_per_step", speed->n_images);
    json_write_int(&writer, "threads", speed->n_threads);
    json_write_end(&writer, '}');
    reply_json(reply, request, 200, &writer);
}

void route_run_measure(struct api_context *context, const struct request *request,
                       struct reply *reply) {
    static const double most_s = 2.0;
    struct run_spec spec;
    struct admission admission;
    struct executor_speed speed;
    struct error error;
    if (!read_spec(context, request, &spec, &admission, reply)) {
        return;
    }
    const struct executor *executor = pool_executor(context->options.pool, spec.executor);
    if (!executor->measure) {
        reply_problem(reply, request, STATUS_CONFLICT,
                      "What trains elsewhere cannot be measured from here (executor %s).",
                      executor->name);
        return;
    }
    enum status status = executor->measure(executor->user, &spec.config, most_s, &speed, &error);
    if (status == STATUS_BUSY) {
        reply_problem(reply, request, status, "Not measured: %s.", error.message);
    } else if (status != STATUS_OK) {
        reply_error(reply, request, &error);
    } else {
        reply_speed(request, &spec, &admission, &speed, reply);
    }
}
