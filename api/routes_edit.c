/* What changes runs: edits, deletion, the same action on many. Layer: api. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/routes.h"
#include "api/run_actions.h"
#include "core/base/cleanup.h"
#include "daemon/field_errors.h"
#include "daemon/json_check.h"
#include "daemon/run_spec_json.h"

static void delete_tree(cJSON **tree) {
    cJSON_Delete(*tree);
}

/* DELETE /runs/{id} */
void route_run_delete(struct api_context *context, const struct request *request,
                      struct reply *reply) {
    CLEANUP(run_row_clear) struct run_row row = {0};
    struct error error;
    if (!route_find_run(context, request, reply, &row)) {
        return;
    }
    if (run_delete_apply(context, request, row.id, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    reply->http_status = 204;
}

/* POST /runs/bulk */

static void refuse_body(struct reply *reply, const struct request *request, const char *pointer,
                        const char *detail) {
    struct json_writer writer = {0};
    reply_problem_begin(&writer, request, STATUS_INVALID, "The body cannot be used as given.");
    json_write_array(&writer, "errors");
    json_write_object(&writer, NULL);
    json_write_string(&writer, "pointer", pointer);
    json_write_string(&writer, "detail", detail);
    json_write_end(&writer, '}');
    json_write_end(&writer, ']');
    json_write_end(&writer, '}');
    reply_problem_end(reply, request, STATUS_INVALID, &writer);
}

/* The body as a JSON object, or NULL and *reply says what is wrong. */
static cJSON *parse_body(const struct request *request, struct reply *reply) {
    struct error error;
    if (json_check(request->body, request->n_body, &error) != STATUS_OK) {
        reply_problem(reply, request, STATUS_MALFORMED, "The body is not JSON: %s.", error.message);
        return NULL;
    }
    cJSON *document = cJSON_ParseWithLength(request->body, request->n_body);
    if (!cJSON_IsObject(document)) {
        cJSON_Delete(document);
        reply_problem(reply, request, STATUS_MALFORMED, "The body is not a JSON object.");
        return NULL;
    }
    return document;
}

static bool read_bulk_action(const cJSON *item, enum run_action *ret_action) {
    if (!cJSON_IsString(item)) {
        return false;
    }
    *ret_action = RUN_ACTION_COUNT;
    return strcmp(item->valuestring, "delete") == 0 ||
           run_action_from_name(item->valuestring, ret_action);
}

/* false: not a list of 1 to BULK_MAX ids as strings. */
static bool read_ids(const cJSON *list, int64_t *ids, size_t *ret_n) {
    const cJSON *item = NULL;
    size_t n = 0;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) < 1 ||
        cJSON_GetArraySize(list) > BULK_MAX) {
        return false;
    }
    cJSON_ArrayForEach(item, list) {
        if (!cJSON_IsString(item) || !text_to_id(item->valuestring, INT64_MAX, &ids[n++])) {
            return false;
        }
    }
    *ret_n = n;
    return true;
}

void route_run_bulk(struct api_context *context, const struct request *request,
                    struct reply *reply) {
    CLEANUP(delete_tree) cJSON *document = parse_body(request, reply);
    CLEANUP(free_pointer) int64_t *ids = calloc(BULK_MAX, sizeof(*ids));
    enum run_action action = RUN_ACTION_COUNT;
    size_t n_ids = 0;
    if (!document) {
        return;
    }
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, document) {
        if (strcmp(item->string, "action") != 0 && strcmp(item->string, "ids") != 0) {
            refuse_body(reply, request, "", "A bulk request has the members action and ids.");
            return;
        }
    }
    if (!ids) {
        reply_problem(reply, request, STATUS_NO_MEMORY, "Try again later.");
    } else if (!read_bulk_action(cJSON_GetObjectItemCaseSensitive(document, "action"), &action)) {
        refuse_body(reply, request, "/action",
                    "action must be one of cancel, kill, pause, resume, hold, release, requeue, "
                    "delete.");
    } else if (!read_ids(cJSON_GetObjectItemCaseSensitive(document, "ids"), ids, &n_ids)) {
        refuse_body(reply, request, "/ids",
                    "ids must be a list of 1 to 1000 ids of runs, such as [\"1\",\"2\"].");
    } else {
        run_actions_reply_bulk(context, request, reply, action, ids, n_ids);
    }
}

