/* PATCH /runs/{id}: another name, priority, labels or not_before. Layer: api. */

#include "api/change/admission.h"
#include "api/query/body.h"
#include "api/routes/routes.h"
#include "core/base/cleanup.h"
#include "daemon/queue/queue.h"
#include "daemon/spec/field_errors.h"
#include "daemon/store/change/run_change.h"

static const char editable[] = "name, priority, labels, not_before";

/* Whether it gives something that may change, and nothing else; otherwise *reply says what does. */
static bool check_edit(const cJSON *document, const struct request *request, struct reply *reply) {
    struct field_errors errors = {.n = 0};
    const cJSON *item = NULL;
    bool has_members = false;
    cJSON_ArrayForEach(item, document) {
        has_members = true;
        if (!list_contains(editable, item->string)) {
            field_errors_add(&errors, item->string,
                             "Only name, priority, labels and not_before of a run can be changed; "
                             "fork it to train with other settings.");
        }
    }
    if (!has_members) {
        field_errors_add(&errors, "",
                         "Give at least one of name, priority, labels and not_before.");
    }
    if (errors.n > 0) {
        reply_field_errors(reply, request, STATUS_INVALID, "change", &errors);
    }
    return errors.n == 0;
}

/* Stores the members that were given. */
static enum status store_edit(struct api_context *context, const cJSON *document,
                              const struct run_spec *spec, int64_t id, struct error *error) {
    CLEANUP(free_pointer) char *labels_json = submission_labels(spec);
    if (!labels_json) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to write the labels as JSON");
    }
    const struct run_edit edit = {
        .name = cJSON_HasObjectItem(document, "name") ? spec->name : NULL,
        .priority = cJSON_HasObjectItem(document, "priority") ? &spec->priority : NULL,
        .labels_json = cJSON_HasObjectItem(document, "labels") ? labels_json : NULL,
        .not_before_ms = cJSON_HasObjectItem(document, "not_before") ? &spec->not_before_ms : NULL,
    };
    return run_table_edit(context->options.store, id, &edit, clock_unix_ms(context->options.clock),
                          error);
}

void route_run_edit(struct api_context *context, const struct request *request,
                    struct reply *reply) {
    CLEANUP(body_delete) cJSON *document = body_read(request, false, reply);
    static const struct run_spec_context any = {.default_dataset = "shapes"};
    struct run_spec spec;
    struct field_errors errors;
    if (!document || !check_edit(document, request, reply)) {
        return;
    }
    enum status status = run_spec_parse(request->body, request->n_body, &any, &spec, &errors);
    if (status == STATUS_OK) {
        if (cJSON_HasObjectItem(document, "priority")) {
            admission_check_priority(context, request, spec.priority, &errors);
        }
        status = errors.n > 0 ? STATUS_INVALID : STATUS_OK;
    }
    if (status != STATUS_OK) {
        reply_field_errors(reply, request, status, "change", &errors);
        return;
    }
    CLEANUP(run_row_clear) struct run_row row = {0};
    CLEANUP(run_row_clear) struct run_row changed = {0};
    struct error error;
    if (!route_find_run(context, request, reply, &row)) {
        return;
    }
    if (store_edit(context, document, &spec, row.id, &error) != STATUS_OK ||
        run_table_get(context->options.store, row.id, &changed, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    pool_note_priority(context->options.pool, changed.id);
    queue_wake(context->options.queue); /* it may be the next one now */
    route_reply_run(context, request, reply, 200, &changed);
}
