/* The members of a run's JSON form, one by one.
 *
 * Layer: daemon, internal to run_spec.c. Thread rule: a parse belongs to one thread.
 */
#ifndef CUTOUTD_DAEMON_RUN_SPEC_FIELDS_H
#define CUTOUTD_DAEMON_RUN_SPEC_FIELDS_H

#include <cjson/cJSON.h>

#include "daemon/field_errors.h"
#include "daemon/run_spec.h"

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

#endif
