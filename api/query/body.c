/* Layer: api. */
#include "api/query/body.h"

#include "daemon/spec/field_errors.h"
#include "daemon/spec/json_tree.h"

void body_delete(cJSON **tree) {
    json_delete(tree);
}

cJSON *body_read(const struct request *request, bool optional, struct reply *reply) {
    struct error error;
    if (optional && request->n_body == 0) {
        cJSON *empty = cJSON_CreateObject();
        if (!empty) {
            reply_problem(reply, request, STATUS_NO_MEMORY, "Try again later.");
        }
        return empty;
    }
    cJSON *body = NULL;
    enum status status = json_read(request->body, request->n_body, &body, &error);
    if (status == STATUS_NO_MEMORY) {
        reply_problem(reply, request, status, "Try again later.");
        return NULL;
    }
    if (status != STATUS_OK) {
        reply_problem(reply, request, status, "The body is not JSON: %s.", error.message);
        return NULL;
    }
    if (!cJSON_IsObject(body)) {
        body_delete(&body);
        reply_problem(reply, request, STATUS_MALFORMED, "The body is not a JSON object.");
    }
    return body;
}

void body_check_names(const cJSON *body, const char *names, struct field_errors *errors) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, body) {
        if (!list_contains(names, item->string)) {
            field_errors_add(errors, item->string, "There is no such field here, but %s.", names);
        }
    }
}
