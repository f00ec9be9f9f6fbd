/* The body of a request as a JSON object.
 *
 * Layer: api. Thread rule: belongs to the thread that serves the request.
 */
#ifndef CUTOUTD_API_QUERY_BODY_H
#define CUTOUTD_API_QUERY_BODY_H

#include <cjson/cJSON.h>

#include "api/http/reply.h"

/* optional: no body is an empty object. NULL: *reply says what is wrong (400). The caller owns it
 * (CLEANUP(body_delete)). */
cJSON *body_read(const struct request *request, bool optional, struct reply *reply);

/* A tree that is NULL is fine. */
void body_delete(cJSON **tree);

/* Adds an error for each member whose name is not in the list "name, name". */
void body_check_names(const cJSON *body, const char *names, struct field_errors *errors);

#endif
