/* PATCH /runs/{id}: another name, priority or labels. Layer: api. */
#include <stdlib.h>
#include <string.h>

#include "api/query/body.h"
#include "api/routes/admission.h"
#include "api/routes/routes.h"
#include "core/base/cleanup.h"
#include "daemon/spec/field_errors.h"
#include "daemon/spec/run_spec_json.h"
#include "daemon/store/table/run_table.h"

enum { MOST_TRIES = 5 };
static const double MOST_WAIT_S = 1.0; /* after it no other try begins */

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
    CLEANUP(free_pointer) char *labels_json = submission_labels(&spec);
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
    const struct clock *clock = context->options.clock;
    double begun_s = clock_monotonic_s(clock);
    for (int i = 0; i < MOST_TRIES && status == STATUS_BUSY &&
                    clock_monotonic_s(clock) < begun_s + MOST_WAIT_S;
         i++) {
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
