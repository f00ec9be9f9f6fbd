/* The numbers of a comparison. Layer: daemon. Thread rule: pure functions. */
#include "daemon/compare/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "daemon/compare/compare_internal.h"

/* Of a run that has no such number. */
static const double UNKNOWN = (double)NAN;

static const char *const metric_names[COMPARE_METRIC_COUNT] = {
    [COMPARE_VAL_ERROR] = "val_error",         [COMPARE_VAL_LOSS] = "val_loss",
    [COMPARE_TRAIN_LOSS] = "train_loss",       [COMPARE_TRAIN_ACCURACY] = "train_accuracy",
    [COMPARE_VAL_ERROR_TTA] = "val_error_tta", [COMPARE_VAL_ERROR_EMA] = "val_error_ema",
};

static const char *const x_names[COMPARE_X_COUNT] = {
    [COMPARE_EPOCH] = "epoch",
    [COMPARE_STEP] = "step",
    [COMPARE_IMAGES] = "images",
    [COMPARE_SECONDS] = "seconds",
};

const char *compare_metric_name(enum compare_metric metric) {
    return metric_names[metric];
}

const char *compare_x_name(enum compare_x x) {
    return x_names[x];
}

static int find_name(const char *const *names, int n, const char *name) {
    int i = 0;
    while (i < n && strcmp(names[i], name) != 0) {
        i++;
    }
    return i;
}

bool compare_metric_from_name(const char *name, enum compare_metric *ret) {
    int i = find_name(metric_names, COMPARE_METRIC_COUNT, name);
    if (i < COMPARE_METRIC_COUNT) {
        *ret = (enum compare_metric)i;
    }
    return i < COMPARE_METRIC_COUNT;
}

bool compare_x_from_name(const char *name, enum compare_x *ret) {
    int i = find_name(x_names, COMPARE_X_COUNT, name);
    if (i < COMPARE_X_COUNT) {
        *ret = (enum compare_x)i;
    }
    return i < COMPARE_X_COUNT;
}

struct compare_stat compare_stat_of(const double *values, size_t n) {
    struct compare_stat stat = {.mean = UNKNOWN, .std = UNKNOWN, .min = UNKNOWN, .max = UNKNOWN};
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(values[i])) {
            sum += values[i];
            stat.min = fmin(stat.min, values[i]); /* fmin and fmax pass over NaN */
            stat.max = fmax(stat.max, values[i]);
            stat.n++;
        }
    }
    if (stat.n > 0) {
        stat.mean = sum / stat.n;
    }
    if (stat.n > 1) {
        double squares = 0;
        for (size_t i = 0; i < n; i++) {
            double distance = isfinite(values[i]) ? values[i] - stat.mean : 0;
            squares += distance * distance;
        }
        stat.std = sqrt(squares / (stat.n - 1));
    }
    return stat;
}

static double share_of(int wrong, int total) {
    return total > 0 ? (double)wrong / total : UNKNOWN;
}

static double metric_of(enum compare_metric metric, const struct epoch_row *row) {
    switch (metric) {
    case COMPARE_VAL_ERROR:
        return share_of(row->report.val_wrong, row->report.val_total);
    case COMPARE_VAL_LOSS:
        return row->report.val_loss;
    case COMPARE_TRAIN_LOSS:
        return row->report.train_loss;
    case COMPARE_VAL_ERROR_TTA:
        return share_of(row->report.tta_wrong, row->report.tta_total);
    case COMPARE_VAL_ERROR_EMA:
        return share_of(row->report.ema_wrong, row->report.ema_total);
    case COMPARE_TRAIN_ACCURACY:
    case COMPARE_METRIC_COUNT:
        break;
    }
    return row->report.train_accuracy;
}

/* False also when one of them is NaN. */
static bool is_as_good(enum compare_metric metric, double value, double target) {
    return metric == COMPARE_TRAIN_ACCURACY ? value >= target : value <= target;
}

static double finite_or_zero(double value) {
    return isfinite(value) ? value : 0;
}

/* Of one epoch, which may have had other images and steps than the next. */
static double images_of(const struct epoch_row *row) {
    return row->report.images > 0 ? (double)row->report.images : UNKNOWN;
}

static double steps_of(const struct epoch_row *row) {
    return row->report.steps > 0 ? row->report.steps : UNKNOWN;
}

/* What one run contributes to its group; NaN where there is nothing. */
struct run_result {
    double best;
    double target_epoch, target_images, target_seconds;
    double total_seconds, seconds_per_epoch, images_per_second;
};

