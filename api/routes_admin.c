/* /admin: backups, and room on the disk. These take long, so they run in the background. Layer:
 * api.
 */
#include <cJSON.h>
#include <stdio.h>
#include <string.h>

#include "api/routes.h"
#include "core/base/cleanup.h"
#include "daemon/field_errors.h"
#include "daemon/json_check.h"
#include "daemon/work/backup.h"
#include "daemon/work/retention.h"

enum { MOST_DAYS = 36500 };

static void delete_json(cJSON **json) {
    cJSON_Delete(*json);
}

/* The body as an object; no body is an empty one. NULL: *reply says what is wrong. */
static cJSON *read_object(const struct request *request, struct reply *reply) {
    const char *text = request->n_body > 0 ? request->body : "{}";
    size_t n_bytes = request->n_body > 0 ? request->n_body : 2;
    struct error error;
    if (json_check(text, n_bytes, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return NULL;
    }
    cJSON *object = cJSON_ParseWithLength(text, n_bytes);
    if (!object || !cJSON_IsObject(object)) {
        cJSON_Delete(object);
        reply_problem(reply, request, STATUS_MALFORMED, "The body must be a JSON object.");
        return NULL;
    }
    return object;
}

/* Fields that are not in known[n]. */
static void check_names(const cJSON *object, const char *const *known, size_t n,
                        struct field_errors *errors) {
    for (const cJSON *item = object->child; item; item = item->next) {
        bool found = false;
        for (size_t i = 0; i < n; i++) {
            found |= strcmp(item->string, known[i]) == 0;
        }
        if (!found) {
            field_errors_add(errors, item->string, "There is no such field here.");
        }
    }
}

static bool read_bool(const cJSON *object, const char *name, struct field_errors *errors) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (item && !cJSON_IsBool(item)) {
        field_errors_add(errors, name, "%s must be true or false.", name);
    }
    return cJSON_IsTrue(item);
}

static void reply_fields(struct reply *reply, const struct request *request,
                         const struct field_errors *errors) {
    struct json_writer writer = {0};
    reply_problem_begin(&writer, request, STATUS_INVALID,
                        "Fields of the body cannot be used as given.");
    field_errors_write(&writer, errors);
    json_write_end(&writer, '}');
    reply_problem_end(reply, request, STATUS_INVALID, &writer);
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
    static const char *const known[] = {"name", "checkpoints"};
    struct field_errors errors = {.n = 0};
    CLEANUP(delete_json) cJSON *object = read_object(request, reply);
    if (!object) {
        return;
    }
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(object, "name");
    check_names(object, known, sizeof(known) / sizeof(known[0]), &errors);
    bool checkpoints = read_bool(object, "checkpoints", &errors);
    if (name && (!cJSON_IsString(name) || !backup_name_is_good(name->valuestring))) {
        field_errors_add(&errors, "name",
                         "A name has up to 100 letters, digits, '.', '_' and '-', and does not "
                         "begin with '.'.");
    }
    if (errors.n > 0) {
        reply_fields(reply, request, &errors);
        return;
    }
    const struct backup_wish wish = {.state_dir = context->options.config->state_dir,
                                     .name = name ? name->valuestring : "",
                                     .checkpoints = checkpoints};
    struct backup backup;
    struct error error;
    if (backup_make(context->options.store, context->options.clock, &wish, &backup, &error) !=
        STATUS_OK) {
        reply_error(reply, request, &error);
    } else {
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
    static const char *const known[] = {"older_than_days", "dry_run"};
    struct field_errors errors = {.n = 0};
    CLEANUP(delete_json) cJSON *object = read_object(request, reply);
    if (!object) {
        return;
    }
    check_names(object, known, sizeof(known) / sizeof(known[0]), &errors);
    int days = read_days(object, &errors);
    bool dry_run = read_bool(object, "dry_run", &errors);
    if (errors.n > 0) {
        reply_fields(reply, request, &errors);
        return;
    }
    const struct retention_options options = {.store = context->options.store,
                                              .state_dir = context->options.config->state_dir,
                                              .clock = context->options.clock};
    struct purge_result result;
    struct error error;
    if (retention_purge(&options, days, dry_run, &result, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
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
