/* /runs: submit, cancel. Layer: api. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/routes.h"
#include "api/run_view.h"
#include "core/base/cleanup.h"
#include "daemon/field_errors.h"
#include "daemon/queue/queue.h"
#include "daemon/run_spec_json.h"

void route_write_run(struct api_context *context, struct json_writer *writer,
                     const struct run_row *row) {
    struct progress progress;
    bool running = row->state == RUN_RUNNING &&
                   progress_board_find(context->options.progress, row->id, &progress);
    run_write(writer, NULL, row, running ? &progress : NULL);
}

/* Answers with one run as it stands now. */
static void reply_run(struct api_context *context, const struct request *request,
                      struct reply *reply, int http_status, const struct run_row *row) {
    struct json_writer writer = {0};
    route_write_run(context, &writer, row);
    reply_json(reply, request, http_status, &writer);
}

bool route_find_run(struct api_context *context, const struct request *request, struct reply *reply,
                    struct run_row *ret_row) {
    int64_t id = 0;
    struct error error = {.code = STATUS_NOT_FOUND};
    if (text_to_id(request->parameters[0], INT64_MAX, &id) &&
        run_table_get(context->options.store, id, ret_row, &error) == STATUS_OK) {
        return true;
    }
    if (error.code == STATUS_NOT_FOUND) {
        reply_problem(reply, request, STATUS_NOT_FOUND, "There is no run %s.",
                      request->parameters[0]);
    } else {
        reply_error(reply, request, &error);
    }
    return false;
}

/* POST /runs */

static void reply_field_errors(struct reply *reply, const struct request *request,
                               enum status status, const struct field_errors *errors) {
    char detail[128];
    if (status == STATUS_MALFORMED) {
        (void)snprintf(detail, sizeof(detail), "The body is not a JSON object of a run.");
    } else {
        (void)snprintf(detail, sizeof(detail), "%d field%s of the run cannot be used as given.",
                       errors->n, errors->n == 1 ? "" : "s");
    }
    struct json_writer writer = {0};
    reply_problem_begin(&writer, request, status, detail);
    field_errors_write(&writer, errors);
    json_write_end(&writer, '}');
    reply_problem_end(reply, request, status, &writer);
}

static double gib(int64_t n_bytes) {
    return (double)n_bytes / (1024.0 * 1024.0 * 1024.0);
}

/* The highest m below config->m whose memory is within the limit, or 0. */
static int largest_m(const struct api_context *context, struct run_config config, int64_t limit) {
    int fits = 0;
    int too_much = config.m;
    while (too_much - fits > 1) {
        config.m = fits + (too_much - fits) / 2;
        if (trainer_memory_bytes(&config, context->options.kernels,
                                 context->options.config->threads_per_run) <= limit) {
            fits = config.m;
        } else {
            too_much = config.m;
        }
    }
    return fits;
}

/* What training takes when that is more than allowed, with an error that says how far; 0: it fits.
 */
static int64_t check_memory(const struct api_context *context, const struct run_config *config,
                            struct field_errors *errors) {
    int64_t limit = context->options.config->memory_limit_bytes;
    int64_t needed = trainer_memory_bytes(config, context->options.kernels,
                                          context->options.config->threads_per_run);
    if (needed <= limit) {
        return 0;
    }
    int fits = largest_m(context, *config, limit);
    char advice[64] = "Choose a smaller batch_size.";
    if (fits > 0) {
        (void)snprintf(advice, sizeof(advice), "m up to %d would fit.", fits);
    }
    field_errors_add(errors, fits > 0 ? "m" : "batch_size",
                     "A step of batch_size %d times m %d trains %" PRId64 " images and needs about "
                     "%.2f GiB of memory; the limit is %.2f GiB. %s",
                     config->batch_size, config->m, (int64_t)config->batch_size * config->m,
                     gib(needed), gib(limit), advice);
    return needed;
}

/* The data set must be there, and an epoch of it have at least one step. */
static void check_dataset(const struct api_context *context, const struct run_config *config,
                          struct field_errors *errors) {
    const struct dataset_registry *registry = context->options.datasets;
    struct dataset_description description = {.available = false};
    for (size_t i = 0; i < dataset_registry_count(registry); i++) {
        dataset_registry_describe(registry, i, &description);
        if (strcmp(description.name, config->dataset) == 0) {
            break;
        }
    }
    int n_train = description.n_train;
    if (config->train_images > 0 && config->train_images < n_train) {
        n_train = config->train_images;
    }
    if (!description.available) {
        field_errors_add(errors, "dataset",
                         "The data set %s cannot be read at the moment; GET /api/v1/datasets says "
                         "why.",
                         config->dataset);
    } else if (run_steps_per_epoch(config, n_train) < 1) {
        field_errors_add(errors, "batch_size",
                         "%d training images are less than one batch of %d, and this run drops the "
                         "last, smaller batch of an epoch: nothing would be trained.",
                         n_train, config->batch_size);
    }
}

