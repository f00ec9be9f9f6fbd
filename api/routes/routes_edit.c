/* PATCH /runs/{id}: another name, priority or labels. Layer: api. */
#include <stdlib.h>
#include <string.h>

#include "api/query/body.h"
#include "api/routes/admission.h"
#include "api/routes/routes.h"
#include "core/base/cleanup.h"
#include "daemon/spec/field_errors.h"
#include "daemon/store/table/run_table.h"

enum { MOST_TRIES = 5 };

static const char editable[] = "name, priority, labels";

/* Whether it gives something that may change, and nothing else; otherwise *reply says what does. */
static bool check_edit(const cJSON *document, const struct request *request, struct reply *reply) {
    struct field_errors errors = {.n = 0};
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, document) {
        if (!list_contains(editable, item->string)) {
            field_errors_add(&errors, item->string,
                             "Only name, priority and labels of a run can be changed; fork it to "
                             "train with other settings.");
        }
    }
    if (!document->child) {
        field_errors_add(&errors, "", "Give at least one of name, priority and labels.");
    }
    if (errors.n > 0) {
        reply_field_errors(reply, request, STATUS_INVALID, "change", &errors);
    }
    return errors.n == 0;
}

/* Stores what was given; the rest stays. */
static enum status store_edit(struct api_context *context, const cJSON *document,
                              const struct run_spec *edit, const struct run_row *row,
                              struct error *error) {
    CLEANUP(free_pointer) char *labels_json = submission_labels(edit);
    if (!labels_json) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to write the labels as JSON");
    }
    bool name = cJSON_HasObjectItem(document, "name");
    bool priority = cJSON_HasObjectItem(document, "priority");
    bool labels = cJSON_HasObjectItem(document, "labels");
    const struct run_edit change = {.name = name ? edit->name : NULL,
                                    .priority = priority ? &edit->priority : NULL,
                                    .labels_json = labels ? labels_json : NULL,
                                    .config_json = row->config_json,
                                    .revision = row->revision};
    return run_table_edit(context->options.store, row->id, &change,
                          clock_unix_ms(context->options.clock), error);
}

void route_run_edit(struct api_context *context, const struct request *request,
                    struct reply *reply) {
    CLEANUP(body_delete) cJSON *document = body_read(request, false, reply);
    static const struct run_spec_context any = {.default_dataset = "shapes"};
    struct run_spec edit;
    struct field_errors errors;
    if (!document || !check_edit(document, request, reply)) {
        return;
    }
    if (run_spec_parse(request->body, request->n_body, &any, &edit, &errors) != STATUS_OK) {
        reply_field_errors(reply, request, STATUS_INVALID, "change", &errors);
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
