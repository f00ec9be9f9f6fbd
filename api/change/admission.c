/* Layer: api. */
#include "api/change/admission.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "daemon/spec/field_errors.h"
#include "daemon/spec/run_spec_json.h"
#include "daemon/store/table/after_table.h"
#include "daemon/store/table/run_table.h"
#include "daemon/store/table/webhook_table.h"
#include "daemon/work/health.h"

struct run_spec_context run_surroundings(const struct api_context *context) {
    const struct dataset_registry *datasets = context->options.datasets;
    size_t n_executors = 0;
    const char *const *executors = pool_executor_names(context->options.pool, &n_executors);
    return (struct run_spec_context){
        .dataset_names = dataset_registry_names(datasets),
        .n_dataset_names = dataset_registry_count(datasets),
        .default_dataset = dataset_registry_default(datasets),
        .executor_names = executors,
        .n_executor_names = n_executors,
        .conv_algorithm = api_config(context)->conv_algorithm,
    };
}

static double gib(int64_t n_bytes) {
    return (double)n_bytes / (1024.0 * 1024.0 * 1024.0);
}

/* The highest m below config->m whose memory is within the limit, or 0. */
static int largest_m(const struct executor *executor, struct run_config config, int64_t limit) {
    struct executor_admission admission;
    int fits = 0;
    int too_much = config.m;
    while (too_much - fits > 1) {
        config.m = fits + (too_much - fits) / 2;
        executor->admit(executor->user, &config, &admission);
        if (admission.needed_bytes <= limit) {
            fits = config.m;
        } else {
            too_much = config.m;
        }
    }
    return fits;
}

static void check_memory(const struct executor *executor, const struct run_config *config,
                         const struct admission *admission, struct field_errors *errors) {
    int64_t limit = admission->limit_bytes;
    int64_t needed = admission->needed_bytes;
    if (needed <= limit) {
        return;
    }
    int fits = largest_m(executor, *config, limit);
    char advice[64] = "Choose a smaller batch_size.";
    if (fits > 0) {
        (void)snprintf(advice, sizeof(advice), "m up to %d would fit.", fits);
    }
    field_errors_add(errors, fits > 0 ? "m" : "batch_size",
                     "A step of batch_size %d times m %d trains %" PRId64 " images and needs about "
                     "%.2f GiB of memory; the limit is %.2f GiB. %s",
                     run_batch_sources(config), config->m, (int64_t)run_batch_images(config),
                     gib(needed), gib(limit), advice);
}

/* More images than there are would fail at the first step, perhaps at night. */
static void check_count(const char *field, int wanted, const char *dataset, int n,
                        struct field_errors *errors) {
    if (n > 0 && wanted > n) {
        field_errors_add(errors, field, "%d are wanted; the data set %s has %d.", wanted, dataset,
                         n);
    }
}

/* The data set must be there or have been, and an epoch of it have at least one step. */
static void check_dataset(const struct executor_admission *found, const struct run_config *config,
                          struct admission *admission, struct field_errors *errors) {
    int n_train = found->n_train_images;
    bool counted = n_train > 0;
    check_count("train_images", config->train_images, config->dataset, n_train, errors);
    check_count("test_images", config->test_images, config->dataset, found->n_test_images, errors);
    if (config->train_images > 0 && config->train_images < n_train) {
        n_train = config->train_images;
    }
    admission->steps_per_epoch = counted ? run_steps_per_epoch(config, n_train) : 0;
    admission->images_per_epoch = counted ? run_images_per_epoch(config, n_train) : 0;
    if (!found->has_images) {
        field_errors_add(errors, "dataset",
                         "The data set %s cannot be read at the moment; GET /api/v1/datasets says "
                         "why.",
                         config->dataset);
    } else if (counted && admission->steps_per_epoch < 1) {
        field_errors_add(errors, "batch_size",
                         "%d training images are less than one batch of %d, and this run drops the "
                         "last, smaller batch of an epoch: nothing would be trained.",
                         n_train, config->batch_size);
    }
}

void admission_check_priority(const struct api_context *context, const struct request *request,
                              int priority, struct field_errors *errors) {
    int most = api_config(context)->max_priority;
    if (request->scope < SCOPE_ADMIN && priority > most) {
        field_errors_add(errors, "priority",
                         "priority may be at most %d here (max_priority), not %d; an admin may "
                         "raise it afterwards.",
                         most, priority);
    }
}

static enum status check_notify(const struct api_context *context, const char *notify,
                                struct field_errors *errors, struct error *error) {
    CLEANUP(webhook_list_clear) struct webhook_list list = {.n = 0};
    if (!notify[0]) {
        return STATUS_OK;
    }
    TRY(webhook_table_list(context->options.store, &list, error));
    for (const char *name = notify + 1; *name;) {
        size_t n = strcspn(name, ",");
        size_t i = 0;
        while (i < list.n &&
               !(strlen(list.rows[i].name) == n && strncmp(list.rows[i].name, name, n) == 0)) {
            i++;
        }
        if (i == list.n) {
            field_errors_add(errors, "notify",
                             "There is no webhook %.*s; GET /api/v1/webhooks names them.", (int)n,
                             name);
        }
        name += n + 1;
    }
    return STATUS_OK;
}

static enum status check_after(const struct api_context *context, const struct run_spec *spec,
                               struct field_errors *errors, struct error *error) {
    if (spec->n_after == 0) {
        return STATUS_OK;
    }
    enum status status =
        after_table_check(context->options.store, spec->after, spec->n_after, error);
    if (status == STATUS_NOT_FOUND || status == STATUS_CONFLICT) {
        field_errors_add(errors, "after", "%.200s.", error->message);
        return STATUS_OK;
    }
    return status;
}

