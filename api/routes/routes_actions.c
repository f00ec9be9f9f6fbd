/* What is asked of runs: of one, of a list, of a sweep's; and their deletion. Layer: api. */
#include <stdlib.h>
#include <string.h>

#include "api/change/admission.h"
#include "api/change/run_actions.h"
#include "api/query/body.h"
#include "api/routes/routes.h"
#include "core/base/cleanup.h"
#include "daemon/queue/queue.h"
#include "daemon/spec/field_errors.h"
#include "daemon/spec/run_spec_fields.h"
#include "daemon/store/change/sweep_change.h"
#include "daemon/work/sweep_links.h"

/* The last part of the path. The table of routes has none that is no action. */
static enum run_action action_of_path(const struct request *request) {
    enum run_action action = RUN_ACTION_CANCEL;
    (void)run_action_from_name(strrchr(request->url.path, '/') + 1, &action);
    return action;
}

static void act_on_run(struct api_context *context, const struct request *request,
                       struct reply *reply, enum run_action action) {
    CLEANUP(run_row_clear) struct run_row row = {0};
    if (route_find_run(context, request, reply, &row)) {
        run_actions_reply(context, request, reply, ACT_ON_RUN, action, &row.id, 1);
    }
}

/* POST /runs/{id}/ACTION */
void route_run_act(struct api_context *context, const struct request *request,
                   struct reply *reply) {
    act_on_run(context, request, reply, action_of_path(request));
}

/* DELETE /runs/{id} */
void route_run_delete(struct api_context *context, const struct request *request,
                      struct reply *reply) {
    act_on_run(context, request, reply, RUN_ACTION_DELETE);
}

/* POST /runs/bulk */

enum bulk_kind { BULK_ACTION, BULK_EDIT, BULK_FORK };

static bool read_bulk_action(const cJSON *item, enum bulk_kind *ret_kind,
                             enum run_action *ret_action) {
    if (!cJSON_IsString(item)) {
        return false;
    }
    bool edit = strcmp(item->valuestring, "edit") == 0;
    bool fork = strcmp(item->valuestring, "fork") == 0;
    *ret_kind = edit ? BULK_EDIT : fork ? BULK_FORK : BULK_ACTION;
    *ret_action = RUN_ACTION_DELETE;
    return edit || fork || strcmp(item->valuestring, "delete") == 0 ||
           run_action_from_name(item->valuestring, ret_action);
}

/* The labels but for those that are to go, which no run may have. */
static cJSON *labels_to_check(const cJSON *labels) {
    cJSON *given = cJSON_Duplicate(labels, true);
    for (cJSON *item = given ? given->child : NULL; item;) {
        cJSON *next = item->next;
        if (cJSON_IsNull(item)) {
            cJSON_Delete(cJSON_DetachItemViaPointer(given, item));
        }
        item = next;
    }
    return given;
}

/* What changes, as a run has it. */
static enum status check_edit(const cJSON *document, struct run_spec *spec,
                              struct field_errors *errors) {
    static const struct run_spec_context any = {.default_dataset = "shapes"};
    static const char *const names[] = {"name", "priority", "not_before", "labels"};
    CLEANUP(body_delete) cJSON *given = cJSON_CreateObject();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(document, names[i]);
        bool is_labels = strcmp(names[i], "labels") == 0;
        if (item && !cJSON_AddItemToObject(given, names[i],
                                           is_labels ? labels_to_check(item)
                                                     : cJSON_Duplicate(item, true))) {
            return STATUS_NO_MEMORY;
        }
    }
    return given ? run_spec_resolve(given, &any, spec, errors) : STATUS_NO_MEMORY;
}

static void check_edit_names(const cJSON *document, size_t n_ids, struct field_errors *errors) {
    body_check_names(document, "action, ids, name, priority, labels, not_before", errors);
    if (cJSON_GetArraySize(document) <= 2) { /* action and ids */
        field_errors_add(errors, "", "Give at least one of name, priority, labels and not_before.");
    }
    if (cJSON_HasObjectItem(document, "name") && n_ids > 1) {
        field_errors_add(errors, "name", "A name is given to one run at a time.");
    }
}

