/* A run on its way in: whether this daemon has what it needs (data set, memory, the runs that it
 * comes after), and the form in which the store takes it.
 *
 * Layer: api. Thread rule: any thread; reads the context only.
 */
#ifndef CUTOUTD_API_CHANGE_ADMISSION_H
#define CUTOUTD_API_CHANGE_ADMISSION_H

#include "api/context.h"
#include "api/http/reply.h"
#include "daemon/spec/run_spec.h"
#include "daemon/store/table/run_table.h"

/* What the parser of a run must know of this daemon; its pointers live as long as the daemon. */
struct run_spec_context run_surroundings(const struct api_context *context);

struct admission {
    int64_t needed_bytes;
    int64_t limit_bytes;
    int steps_per_epoch;      /* 0 when the data set was not read yet, as the next */
    int64_t images_per_epoch; /* all copies counted */
};

/* Adds an error for each thing that is in the way of training the run where it asks for. The spec
 * was read in these surroundings: its executor is there. Statuses of the store: it is not known
 * whether there is something. */
enum status admission_check(const struct api_context *context, const struct request *request,
                            const struct run_spec *spec, struct admission *ret_admission,
                            struct field_errors *errors, struct error *error);

/* Adds an error when the one who asks may not give this priority: nobody but admins goes above
 * max_priority. */
void admission_check_priority(const struct api_context *context, const struct request *request,
                              int priority, struct field_errors *errors);

/* What a dry run shows: the members "config", "steps_per_epoch", "images_per_epoch" and "memory".
 */
void admission_write_plan(struct json_writer *writer, const struct run_config *config,
                          const struct admission *admission);

/* The problem for errors->n > 0. */
void reply_admission(struct reply *reply, const struct request *request,
                     const struct admission *admission, const struct field_errors *errors);

/* The member "estimate": how long `epochs` epochs take by what runs of the same depth, m and batch
 * took here; null where none was measured. Statuses of the store. */
enum status admission_write_estimate(const struct api_context *context, struct json_writer *writer,
                                     const struct run_config *config,
                                     const struct admission *admission, struct error *error);

/* Its members, at this speed: "images_per_second", "seconds_per_epoch", "seconds" and "source", all
 * null where the speed (0) or the size of an epoch is unknown. */
void admission_write_times(struct json_writer *writer, const struct run_config *config,
                           const struct admission *admission, double images_per_second,
                           const char *source);

struct submission {
    struct run_draft draft; /* borrows the texts, the spec and the request's owner */
    char *labels_json;
    char *config_json;
};

/* Of no sweep, no fork and without an idempotency mark: the caller adds these to the draft. On any
 * status the caller clears *ret_submission. STATUS_NO_MEMORY; STATUS_NO_SPACE: what is left of the
 * disk is for the runs that are here. */
enum status submission_make(const struct api_context *context, const struct request *request,
                            const struct run_spec *spec, struct submission *ret_submission,
                            struct error *error);

/* Frees and zeroes. A zeroed one is fine. */
void submission_clear(struct submission *submission);

/* The labels alone, {"team":"vision"}; owned by the caller (free). NULL: no memory. */
char *submission_labels(const struct run_spec *spec);

#endif
