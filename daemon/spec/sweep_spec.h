/* The JSON form of a sweep: a base run and the values that some of its fields take.
 *
 * Layer: daemon. Thread rule: pure functions on their arguments.
 *
 *     {"name":"which m","base":{"preset":"notebook-q3"},"grid":{"m":[2,4],"seed":[1,2,3]}}
 *
 * The sweep may have "halving":{"first_epochs":5,"eta":3,"metric":"val_error","rank_by":["m"]}.
 *
 * The runs are all combinations, in the order of the grid: the first field varies slowest. A field
 * in both places takes the grid's values.
 */
#ifndef CUTOUTD_DAEMON_SPEC_SWEEP_SPEC_H
#define CUTOUTD_DAEMON_SPEC_SWEEP_SPEC_H

#include "daemon/spec/run_spec.h"

enum { SWEEP_MAX_RUNS = 1000, SWEEP_MAX_FIELDS = 16, SWEEP_NAME_MAX = 100 };

/* Runs pause at rungs, and the best go on. */
struct sweep_halving {
    bool given;
    int first_epochs;
    int eta;
    char metric[16];
    int n_rank_by;
    char rank_by[SWEEP_MAX_FIELDS][32]; /* fields of the grid that make a setting; none: each run */
};

struct sweep_child {
    /* "m=8": what it is ranked with; "": itself. Of one that is longer than the room a beginning
     * and a digest of the whole. */
    char setting[128];
    struct run_spec spec;        /* named "NAME m=4 seed=2" */
    int picks[SWEEP_MAX_FIELDS]; /* index of its value of each field of the grid */
};

struct sweep_spec {
    char name[SWEEP_NAME_MAX + 1]; /* "" when none was given */
    bool hold;                     /* the runs start held instead of queued */
    struct sweep_halving halving;
    int n_fields;
    char fields[SWEEP_MAX_FIELDS][32]; /* of the grid, in its order */
    size_t n_children;
    struct sweep_child *children; /* [n_children] */
    char *spec_json;              /* {"base":..,"grid":..}, and "halving", as it was given */
};

/* Parses and expands `json`. All errors are collected, once each, with pointers into the document
 * ("/base/depth", "/grid/m/2"): STATUS_INVALID. No JSON object: STATUS_MALFORMED. STATUS_NO_MEMORY
 * has one error too. *ret_spec is written on success only and is then the caller's
 * (sweep_spec_clear). */
enum status sweep_spec_parse(const char *json, size_t n_bytes,
                             const struct run_spec_context *context, struct sweep_spec *ret_spec,
                             struct field_errors *ret_errors);

/* Adds what is wrong with one child, said with pointers into a run ("/m"), as pointers into the
 * sweep; what is there already is not added again. */
void sweep_errors_add(const struct sweep_spec *spec, const struct sweep_child *child,
                      const struct field_errors *of_run, struct field_errors *errors);

/* Frees and zeroes. A zeroed spec is fine. */
void sweep_spec_clear(struct sweep_spec *spec);

/* The grid's fields without seed out of a stored spec_json, into fields[][32]; returns how many (at
 * most `most`). What a comparison of the sweep groups by: not what is in no config, as priority. */
int sweep_spec_grid_fields(const char *spec_json, char (*ret_fields)[32], int most);

#endif
