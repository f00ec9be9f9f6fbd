/* The members of a run's JSON form, one by one.
 *
 * Layer: daemon, internal to run_spec.c and sweep_spec.c. Thread rule: a parse belongs to one
 * thread.
 */
#ifndef CUTOUTD_DAEMON_SPEC_RUN_SPEC_FIELDS_H
#define CUTOUTD_DAEMON_SPEC_RUN_SPEC_FIELDS_H

#include <cjson/cJSON.h>

#include "daemon/spec/field_errors.h"
#include "daemon/spec/run_spec.h"

/* What is known so far of the document that is being read. */
struct parse {
    const struct run_spec_context *context;
    struct run_spec spec;
    struct field_errors *errors;
    bool lr_given;
    bool schedule_given;
};

/* Sets all of the configuration to the preset that `document` names (the default one otherwise).
 * An unknown preset adds an error and leaves the default's values. */
void run_spec_read_preset(struct parse *parse, const cJSON *document);

/* Checks one member of the document and lays it over parse->spec, or adds what is wrong with it. */
void run_spec_read_member(struct parse *parse, const cJSON *item);

/* The text as a tree: JSON by the letter, no name twice in an object. STATUS_MALFORMED with one
 * error. The caller owns *ret_document (cJSON_Delete). */
enum status run_spec_read_document(const char *json, size_t n_bytes, cJSON **ret_document,
                                   struct field_errors *errors);

/* Resolves an object; everything that is wrong is added to the errors. STATUS_INVALID. *ret_spec is
 * written on success only. */
enum status run_spec_resolve(const cJSON *document, const struct run_spec_context *context,
                             struct run_spec *ret_spec, struct field_errors *errors);

#endif
