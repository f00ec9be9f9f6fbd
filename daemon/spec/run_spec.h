/* A run as people write it: one flat JSON object, validated field by field.
 *
 * Layer: daemon. Thread rule: pure functions on their arguments.
 *
 * Used by POST /runs, by `cutoutd train FILE.json`, and to read a stored run back.
 */
#ifndef CUTOUTD_DAEMON_SPEC_RUN_SPEC_H
#define CUTOUTD_DAEMON_SPEC_RUN_SPEC_H

#include "core/config/run_config.h"

enum {
    RUN_SPEC_MAX_AFTER = 64,
    RUN_SPEC_MAX_NOTIFY = 4,
    RUN_SPEC_MAX_ERRORS = 32,
    RUN_SPEC_MAX_LABELS = 16,
    RUN_SPEC_LABEL_SIZE = 64
};

struct run_label {
    char key[RUN_SPEC_LABEL_SIZE];
    char value[RUN_SPEC_LABEL_SIZE];
};

struct run_spec {
    char name[128]; /* "" when none was given */
    int priority;   /* higher runs first, -1000 .. 1000, default 0 */
    int n_labels;
    struct run_label labels[RUN_SPEC_MAX_LABELS];
    /* Of the submission, not of the run: they are not written. */
    char executor[32];     /* what shall train it; "": the daemon's default */
    bool hold;             /* do not start before it is released */
    int64_t not_before_ms; /* do not start earlier; 0: at once */
    char notify[280];      /* ",lab,team,": names of webhooks; "": none */
    int n_after;
    int64_t after[RUN_SPEC_MAX_AFTER]; /* ids of runs that must succeed before */
    struct run_config config;          /* complete: preset values overlaid with what was given */
};

/* One thing wrong with one field. */
struct field_error {
    char pointer[96]; /* JSON pointer, "/m"; "" for the document itself */
    char detail[256]; /* a whole sentence; for an unknown field it names the near-miss */
};

struct field_errors {
    int n;
    struct field_error items[RUN_SPEC_MAX_ERRORS];
};

/* What the parser must know of its surroundings. */
struct run_spec_context {
    /* The data sets that exist. NULL: any name is taken, as when a stored run is read back whose
     * data set is no longer configured. */
    const char *const *dataset_names;
    size_t n_dataset_names;
    const char *default_dataset;
    /* The executors that exist. NULL: any name is taken. */
    const char *const *executor_names;
    size_t n_executor_names;
    /* A stored config is read back: limits that are only for new runs do not count, what is kept in
     * columns is passed over, and a field that came later means what run_config_set_older says. */
    bool stored;
    /* What "auto" becomes, so that an accepted run keeps its bits whatever is set later. CONV_AUTO:
     * it stays. */
    enum conv_algorithm conv_algorithm;
};

/* Parses and resolves `json` (n_bytes, need not end with NUL). All field errors are collected:
 * STATUS_INVALID with ret_errors->n > 0. Not JSON, not an object, or a key given twice:
 * STATUS_MALFORMED with one error of pointer "". *ret_spec is written on success only. */
enum status run_spec_parse(const char *json, size_t n_bytes, const struct run_spec_context *context,
                           struct run_spec *ret_spec, struct field_errors *ret_errors);

/* Reads back what run_spec_to_json wrote when the run was accepted, also that of earlier versions,
 * which held name, priority and labels too; only ret_spec->config is filled. Its data set need not
 * exist any more. STATUS_INVALID: written by another version that knew other fields;
 * STATUS_NO_MEMORY. *ret_spec is written on success only. */
enum status run_spec_read_stored(const char *config_json, struct run_spec *ret_spec,
                                 struct error *error);

/* Whether a run has a field of this name. When not, *ret_near (may be NULL) is the one it was most
 * likely meant to be, or NULL. */
bool run_spec_has_field(const char *name, const char **ret_near);

/* Whether it is a field of the configuration, which run_spec_to_json writes. */
bool run_spec_has_config_field(const char *name);

/* Name and help of field number `index`, in the order of the documentation; false: no more. */
bool run_spec_field_help(size_t index, const char **ret_name, const char **ret_help);

/* The resolved configuration as one compact JSON object with every field, in a fixed order; parsing
 * it again gives the same one. What is not of the configuration (name, priority, labels, hold,
 * after) is kept in columns. Owned by the caller (free). NULL only when memory is out. */
char *run_spec_to_json(const struct run_spec *spec);

#endif