static struct run_result measure_run(const struct compare_request *request,
                                     const struct compare_run *run) {
    struct run_result r = {UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN};
    double seconds = 0;
    double images = 0; /* NaN from the first epoch on whose images nobody knows */
    for (size_t i = 0; i < run->epochs->n; i++) {
        const struct epoch_row *row = &run->epochs->rows[i];
        double value = metric_of(request->metric, row);
        seconds += finite_or_zero(row->report.seconds);
        images += images_of(row);
        if (isfinite(value) && (isnan(r.best) || is_as_good(request->metric, value, r.best))) {
            r.best = value;
        }
        if (isnan(r.target_epoch) && is_as_good(request->metric, value, request->target)) {
            r.target_epoch = row->report.epoch;
            r.target_images = images;
            r.target_seconds = seconds;
        }
    }
    if (run->epochs->n > 0) {
        double n_epochs = (double)run->epochs->n;
        r.total_seconds = seconds;
        r.seconds_per_epoch = seconds / n_epochs;
        r.images_per_second = seconds > 0 ? images / seconds : UNKNOWN;
    }
    return r;
}

/* The statistics over the runs of one member of struct run_result. */
static struct compare_stat stat_over(const struct run_result *results, size_t n, size_t offset,
                                     double *scratch) {
    for (size_t i = 0; i < n; i++) {
        memcpy(&scratch[i], (const char *)&results[i] + offset, sizeof(double));
    }
    return compare_stat_of(scratch, n);
}

#define STAT(member) stat_over(results, n, offsetof(struct run_result, member), scratch)

/* results[n_runs] of this group's runs, scratch[n_runs]. */
static void summarise(struct compare_group *group, const struct run_result *results,
                      double *scratch) {
    size_t n = group->n_runs;
    group->best = STAT(best);
    group->to_target.epochs = STAT(target_epoch);
    group->to_target.images = STAT(target_images);
    group->to_target.seconds = STAT(target_seconds);
    group->to_target.n_reached = group->to_target.epochs.n;
    group->total_seconds = STAT(total_seconds);
    group->seconds_per_epoch = STAT(seconds_per_epoch);
    group->images_per_second = STAT(images_per_second);
    group->difference = compare_stat_of(NULL, 0);
}

#undef STAT

/* The row of this epoch, looked for from *at on, which moves along; NULL: there is none. */
static const struct epoch_row *row_of_epoch(const struct epoch_list *list, int epoch, size_t *at) {
    while (*at < list->n && list->rows[*at].report.epoch < epoch) {
        (*at)++;
    }
    return *at < list->n && list->rows[*at].report.epoch == epoch ? &list->rows[*at] : NULL;
}

/* How much further one epoch of a run brings the curve along its x. */
static double advance_of(enum compare_x x, const struct epoch_row *row) {
    switch (x) {
    case COMPARE_STEP:
        return steps_of(row);
    case COMPARE_IMAGES:
        return images_of(row);
    case COMPARE_SECONDS:
        return finite_or_zero(row->report.seconds);
    case COMPARE_EPOCH:
    case COMPARE_X_COUNT:
        break;
    }
    return 1;
}

static int last_epoch(const struct compare_run *runs, const struct compare_group *group) {
    int last = 0;
    for (size_t i = 0; i < group->n_runs; i++) {
        const struct epoch_list *list = runs[group->runs[i]].epochs;
        int epoch = list->n > 0 ? list->rows[list->n - 1].report.epoch : 0;
        last = epoch > last ? epoch : last;
    }
    return last;
}

/* scratch[2 * n_runs], at[n_runs] zeroed.
 *
 * The x of a point is the sum of the epochs' means over the runs that have them. For runs of equal
 * length that is the mean of the runs' sums, and where a short run ends the curve still only goes
 * forward. */
static enum status draw_curve(const struct compare_request *request, const struct compare_run *runs,
                              struct compare_group *group, double *scratch, size_t *at,
                              struct error *error) {
    int last = last_epoch(runs, group);
    group->points = calloc(last > 0 ? (size_t)last : 1, sizeof(*group->points));
    if (!group->points) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for %d points", last);
    }
    double *values = scratch;
    double *advances = scratch + group->n_runs;
    double x = 0;
    for (int epoch = 1; epoch <= last; epoch++) {
        bool found = false;
        for (size_t i = 0; i < group->n_runs; i++) {
            const struct epoch_list *list = runs[group->runs[i]].epochs;
            const struct epoch_row *row = row_of_epoch(list, epoch, &at[i]);
            values[i] = row ? metric_of(request->metric, row) : UNKNOWN;
            advances[i] = row ? advance_of(request->x, row) : UNKNOWN;
            found |= row != NULL;
        }
        if (found) {
            struct compare_point *point = &group->points[group->n_points++];
            x += compare_stat_of(advances, group->n_runs).mean;
            point->epoch = epoch;
            point->value = compare_stat_of(values, group->n_runs);
            point->x = request->x == COMPARE_EPOCH ? epoch : x;
        }
    }
    return STATUS_OK;
}

/* The mean best of the group's runs of this seed; NaN: none. */
static double best_of_seed(const struct compare_group *group, const struct compare_run *runs,
                           const struct run_result *results, uint64_t seed) {
    double sum = 0;
    int n = 0;
    for (size_t i = 0; i < group->n_runs; i++) {
        size_t run = group->runs[i];
        if (runs[run].row->seed == seed && isfinite(results[run].best)) {
            sum += results[run].best;
            n++;
        }
    }
    return n > 0 ? sum / n : UNKNOWN;
}

