/* Layer: api. */
#include "api/routes/submission.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/spec/run_spec_json.h"

char *submission_labels(const struct run_spec *spec) {
    struct json_writer writer = {0};
    run_labels_write(&writer, NULL, spec);
    return json_write_take(&writer);
}

enum status submission_make(const struct request *request, const struct run_spec *spec,
                            struct submission *ret_submission, struct error *error) {
    struct submission *submission = ret_submission;
    submission->labels_json = submission_labels(spec);
    submission->config_json = run_spec_to_json(spec);
    submission->draft = (struct run_draft){.name = spec->name,
                                           .priority = spec->priority,
                                           .labels_json = submission->labels_json,
                                           .config_json = submission->config_json,
                                           .config = &spec->config,
                                           .owner = request->owner,
                                           .held = spec->hold,
                                           .after_ids = spec->after,
                                           .n_after = spec->n_after};
    return submission->labels_json && submission->config_json
               ? STATUS_OK
               : error_set(error, STATUS_NO_MEMORY, "cannot write a run as JSON");
}

void submission_clear(struct submission *submission) {
    free(submission->labels_json);
    free(submission->config_json);
    memset(submission, 0, sizeof(*submission));
}