/* PATCH /runs/{id} */

enum { MOST_TRIES = 5 };

static bool is_editable(const char *name) {
    return strcmp(name, "name") == 0 || strcmp(name, "priority") == 0 ||
           strcmp(name, "labels") == 0;
}

/* What of the run may not change any more, or true. */
static bool check_edit(const cJSON *document, const struct request *request, struct reply *reply) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, document) {
        if (!is_editable(item->string)) {
            char pointer[96];
            (void)snprintf(pointer, sizeof(pointer), "/%.80s", item->string);
            refuse_body(reply, request, pointer,
                        "Only name, priority and labels of a run can be changed; fork it to train "
                        "with other settings.");
            return false;
        }
    }
    if (!document->child) {
        refuse_body(reply, request, "", "Give at least one of name, priority and labels.");
        return false;
    }
    return true;
}

static void reply_edit_errors(struct reply *reply, const struct request *request,
                              const struct field_errors *errors) {
    struct json_writer writer = {0};
    reply_problem_begin(&writer, request, STATUS_INVALID, "The run cannot be changed like that.");
    field_errors_write(&writer, errors);
    json_write_end(&writer, '}');
    reply_problem_end(reply, request, STATUS_INVALID, &writer);
}

/* Lays what `edit` was given over what is stored. */
static enum status store_edit(struct api_context *context, const cJSON *document,
                              const struct run_spec *edit, const struct run_row *row,
                              struct error *error) {
    struct run_spec spec;
    TRY(run_spec_read_stored(row->config_json, &spec, error));
    if (cJSON_GetObjectItemCaseSensitive(document, "name")) {
        memcpy(spec.name, edit->name, sizeof(spec.name));
    }
    if (cJSON_GetObjectItemCaseSensitive(document, "priority")) {
        spec.priority = edit->priority;
    }
    if (cJSON_GetObjectItemCaseSensitive(document, "labels")) {
        spec.n_labels = edit->n_labels;
        memcpy(spec.labels, edit->labels, sizeof(spec.labels));
    }
    struct json_writer writer = {0};
    run_labels_write(&writer, NULL, &spec);
    CLEANUP(free_pointer) char *labels_json = json_write_take(&writer);
    CLEANUP(free_pointer) char *config_json = run_spec_to_json(&spec);
    if (!labels_json || !config_json) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to write the run as JSON");
    }
    const struct run_edit change = {.name = spec.name,
                                    .priority = &spec.priority,
                                    .labels_json = labels_json,
                                    .config_json = config_json,
                                    .revision = row->revision};
    return run_table_edit(context->options.store, row->id, &change,
                          clock_unix_ms(context->options.clock), error);
}

void route_run_edit(struct api_context *context, const struct request *request,
                    struct reply *reply) {
    CLEANUP(delete_tree) cJSON *document = parse_body(request, reply);
    static const struct run_spec_context any = {.default_dataset = "shapes"};
    struct run_spec edit;
    struct field_errors errors;
    if (!document || !check_edit(document, request, reply)) {
        return;
    }
    if (run_spec_parse(request->body, request->n_body, &any, &edit, &errors) != STATUS_OK) {
        reply_edit_errors(reply, request, &errors);
        return;
    }
    /* A running run's row changes now and then: read and write again. */
    enum status status = STATUS_BUSY;
    struct error error = {.code = STATUS_BUSY, .message = "the run changes all the time"};
    for (int i = 0; i < MOST_TRIES && status == STATUS_BUSY; i++) {
        CLEANUP(run_row_clear) struct run_row row = {0};
        if (!route_find_run(context, request, reply, &row)) {
            return;
        }
        status = store_edit(context, document, &edit, &row, &error);
    }
    if (status != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    CLEANUP(run_row_clear) struct run_row row = {0};
    if (route_find_run(context, request, reply, &row)) {
        route_reply_run(context, request, reply, 200, &row);
    }
}
