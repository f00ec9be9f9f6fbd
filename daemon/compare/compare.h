/* The comparison of groups of runs: a curve a group with its spread over seeds, what it took to
 * reach a target, and differences from a baseline.
 *
 * Layer: daemon (statistics only: no store, no HTTP). Thread rule: pure functions on their
 * arguments.
 *
 * Numbers that do not exist are NaN: a mean of nothing, the spread of a single run, a metric that
 * was not finite. `n` always says how many runs a number comes from.
 */
#ifndef CUTOUTD_DAEMON_COMPARE_COMPARE_H
#define CUTOUTD_DAEMON_COMPARE_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/spec/config_diff.h"
#include "daemon/store/table/epoch_table.h"
#include "daemon/store/table/run_table.h"

enum compare_metric {
    COMPARE_VAL_ERROR,
    COMPARE_VAL_LOSS,
    COMPARE_TRAIN_LOSS,
    COMPARE_TRAIN_ACCURACY, /* the only one of which more is better */
    COMPARE_VAL_ERROR_TTA,  /* of runs with tta and ema; others have no such number */
    COMPARE_VAL_ERROR_EMA,
    COMPARE_METRIC_COUNT,
};

/* What the curves run along. Seconds are those of training, not of waiting. */
enum compare_x {
    COMPARE_EPOCH,
    COMPARE_STEP,
    COMPARE_IMAGES,
    COMPARE_SECONDS,
    COMPARE_X_COUNT,
};

/* "val_error", "epoch". */
const char *compare_metric_name(enum compare_metric metric);
const char *compare_x_name(enum compare_x x);

/* False: no such name; *ret is not touched. */
bool compare_metric_from_name(const char *name, enum compare_metric *ret);
bool compare_x_from_name(const char *name, enum compare_x *ret);

enum { COMPARE_MAX_FIELDS = 16, COMPARE_FIELD_SIZE = 32 };

struct compare_request {
    enum compare_metric metric;
    enum compare_x x;
    double target; /* NaN: none */
    bool each_run; /* every run is a group of its own; `fields` are not looked at */
    int n_fields;  /* 0 without each_run: all runs are one group */
    char fields[COMPARE_MAX_FIELDS][COMPARE_FIELD_SIZE]; /* members of the runs' config_json */
    const char *baseline; /* label or, with one field, its value; NULL: none; borrowed */
};

/* One run of the input; both are borrowed. epochs in order. */
struct compare_run {
    const struct run_row *row;
    const struct epoch_list *epochs;
};

struct compare_stat {
    double mean;
    double std; /* of the sample (n - 1); NaN with less than two */
    double min;
    double max;
    int n; /* how many finite numbers there were */
};

struct compare_point {
    int epoch;
    double x;
    struct compare_stat value; /* over the runs that have this epoch */
};

/* What it took until the metric was first at or below the target (accuracy: at or above), over the
 * runs that got there. */
struct compare_target {
    int n_reached; /* of the group's n_runs */
    struct compare_stat epochs;
    struct compare_stat images; /* all copies counted */
    struct compare_stat seconds;
};

struct compare_group {
    char *values[COMPARE_MAX_FIELDS]; /* as JSON: 8, "aliased"; NULL: beyond the fields; owned */
    char *label;                      /* "m=8 copies=aliased"; UTF-8; owned */
    size_t n_runs;
    size_t *runs; /* [n_runs] indices into the input, in its order */
    size_t n_points;
    struct compare_point *points; /* [n_points] in order of epochs */
    int n_diverged;               /* runs that had a loss that was not finite */
    struct compare_stat best;     /* of the runs' best values */
    struct compare_target to_target;
    struct compare_stat total_seconds; /* of a run */
    struct compare_stat seconds_per_epoch;
    struct compare_stat images_per_second;
    struct compare_stat difference; /* best minus the baseline's best, over seeds in both */
};

struct comparison {
    size_t n_groups;
    struct compare_group *groups; /* in order of their values, numbers as numbers */
    int baseline;                 /* index of the group; -1: none */
};

/* Owned by the caller on success (comparison_clear). STATUS_NOT_FOUND: no group is the baseline
 * (the message names those there are); STATUS_NO_MEMORY. *ret is written on success only. Without
 * runs there are no groups. */
enum status compare_make(const struct compare_request *request, const struct compare_run *runs,
                         size_t n_runs, struct comparison *ret, struct error *error);

/* Frees and zeroes. A zeroed comparison is fine. */
void comparison_clear(struct comparison *comparison);

/* Statistics of the finite ones among values[n]. */
struct compare_stat compare_stat_of(const double *values, size_t n);

/* The config fields, besides seed, in which the runs differ: what to group by when nobody says.
 * More than COMPARE_MAX_FIELDS: each_run is set instead. Writes n_fields, fields, each_run. */
void compare_find_fields(const struct config_diff *diff, struct compare_request *request);

#endif