enum status admission_check(const struct api_context *context, const struct request *request,
                            const struct run_spec *spec, struct admission *ret_admission,
                            struct field_errors *errors, struct error *error) {
    const struct executor *executor = pool_executor(context->options.pool, spec->executor);
    struct executor_admission found;
    executor->admit(executor->user, &spec->config, &found);
    *ret_admission =
        (struct admission){.needed_bytes = found.needed_bytes, .limit_bytes = found.limit_bytes};
    admission_check_priority(context, request, spec->priority, errors);
    check_dataset(&found, &spec->config, ret_admission, errors);
    check_memory(executor, &spec->config, ret_admission, errors);
    TRY(check_after(context, spec, errors, error));
    return check_notify(context, spec->notify, errors, error);
}

/* The member "memory" {"needed_bytes":..,"limit_bytes":..}. */
static void write_memory(struct json_writer *writer, const struct admission *admission) {
    json_write_object(writer, "memory");
    json_write_int(writer, "needed_bytes", admission->needed_bytes);
    json_write_int(writer, "limit_bytes", admission->limit_bytes);
    json_write_end(writer, '}');
}

/* 0 is unknown. */
static void write_count(struct json_writer *writer, const char *name, int64_t n) {
    if (n > 0) {
        json_write_int(writer, name, n);
    } else {
        json_write_null(writer, name);
    }
}

void admission_write_plan(struct json_writer *writer, const struct run_config *config,
                          const struct admission *admission) {
    json_write_object(writer, "config");
    run_config_write(writer, config);
    json_write_end(writer, '}');
    write_count(writer, "steps_per_epoch", admission->steps_per_epoch);
    write_count(writer, "images_per_epoch", admission->images_per_epoch);
    write_memory(writer, admission);
}

void reply_admission(struct reply *reply, const struct request *request,
                     const struct admission *admission, const struct field_errors *errors) {
    bool too_large = admission->needed_bytes > admission->limit_bytes;
    struct json_writer writer = {0};
    reply_problem_begin(&writer, request, STATUS_INVALID,
                        too_large ? "The run needs more memory than this daemon gives to a run."
                                  : "This daemon cannot train the run as given.");
    field_errors_write(&writer, errors);
    if (too_large) {
        write_memory(&writer, admission);
    }
    json_write_end(&writer, '}');
    reply_problem_end(reply, request, STATUS_INVALID, &writer);
}

void admission_write_times(struct json_writer *writer, const struct run_config *config,
                           const struct admission *admission, double images_per_second,
                           const char *source) {
    bool known = images_per_second > 0 && admission->images_per_epoch > 0;
    double per_epoch =
        known ? (double)admission->images_per_epoch / images_per_second : (double)NAN;
    json_write_number(writer, "images_per_second", known ? images_per_second : (double)NAN);
    json_write_number(writer, "seconds_per_epoch", per_epoch);
    json_write_number(writer, "seconds", per_epoch * config->epochs);
    json_write_string(writer, "source", known ? source : NULL);
}

enum status admission_write_estimate(const struct api_context *context, struct json_writer *writer,
                                     const struct run_config *config,
                                     const struct admission *admission, struct error *error) {
    struct run_speed speed;
    TRY(run_table_speed(context->options.store, config, &speed, error));
    char source[96] = "the last run of this depth, m and batch_size";
    if (speed.n_runs > 1) {
        (void)snprintf(source, sizeof(source), "the last %d runs of this depth, m and batch_size",
                       speed.n_runs);
    }
    json_write_object(writer, "estimate");
    admission_write_times(writer, config, admission,
                          speed.n_runs > 0 ? speed.images_per_second : 0.0, source);
    json_write_end(writer, '}');
    return STATUS_OK;
}

char *submission_labels(const struct run_spec *spec) {
    struct json_writer writer = {0};
    run_labels_write(&writer, NULL, spec);
    return json_write_take(&writer);
}

enum status submission_make(const struct api_context *context, const struct request *request,
                            const struct run_spec *spec, struct submission *ret_submission,
                            struct error *error) {
    struct submission *submission = ret_submission;
    struct health_report health;
    health_read(context->options.health, &health);
    if (health.status == STATUS_NO_SPACE) {
        return error_set(error, STATUS_NO_SPACE, "%s", health.reason);
    }
    submission->labels_json = submission_labels(spec);
    submission->config_json = run_spec_to_json(spec);
    submission->draft =
        (struct run_draft){.name = spec->name,
                           .priority = spec->priority,
                           .labels_json = submission->labels_json,
                           .config_json = submission->config_json,
                           .config = &spec->config,
                           .executor = pool_executor(context->options.pool, spec->executor)->name,
                           .owner = request->owner,
                           .held = spec->hold,
                           .not_before_ms = spec->not_before_ms,
                           .notify = spec->notify,
                           .max_queued = api_config(context)->max_queued,
                           .max_disk = api_config(context)->max_disk_bytes,
                           .after_ids = spec->after,
                           .n_after = spec->n_after};
    return submission->labels_json && submission->config_json
               ? STATUS_OK
               : error_set(error, STATUS_NO_MEMORY, "cannot write a run as JSON");
}

void submission_clear(struct submission *submission) {
    free(submission->labels_json);
    free(submission->config_json);
    memset(submission, 0, sizeof(*submission));
}
