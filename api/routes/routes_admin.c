/* /admin: backups, and room on the disk. These take long, so they run in the background. Layer:
 * api.
 */
#include <stdio.h>

#include "api/query/body.h"
#include "api/routes/routes.h"
#include "core/base/cleanup.h"
#include "core/base/log.h"
#include "daemon/queue/queue.h"
#include "daemon/spec/field_errors.h"
#include "daemon/store/table/audit_table.h"
#include "daemon/work/backup.h"
#include "daemon/work/retention.h"

enum { MOST_DAYS = 36500 };

static bool read_bool(const cJSON *object, const char *name, struct field_errors *errors) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (item && !cJSON_IsBool(item)) {
        field_errors_add(errors, name, "%s must be true or false.", name);
    }
    return cJSON_IsTrue(item);
}

/* Why it failed; a client whose backup or purge a stop has ended learns that it was the stop. */
static void reply_failure(struct reply *reply, const struct request *request,
                          struct api_context *context, const struct error *error) {
    if (error->code == STATUS_BUSY && atomic_load(&context->stopping)) {
        reply_problem(reply, request, STATUS_BUSY, "The daemon is stopping.");
    } else {
        reply_error(reply, request, error);
    }
}

/* In the audit: it is in the log as well, should it not be stored. */
static void note_act(const struct api_context *context, const char *subject, const char *id) {
    struct error error;
    if (audit_table_add(context->options.store, subject, id, "{}", &error) != STATUS_OK) {
        log_warning("the audit has no line of the %s %s: %s", subject, id, error.message);
    }
}

/* POST /admin/backup */

static void reply_backup(struct reply *reply, const struct request *request,
                         const struct backup *backup) {
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_string(&writer, "name", backup->name);
    json_write_string(&writer, "directory", backup->directory);
    json_write_string(&writer, "path", backup->path);
    json_write_int(&writer, "bytes", backup->n_bytes);
    json_write_string(&writer, "sha256", backup->sha256);
    if (backup->checkpoints) {
        json_write_object(&writer, "checkpoints");
        json_write_int(&writer, "files", backup->n_files);
        json_write_int(&writer, "bytes", backup->n_file_bytes);
        json_write_int(&writer, "missing", backup->n_missing);
        json_write_end(&writer, '}');
    } else {
        json_write_null(&writer, "checkpoints");
    }
    json_write_end(&writer, '}');
    reply_json(reply, request, 201, &writer);
}

void route_admin_backup(struct api_context *context, const struct request *request,
                        struct reply *reply) {
    struct field_errors errors = {.n = 0};
    CLEANUP(body_delete) cJSON *object = body_read(request, true, reply);
    if (!object) {
        return;
    }
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(object, "name");
    body_check_names(object, "name, checkpoints", &errors);
    bool checkpoints = read_bool(object, "checkpoints", &errors);
    if (name && (!cJSON_IsString(name) || !backup_name_is_good(name->valuestring))) {
        field_errors_add(&errors, "name",
                         "A name has up to 100 letters, digits, '.', '_' and '-', and does not "
                         "begin with '.'.");
    }
    if (errors.n > 0) {
        reply_field_errors(reply, request, STATUS_INVALID, "request", &errors);
        return;
    }
    const struct backup_request wanted = {.state_dir = api_config(context)->state_dir,
                                          .name = name ? name->valuestring : "",
                                          .checkpoints = checkpoints,
                                          .stop = &context->stopping};
    struct backup backup;
    struct error error;
    if (backup_make(context->options.store, context->options.clock, &wanted, &backup, &error) !=
        STATUS_OK) {
        reply_failure(reply, request, context, &error);
    } else {
        note_act(context, "backup", backup.name);
        reply_backup(reply, request, &backup);
    }
}

/* POST /admin/purge */

/* -1: it is missing or wrong. */
static int read_days(const cJSON *object, struct field_errors *errors) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, "older_than_days");
    double days = cJSON_IsNumber(item) ? item->valuedouble : -1;
    if (!(days >= 0 && days <= MOST_DAYS) || days != (double)(int)days) {
        field_errors_add(errors, "older_than_days",
                         "older_than_days must be given, a whole number from 0 to %d.", MOST_DAYS);
        return -1;
    }
    return (int)days;
}

void route_admin_purge(struct api_context *context, const struct request *request,
                       struct reply *reply) {
    struct field_errors errors = {.n = 0};
    CLEANUP(body_delete) cJSON *object = body_read(request, true, reply);
    if (!object) {
        return;
    }
    body_check_names(object, "older_than_days, dry_run", &errors);
    int days = read_days(object, &errors);
    bool dry_run = read_bool(object, "dry_run", &errors);
    if (errors.n > 0) {
        reply_field_errors(reply, request, STATUS_INVALID, "request", &errors);
        return;
    }
    const struct retention_options options = {.store = context->options.store,
                                              .state_dir = api_config(context)->state_dir,
                                              .clock = context->options.clock,
                                              .stop = &context->stopping};
    struct purge_result result;
    struct error error;
    if (retention_purge(&options, days, dry_run, &result, &error) != STATUS_OK) {
        reply_failure(reply, request, context, &error);
        return;
    }
    if (!dry_run) {
        char text[32];
        (void)snprintf(text, sizeof(text), "%d days", days);
        note_act(context, "purge", text);
        queue_wake(context->options.queue); /* an owner may have room again */
    }
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_int(&writer, "older_than_days", days);
    json_write_bool(&writer, "dry_run", dry_run);
    json_write_int(&writer, "runs", result.n_runs);
    json_write_int(&writer, "files", result.n_files);
    json_write_int(&writer, "bytes", result.n_bytes);
    json_write_end(&writer, '}');
    reply_json(reply, request, 200, &writer);
}