/* One difference a seed, however many runs a group has of it. scratch[n_runs of the group]. */
static void pair_with(const struct compare_group *baseline, const struct compare_run *runs,
                      const struct run_result *results, struct compare_group *group,
                      double *scratch) {
    size_t n = 0;
    for (size_t i = 0; i < group->n_runs; i++) {
        uint64_t seed = runs[group->runs[i]].row->seed;
        bool first = true;
        for (size_t j = 0; j < i; j++) {
            first &= runs[group->runs[j]].row->seed != seed;
        }
        if (first) {
            scratch[n++] = best_of_seed(group, runs, results, seed) -
                           best_of_seed(baseline, runs, results, seed);
        }
    }
    group->difference = compare_stat_of(scratch, n);
}

/* Whether the user may mean this group: its label, the value of its one field, the run's id. */
static bool is_baseline(const struct compare_request *request, const struct compare_group *group) {
    if (strcmp(group->label, request->baseline) == 0) {
        return true;
    }
    if (request->each_run) {
        size_t n = strlen(request->baseline);
        return strlen(group->values[0]) == n + 2 &&
               strncmp(group->values[0] + 1, request->baseline, n) == 0;
    }
    const char *value = request->n_fields == 1 ? strchr(group->label, '=') : NULL;
    return value && strcmp(value + 1, request->baseline) == 0;
}

static enum status find_baseline(const struct compare_request *request,
                                 struct comparison *comparison, struct error *error) {
    comparison->baseline = -1;
    if (!request->baseline) {
        return STATUS_OK;
    }
    char known[384] = "";
    size_t used = 0;
    for (size_t i = 0; i < comparison->n_groups; i++) {
        const struct compare_group *group = &comparison->groups[i];
        if (is_baseline(request, group)) {
            comparison->baseline = (int)i;
            return STATUS_OK;
        }
        if (used + strlen(group->label) + 3 < sizeof(known)) { /* whole labels only */
            used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "",
                                     group->label);
        }
    }
    return error_set(error, STATUS_NOT_FOUND, "there is no such group, but: %s",
                     known[0] ? known : "none");
}

/* Room for all groups at once, so that nothing is allocated a group. */
struct workspace {
    struct run_result *results; /* [n_runs], by index of the run */
    struct run_result *ordered; /* [n_runs], those of one group in its order */
    double *scratch;            /* [2 * n_runs] */
    size_t *at;                 /* [n_runs] */
};

static void workspace_clear(struct workspace *workspace) {
    free(workspace->results);
    free(workspace->ordered);
    free(workspace->scratch);
    free(workspace->at);
}

static enum status fill(const struct compare_request *request, const struct compare_run *runs,
                        size_t n_runs, struct comparison *comparison, struct error *error) {
    CLEANUP(workspace_clear)
    struct workspace w = {calloc(n_runs, sizeof(*w.results)), calloc(n_runs, sizeof(*w.ordered)),
                          calloc(2 * n_runs, sizeof(*w.scratch)), calloc(n_runs, sizeof(*w.at))};
    if (!w.results || !w.ordered || !w.scratch || !w.at) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to compare %zu runs", n_runs);
    }
    for (size_t i = 0; i < n_runs; i++) {
        w.results[i] = measure_run(request, &runs[i]);
    }
    for (size_t i = 0; i < comparison->n_groups; i++) {
        struct compare_group *group = &comparison->groups[i];
        for (size_t j = 0; j < group->n_runs; j++) {
            w.ordered[j] = w.results[group->runs[j]];
            group->n_diverged += runs[group->runs[j]].row->diverged;
        }
        summarise(group, w.ordered, w.scratch);
        memset(w.at, 0, n_runs * sizeof(*w.at));
        TRY(draw_curve(request, runs, group, w.scratch, w.at, error));
    }
    TRY(find_baseline(request, comparison, error));
    for (size_t i = 0; comparison->baseline >= 0 && i < comparison->n_groups; i++) {
        pair_with(&comparison->groups[comparison->baseline], runs, w.results,
                  &comparison->groups[i], w.scratch);
    }
    return STATUS_OK;
}

enum status compare_make(const struct compare_request *request, const struct compare_run *runs,
                         size_t n_runs, struct comparison *ret, struct error *error) {
    CLEANUP(comparison_clear) struct comparison comparison = {.baseline = -1};
    TRY(compare_group_runs(request, runs, n_runs, &comparison, error));
    if (n_runs > 0) {
        TRY(fill(request, runs, n_runs, &comparison, error));
    } else {
        TRY(find_baseline(request, &comparison, error));
    }
    *ret = comparison;
    comparison = (struct comparison){0};
    return STATUS_OK;
}

void comparison_clear(struct comparison *comparison) {
    for (size_t i = 0; i < comparison->n_groups; i++) {
        compare_group_clear(&comparison->groups[i]);
    }
    free(comparison->groups);
    memset(comparison, 0, sizeof(*comparison));
}
