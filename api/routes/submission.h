/* A run as it was submitted, in the form that the store takes.
 *
 * Layer: api. Thread rule: belongs to the thread that serves the request.
 */
#ifndef CUTOUTD_API_ROUTES_SUBMISSION_H
#define CUTOUTD_API_ROUTES_SUBMISSION_H

#include "api/http/request.h"
#include "daemon/spec/run_spec.h"
#include "daemon/store/table/run_table.h"

struct submission {
    struct run_draft draft; /* borrows the texts, the spec and the request's owner */
    char *labels_json;
    char *config_json;
};

/* Of no sweep, no fork and without an idempotency mark: the caller adds these to the draft. On any
 * status the caller clears *ret_submission. STATUS_NO_MEMORY. */
enum status submission_make(const struct request *request, const struct run_spec *spec,
                            struct submission *ret_submission, struct error *error);

/* Frees and zeroes. A zeroed one is fine. */
void submission_clear(struct submission *submission);

/* The labels alone, {"team":"vision"}; owned by the caller (free). NULL: no memory. */
char *submission_labels(const struct run_spec *spec);

#endif
