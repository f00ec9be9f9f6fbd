/* /runs: submit, list, look at. Layer: api. */
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

enum { LIST_LIMIT_DEFAULT = 50, LIST_LIMIT_MOST = 500 };

void route_reply_run(struct api_context *context, const struct request *request,
                     struct reply *reply, int http_status, const struct run_row *row) {
    struct progress progress;
    bool running = row->state == RUN_RUNNING &&
                   progress_board_find(context->options.progress, row->id, &progress);
    struct json_writer writer = {0};
    run_write(&writer, NULL, row, running ? &progress : NULL);
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
    route_reply_run(context, request, reply, 201, &row);
    (void)snprintf(reply->location, sizeof(reply->location), "/api/v1/runs/%" PRId64, id);
}

/* GET /runs */

/* state=queued,running. */
static bool read_states(const struct request *request, struct reply *reply,
                        struct run_filter *filter) {
    const char *text = url_argument(&request->url, "state");
    while (text && *text) {
        char name[16] = "";
        size_t n = strcspn(text, ",");
        enum run_state state;
        if (n < sizeof(name)) {
            memcpy(name, text, n);
        }
        if (!run_state_from_name(name, &state)) {
            reply_bad_argument(reply, request, "state",
                               "state must be some of queued, held, running, paused, succeeded, "
                               "failed, canceled, with commas in between.");
            return false;
        }
        filter->states |= 1u << state;
        text += n;
        text += *text == ',';
    }
    return true;
}

/* m=4,8,16. */
static bool read_values(const struct request *request, struct reply *reply, const char *name,
                        int most, struct run_filter_values *values) {
    const char *text = url_argument(&request->url, name);
    while (text && *text) {
        char number[8] = "";
        size_t n = strcspn(text, ",");
        int64_t value = 0;
        if (n < sizeof(number)) {
            memcpy(number, text, n);
        }
        if (values->n == RUN_FILTER_MAX_VALUES || !text_to_count(number, most, &value)) {
            reply_bad_argument(reply, request, name,
                               "%s must be at most %d whole numbers from 0 to %d, with commas in "
                               "between.",
                               name, RUN_FILTER_MAX_VALUES, most);
            return false;
        }
        values->values[values->n++] = (int)value;
        text += n;
        text += *text == ',';
    }
    return true;
}

static bool read_count(const struct request *request, struct reply *reply, const char *name,
                       int64_t most, int64_t *value) {
    const char *text = url_argument(&request->url, name);
    if (text && !text_to_count(text, most, value)) {
        reply_bad_argument(reply, request, name, "%s must be a whole number from 0 to %" PRId64 ".",
                           name, most);
        return false;
    }
    return true;
}

static bool read_filter(const struct request *request, struct reply *reply,
                        struct run_filter *ret_filter) {
    static const char *const known[] = {"state", "m", "cutout_size", "limit", "cursor"};
    for (int i = 0; i < request->url.n_arguments; i++) {
        bool found = false;
        for (size_t j = 0; j < sizeof(known) / sizeof(known[0]); j++) {
            found |= strcmp(request->url.arguments[i].name, known[j]) == 0;
        }
        if (!found) {
            reply_bad_argument(reply, request, request->url.arguments[i].name,
                               "Runs can be asked for by state, m, cutout_size, limit and "
                               "cursor.");
            return false;
        }
    }
    int64_t limit = LIST_LIMIT_DEFAULT;
    int64_t before_id = 0;
    *ret_filter = (struct run_filter){0};
    if (!read_states(request, reply, ret_filter) ||
        !read_values(request, reply, "m", 1024, &ret_filter->m) ||
        !read_values(request, reply, "cutout_size", 64, &ret_filter->cutout_size) ||
        !read_count(request, reply, "limit", LIST_LIMIT_MOST, &limit) ||
        !read_count(request, reply, "cursor", INT64_MAX, &before_id)) {
        return false;
    }
    ret_filter->limit = limit > 0 ? (int)limit : 1;
    ret_filter->before_id = before_id;
    return true;
}

void route_run_list(struct api_context *context, const struct request *request,
                    struct reply *reply) {
    struct run_filter filter;
    if (!read_filter(request, reply, &filter)) {
        return;
    }
    CLEANUP(run_list_clear) struct run_list list = {0};
    struct error error;
    if (run_table_list(context->options.store, &filter, &list, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_array(&writer, "items");
    for (size_t i = 0; i < list.n; i++) {
        struct progress progress;
        bool running = list.rows[i].state == RUN_RUNNING &&
                       progress_board_find(context->options.progress, list.rows[i].id, &progress);
        run_write(&writer, NULL, &list.rows[i], running ? &progress : NULL);
    }
    json_write_end(&writer, ']');
    char cursor[24];
    bool more = list.more && list.n > 0;
    (void)snprintf(cursor, sizeof(cursor), "%" PRId64, more ? list.rows[list.n - 1].id : 0);
    json_write_string(&writer, "next_cursor", more ? cursor : NULL);
    json_write_end(&writer, '}');
    reply_json(reply, request, 200, &writer);
}

/* GET /runs/{id} */

void route_run_get(struct api_context *context, const struct request *request,
                   struct reply *reply) {
    CLEANUP(run_row_clear) struct run_row row = {0};
    if (!route_find_run(context, request, reply, &row)) {
        return;
    }
    char etag[sizeof(reply->etag)] = "";
    if (row.state != RUN_RUNNING) {
        /* A running run's progress changes without a new revision. */
        (void)snprintf(etag, sizeof(etag), "W/\"%" PRId64 "-%" PRId64 "\"", row.id, row.revision);
    }
    if (etag[0] && request_has_tag(request, etag)) {
        reply->http_status = 304;
    } else {
        route_reply_run(context, request, reply, 200, &row);
    }
    memcpy(reply->etag, etag, sizeof(etag));
}