static void edit_many(struct api_context *context, const struct request *request,
                      struct reply *reply, const cJSON *document, const int64_t *ids,
                      size_t n_ids) {
    struct run_spec spec;
    struct field_errors errors = {.n = 0};
    check_edit_names(document, n_ids, &errors);
    enum status status = errors.n > 0 ? STATUS_INVALID : check_edit(document, &spec, &errors);
    if (status == STATUS_OK && cJSON_HasObjectItem(document, "priority")) {
        admission_check_priority(context, request, spec.priority, &errors);
        status = errors.n > 0 ? STATUS_INVALID : STATUS_OK;
    }
    if (status == STATUS_OK) {
        const struct run_edit edit = {
            .name = cJSON_HasObjectItem(document, "name") ? spec.name : NULL,
            .priority = cJSON_HasObjectItem(document, "priority") ? &spec.priority : NULL,
            .not_before_ms =
                cJSON_HasObjectItem(document, "not_before") ? &spec.not_before_ms : NULL};
        run_actions_edit(context, request, reply, &edit,
                         cJSON_GetObjectItemCaseSensitive(document, "labels"), ids, n_ids);
    } else if (status == STATUS_NO_MEMORY) {
        reply_problem(reply, request, status, "Try again later.");
    } else {
        reply_field_errors(reply, request, STATUS_INVALID, "request", &errors);
    }
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
    CLEANUP(body_delete) cJSON *document = body_read(request, false, reply);
    CLEANUP(free_pointer) int64_t *ids = calloc(BULK_MAX, sizeof(*ids));
    enum run_action action = RUN_ACTION_DELETE;
    enum bulk_kind kind = BULK_ACTION;
    struct field_errors errors = {.n = 0};
    size_t n_ids = 0;
    if (!document) {
        return;
    }
    if (!ids) {
        reply_problem(reply, request, STATUS_NO_MEMORY, "Try again later.");
        return;
    }
    if (!read_bulk_action(cJSON_GetObjectItemCaseSensitive(document, "action"), &kind, &action)) {
        field_errors_add(&errors, "action",
                         "action must be one of cancel, kill, pause, resume, hold, release, "
                         "requeue, delete, edit, fork.");
    }
    if (kind == BULK_ACTION) {
        body_check_names(document, "action, ids", &errors);
    }
    if (!read_ids(cJSON_GetObjectItemCaseSensitive(document, "ids"), ids, &n_ids)) {
        field_errors_add(&errors, "ids",
                         "ids must be a list of 1 to %d ids of runs, such as [\"1\",\"2\"].",
                         BULK_MAX);
    }
    if (errors.n > 0) {
        reply_field_errors(reply, request, STATUS_INVALID, "request", &errors);
    } else if (kind == BULK_EDIT) {
        edit_many(context, request, reply, document, ids, n_ids);
    } else if (kind == BULK_FORK) {
        route_fork_many(context, request, reply, document, ids, n_ids);
    } else {
        run_actions_reply(context, request, reply, ACT_ON_LIST, action, ids, n_ids);
    }
}

/* POST /sweeps/{id}/ACTION */
void route_sweep_act(struct api_context *context, const struct request *request,
                     struct reply *reply) {
    CLEANUP(sweep_row_clear) struct sweep_row sweep = {0};
    CLEANUP(free_pointer) int64_t *ids = NULL;
    size_t n_ids = 0;
    struct error error;
    if (!route_find_sweep(context, request, reply, &sweep)) {
        return;
    }
    if (sweep_table_runs(context->options.store, sweep.id, &ids, &n_ids, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    run_actions_reply(context, request, reply, ACT_ON_SWEEP, action_of_path(request), ids, n_ids);
}

/* DELETE /sweeps/{id} */
void route_sweep_delete(struct api_context *context, const struct request *request,
                        struct reply *reply) {
    CLEANUP(sweep_row_clear) struct sweep_row sweep = {0};
    CLEANUP(free_pointer) int64_t *ids = NULL;
    size_t n_ids = 0;
    struct error error;
    if (!route_find_sweep(context, request, reply, &sweep)) {
        return;
    }
    if (sweep_table_delete(context->options.store, sweep.id, clock_unix_ms(context->options.clock),
                           &ids, &n_ids, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    sweep_links_forget_sweep(context->options.links, sweep.id);
    for (size_t i = 0; i < n_ids; i++) {
        run_files_remove(context, ids[i]);
    }
    queue_wake(context->options.queue); /* its owner may have room again */
    reply->http_status = 204;
}
