/* The members of a run's JSON form, one by one.
 *
 * Layer: daemon, internal to this room. Thread rule: a parse belongs to one thread.
 */
#ifndef CUTOUTD_DAEMON_SPEC_RUN_SPEC_FIELDS_H
#define CUTOUTD_DAEMON_SPEC_RUN_SPEC_FIELDS_H

#include <cjson/cJSON.h>

#include "core/config/run_fields.h"
#include "daemon/spec/field_errors.h"
#include "daemon/spec/run_spec.h"

/* What is known so far of the document that is being read. */
struct parse {
    const struct run_spec_context *context;
    struct run_spec spec;
    struct field_errors *errors;
    bool lr_given;
    bool schedule_given;
    bool older; /* it was stored before its network was a choice */
};

/* A field of a submission that is not of the configuration, or a row of the configuration. */
struct spec_field {
    const char *name;
    const char *help;
    void (*read)(struct parse *parse, const struct spec_field *field, const cJSON *item);
    const struct run_config_field *config; /* of the generic reader */
};

/* Field number `index` in the order of the documentation; false: there are no more. */
bool run_spec_field_at(size_t index, struct spec_field *ret_field);

/* Checks one member of a document and lays it over parse->spec, or adds what is wrong with it. A
 * preset sets the whole configuration: it comes first. */
void run_spec_read_member(struct parse *parse, const char *name, const cJSON *value);

/* Sets all of the configuration to a preset. */
void run_spec_begin(struct parse *parse, const struct run_preset *preset);

/* A value of a row of the configuration: run_field_read.c. */
void run_field_read(struct parse *parse, const struct spec_field *field, const cJSON *item);

/* What was found instead, for the end of a sentence: `the string "eight"`. */
struct found {
    char text[80];
};
struct found run_field_describe(const cJSON *item);

/* Adds that the value is none of these words, with the near-miss. */
void run_field_refuse_choice(struct parse *parse, const char *name, const cJSON *item,
                             const char *const *words, size_t n_words);

/* Resolves an object; everything that is wrong is added to the errors. STATUS_INVALID. *ret_spec is
 * written on success only. */
enum status run_spec_resolve(const cJSON *document, const struct run_spec_context *context,
                             struct run_spec *ret_spec, struct field_errors *errors);

/* Whether the value of the member would do by itself; otherwise what is wrong is added to the
 * errors. */
bool run_spec_check_member(const struct run_spec_context *context, const char *name,
                           const cJSON *value, struct field_errors *errors);

#endif