/* Whether this daemon can train the run; otherwise *reply says all that is in the way. */
static bool check_means(const struct api_context *context, const struct request *request,
                        const struct run_config *config, struct reply *reply) {
    struct field_errors errors = {.n = 0};
    check_dataset(context, config, &errors);
    int64_t needed = check_memory(context, config, &errors);
    if (errors.n == 0) {
        return true;
    }
    struct json_writer writer = {0};
    reply_problem_begin(&writer, request, STATUS_INVALID,
                        needed > 0 ? "The run needs more memory than this daemon gives to a run."
                                   : "This daemon cannot train the run as given.");
    field_errors_write(&writer, &errors);
    if (needed > 0) {
        json_write_object(&writer, "memory");
        json_write_int(&writer, "needed_bytes", needed);
        json_write_int(&writer, "limit_bytes", context->options.config->memory_limit_bytes);
        json_write_end(&writer, '}');
    }
    json_write_end(&writer, '}');
    reply_problem_end(reply, request, STATUS_INVALID, &writer);
    return false;
}

/* Stores the run; true: it is accepted, whatever happens from now on. */
static bool submit(struct api_context *context, const struct request *request,
                   const struct run_spec *spec, struct reply *reply, int64_t *ret_id) {
    struct json_writer writer = {0};
    run_labels_write(&writer, NULL, spec);
    CLEANUP(free_pointer) char *labels_json = json_write_take(&writer);
    CLEANUP(free_pointer) char *config_json = run_spec_to_json(spec);
    struct error error = {.code = STATUS_NO_MEMORY, .message = "cannot write the run as JSON"};
    if (labels_json && config_json) {
        const struct run_draft draft = {.name = spec->name,
                                        .priority = spec->priority,
                                        .labels_json = labels_json,
                                        .config_json = config_json,
                                        .config = &spec->config,
                                        .owner = request->owner};
        if (queue_submit(context->options.queue, &draft, ret_id, &error) == STATUS_OK) {
            return true;
        }
    }
    reply_error(reply, request, &error);
    return false;
}

void route_run_create(struct api_context *context, const struct request *request,
                      struct reply *reply) {
    struct dataset_registry *datasets = context->options.datasets;
    const struct run_spec_context spec_context = {
        .dataset_names = dataset_registry_names(datasets),
        .n_dataset_names = dataset_registry_count(datasets),
        .default_dataset = dataset_registry_default(datasets),
        .conv_algorithm = context->options.config->conv_algorithm,
    };
    struct run_spec spec;
    struct field_errors errors;
    enum status status =
        run_spec_parse(request->body, request->n_body, &spec_context, &spec, &errors);
    if (status != STATUS_OK) {
        reply_field_errors(reply, request, status, &errors);
        return;
    }
    int64_t id = 0;
    if (!check_means(context, request, &spec.config, reply) ||
        !submit(context, request, &spec, reply, &id)) {
        return;
    }
    CLEANUP(run_row_clear) struct run_row row = {0};
    struct error error;
    if (run_table_get(context->options.store, id, &row, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    reply_run(context, request, reply, 201, &row);
    (void)snprintf(reply->location, sizeof(reply->location), "/api/v1/runs/%" PRId64, id);
}

/* POST /runs/{id}/cancel */

static void reply_conflict(struct reply *reply, const struct request *request,
                           const struct run_row *row) {
    char moves[96];
    char detail[256];
    run_state_moves_text(row->state, moves, sizeof(moves));
    (void)snprintf(detail, sizeof(detail),
                   "Run %" PRId64 " is %s and cannot be canceled; from there it may become: %s.",
                   row->id, run_state_name(row->state), moves[0] ? moves : "nothing else");
    struct json_writer writer = {0};
    reply_problem_begin(&writer, request, STATUS_CONFLICT, detail);
    json_write_string(&writer, "state", run_state_name(row->state));
    json_write_array(&writer, "allowed_states");
    for (int to = 0; to < RUN_STATE_COUNT; to++) {
        if (run_state_may_move(row->state, (enum run_state)to)) {
            json_write_string(&writer, NULL, run_state_name((enum run_state)to));
        }
    }
    json_write_end(&writer, ']');
    json_write_end(&writer, '}');
    reply_problem_end(reply, request, STATUS_CONFLICT, &writer);
}

void route_run_cancel(struct api_context *context, const struct request *request,
                      struct reply *reply) {
    CLEANUP(run_row_clear) struct run_row before = {0};
    if (!route_find_run(context, request, reply, &before)) {
        return;
    }
    struct error error;
    enum status status = pool_cancel(context->options.pool, before.id, &error);
    CLEANUP(run_row_clear) struct run_row row = {0};
    struct error read_error;
    if (status != STATUS_OK && status != STATUS_CONFLICT) {
        reply_error(reply, request, &error);
    } else if (run_table_get(context->options.store, before.id, &row, &read_error) != STATUS_OK) {
        reply_error(reply, request, &read_error);
    } else if (status == STATUS_CONFLICT) {
        reply_conflict(reply, request, &row);
    } else {
        /* 202: it runs on until its checkpoint is written. */
        reply_run(context, request, reply, row.state == RUN_RUNNING ? 202 : 200, &row);
    }
}
