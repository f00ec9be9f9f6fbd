/* GET /figures/validation-error.svg, .png, .pdf: the curves of a comparison. Layer: api. */
#include "api/compare/routes_compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/figure/plot.h"
#include "api/query/compare_query.h"
#include "api/query/figure_query.h"
#include "api/view/figure_words.h"
#include "core/base/cleanup.h"
#include "daemon/store/table/sweep_table.h"

/* Larger pictures are left to the threads for what takes long. */
enum { QUICK_SQUARE_POINTS = 800 * 600 };

struct figure {
    const struct figure_query *look;
    const struct compare_query *query;
    const struct comparison *groups;
    struct comparison runs; /* each for itself, in the order of the query's set */
    double x_per;           /* what a step of the axis stands for */
    double y_times;         /* 100 for percent */

    struct plot_series *series; /* [n_series] */
    size_t n_series;
    struct plot_point *points; /* of all groups */
    struct plot_point *seed_points;
    struct plot_seed *seeds;
    double *smooth;
    char (*labels)[FIGURE_LABEL_SIZE];
    char (*marks)[FIGURE_MARK_SIZE];
    struct halving_state halving; /* of the sweep, if it is one by halving */
    struct plot_rung *rungs;
    const char **values; /* of the field that groups are told apart by */
    struct look *looks;
};

static void figure_clear(struct figure *figure) {
    comparison_clear(&figure->runs);
    free(figure->series);
    free(figure->points);
    free(figure->seed_points);
    free(figure->seeds);
    free(figure->smooth);
    free(figure->labels);
    free(figure->marks);
    free(figure->values);
    free(figure->looks);
    free(figure->rungs);
    halving_state_clear(&figure->halving);
}

/* ---- words and units ---- */

static double largest_x(const struct comparison *comparison) {
    double most = 0;
    for (size_t i = 0; i < comparison->n_groups; i++) {
        for (size_t k = 0; k < comparison->groups[i].n_points; k++) {
            most = fmax(most, comparison->groups[i].points[k].x); /* passes over NaN */
        }
    }
    return most;
}

/* By its label, or by the value of its one field (the run's id). */
static bool is_hidden(const struct figure *figure, const struct compare_group *group) {
    const char *value = figure_has_one_field(&figure->query->request) ? group->values[0] : "";
    size_t n = strlen(value);
    bool quoted = n >= 2 && value[0] == '"';
    return figure_query_hides(figure->look, group->label, strlen(group->label)) ||
           (n > 0 && figure_query_hides(figure->look, value + quoted, quoted ? n - 2 : n));
}

/* ---- points ---- */

/* Whether a run of the group was left behind at this epoch. */
static bool is_paused(const struct figure *figure, const struct compare_group *group, int epoch) {
    bool paused = false;
    for (size_t i = 0; i < figure->halving.n_pauses; i++) {
        const struct halving_pause *pause = &figure->halving.pauses[i];
        for (size_t k = 0; k < group->n_runs && pause->epochs == epoch; k++) {
            paused |= figure->query->set.rows[group->runs[k]].id == pause->run_id;
        }
    }
    return paused;
}

static struct plot_point point_of(const struct figure *figure, const struct compare_point *p) {
    return (struct plot_point){.x = p->x / figure->x_per,
                               .mean = p->value.mean * figure->y_times,
                               .std = p->value.std * figure->y_times,
                               .n = p->value.n};
}

static int compare_numbers(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of the neighbours: it invents no value. As the page does it. */
static double median_near(const struct plot_point *points, size_t n, size_t at, int64_t width) {
    double near[FIGURE_MOST_SMOOTH + 1];
    size_t half = (size_t)width / 2;
    size_t n_near = 0;
    size_t first = at > half ? at - half : 0;
    for (size_t i = first; i < n && i <= at + half && isfinite(points[at].mean); i++) {
        if (isfinite(points[i].mean)) {
            near[n_near++] = points[i].mean;
        }
    }
    qsort(near, n_near, sizeof(near[0]), compare_numbers);
    return n_near > 0 ? near[n_near / 2] : (double)NAN;
}

static double reached_x(const struct figure *figure, const struct compare_group *group) {
    switch (figure->query->request.x) {
    case COMPARE_EPOCH:
        return group->to_target.epochs.mean / figure->x_per;
    case COMPARE_IMAGES:
        return group->to_target.images.mean / figure->x_per;
    case COMPARE_SECONDS:
        return group->to_target.seconds.mean / figure->x_per;
    case COMPARE_STEP: /* nobody counts these */
    case COMPARE_X_COUNT:
        break;
    }
    return (double)NAN;
}

/* Where the next points, seeds and smoothed values go. */
struct places {
    struct plot_point *point, *seed_point;
    struct plot_seed *seed;
    double *smooth;
};

static void add_seeds(const struct figure *figure, const struct compare_group *group,
                      struct plot_series *series, struct places *places) {
    series->seeds = places->seed;
    for (size_t i = 0; i < group->n_runs && group->n_runs > 1; i++) {
        const struct compare_group *run = &figure->runs.groups[group->runs[i]];
        *places->seed++ = (struct plot_seed){places->seed_point, run->n_points};
        series->n_seeds++;
        for (size_t k = 0; k < run->n_points; k++) {
            *places->seed_point++ = point_of(figure, &run->points[k]);
        }
    }
}

static void add_series(struct figure *figure, size_t index, const struct look *look,
                       struct places *places) {
    const struct compare_group *group = &figure->groups->groups[index];
    struct plot_series *series = &figure->series[figure->n_series++];
    figure_write_label(&figure->query->request, group, figure->labels[index]);
    figure_write_mark(&figure->query->request, group, figure->marks[index]);
    *series = (struct plot_series){
        .label = figure->labels[index],
        .mark = figure->marks[index][0] ? figure->marks[index] : NULL,
        .look = *look,
        .points = places->point,
        .n = group->n_points,
        .best = group->best.mean,
        .reached = isfinite(figure->query->request.target) ? reached_x(figure, group) : (double)NAN,
    };
    for (size_t k = 0; k < group->n_points; k++) {
        *places->point = point_of(figure, &group->points[k]);
        places->point->paused = is_paused(figure, group, group->points[k].epoch);
        places->point++;
    }
    if (figure->look->each_seed) {
        add_seeds(figure, group, series, places);
    }
    if (figure->look->smooth > 1) {
        series->smooth = places->smooth;
        for (size_t k = 0; k < series->n; k++) {
            *places->smooth++ = median_near(series->points, series->n, k, figure->look->smooth);
        }
    }
}

static bool differ_in_m_alone(const struct compare_request *request, int of_m,
                              const struct compare_group *a, const struct compare_group *b) {
    bool same = true;
    for (int i = 0; i < request->n_fields; i++) {
        same &= i == of_m || strcmp(a->values[i], b->values[i]) == 0;
    }
    return same;
}

/* Several fields with M among them: M gives the colour, what else there is the dash. False: that is
 * not so, or there are too few dashes. */
static bool choose_by_m_and_rest(struct figure *figure) {
    const struct compare_request *request = &figure->query->request;
    const struct compare_group *rests[LOOKS_DASHES];
    size_t n_rests = 0;
    size_t n = 0;
    int of_m = 0;
    while (of_m < request->n_fields && strcmp(request->fields[of_m], "m") != 0) {
        of_m++;
    }
    bool good = !request->each_run && request->n_fields > 1 && of_m < request->n_fields;
    for (size_t i = 0; i < figure->groups->n_groups && good; i++) {
        const struct compare_group *group = &figure->groups->groups[i];
        size_t rest = 0;
        while (rest < n_rests && !differ_in_m_alone(request, of_m, group, rests[rest])) {
            rest++;
        }
        good = rest < LOOKS_DASHES;
        if (good && rest == n_rests) {
            rests[n_rests++] = group;
        }
        if (good && group->n_points > 0) {
            double m = strtod(group->values[of_m], NULL);
            figure->looks[n++] = look_of_m_and_rest(m, rest, figure->look->dark);
        }
    }
    return good;
}

/* A group without an epoch takes no colour. */
static void choose_looks(struct figure *figure) {
    if (choose_by_m_and_rest(figure)) {
        return;
    }
    const struct compare_request *request = &figure->query->request;
    const char *field = !request->each_run && request->n_fields == 1 ? request->fields[0] : NULL;
    size_t n = 0;
    for (size_t i = 0; i < figure->groups->n_groups; i++) {
        if (figure->groups->groups[i].n_points > 0) {
            figure->values[n++] = figure->groups->groups[i].values[0];
        }
    }
    looks_choose(field, figure->values, n, figure->look->dark, figure->looks);
}

/* ---- making it ---- */

static enum status compare_runs(struct figure *figure, struct error *error) {
    const struct run_set *set = &figure->query->set;
    struct compare_request request = figure->query->request;
    CLEANUP(free_pointer) struct compare_run *runs = calloc(set->n + 1, sizeof(*runs));
    if (!runs) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the curves of a figure");
    }
    for (size_t i = 0; i < set->n; i++) {
        runs[i] = (struct compare_run){&set->rows[i], &set->epochs[i]};
    }
    request.each_run = true;
    request.baseline = NULL;
    return compare_make(&request, runs, set->n, &figure->runs, error);
}

/* The rungs of the sweep; lines where they are epochs. */
static enum status read_halving(struct api_context *context, struct figure *figure,
                                struct error *error) {
    struct halving_state *halving = &figure->halving;
    if (figure->query->sweep_id == 0) {
        return STATUS_OK;
    }
    TRY(sweep_table_halving(context->options.store, figure->query->sweep_id, halving, error));
    figure->rungs = calloc(halving->n_rungs + 1, sizeof(*figure->rungs));
    for (size_t i = 0; i < halving->n_rungs && figure->rungs; i++) {
        const struct halving_rung *rung = &halving->rungs[i];
        figure->rungs[i] = (struct plot_rung){rung->epochs, rung->n_ranked, rung->n_promoted};
    }
    return figure->rungs
               ? STATUS_OK
               : error_set(error, STATUS_NO_MEMORY, "no memory for the rungs of a figure");
}

static size_t count_points(const struct comparison *comparison) {
    size_t n = 0;
    for (size_t i = 0; i < comparison->n_groups; i++) {
        n += comparison->groups[i].n_points;
    }
    return n;
}

static enum status allocate(struct figure *figure, struct error *error) {
    size_t n_groups = figure->groups->n_groups + 1;
    size_t n_points = count_points(figure->groups) + 1;
    figure->series = calloc(n_groups, sizeof(*figure->series));
    figure->labels = calloc(n_groups, sizeof(*figure->labels));
    figure->marks = calloc(n_groups, sizeof(*figure->marks));
    figure->values = calloc(n_groups, sizeof(char *));
    figure->looks = calloc(n_groups, sizeof(*figure->looks));
    figure->points = calloc(n_points, sizeof(*figure->points));
    figure->smooth = calloc(n_points, sizeof(*figure->smooth));
    figure->seeds = calloc(figure->query->set.n + 1, sizeof(*figure->seeds));
    figure->seed_points = calloc(count_points(&figure->runs) + 1, sizeof(*figure->seed_points));
    bool good = figure->series && figure->labels && figure->marks && figure->values &&
                figure->looks && figure->points && figure->smooth && figure->seeds &&
                figure->seed_points;
    return good ? STATUS_OK
                : error_set(error, STATUS_NO_MEMORY, "no memory for the curves of a figure");
}

static enum status fill(struct figure *figure, struct error *error) {
    if (figure->look->each_seed) {
        TRY(compare_runs(figure, error));
    }
    TRY(allocate(figure, error));
    choose_looks(figure);
    struct places places = {figure->points, figure->seed_points, figure->seeds, figure->smooth};
    const struct look *look = figure->looks;
    for (size_t i = 0; i < figure->groups->n_groups; i++) {
        const struct compare_group *group = &figure->groups->groups[i];
        if (group->n_points > 0 && !is_hidden(figure, group)) {
            add_series(figure, i, look, &places);
        }
        look += group->n_points > 0;
    }
    return STATUS_OK;
}

static enum status draw(struct figure *figure, const char *x_label, enum figure_format format,
                        char **ret_bytes, size_t *ret_n_bytes, struct error *error) {
    static const enum plot_scale scales[] = {[FIGURE_SCALE_AUTO] = PLOT_AUTO,
                                             [FIGURE_SCALE_LINEAR] = PLOT_LINEAR,
                                             [FIGURE_SCALE_LOG] = PLOT_LOG};
    const struct compare_request *request = &figure->query->request;
    const struct figure_query *look = figure->look;
    bool percent = figure->y_times > 1;
    char heading[FIGURE_LABEL_SIZE];
    figure_write_heading(request, percent, heading);
    TRY(fill(figure, error));
    const struct plot plot = {
        .title = look->title,
        .x_label = x_label,
        .x_is_count = request->x != COMPARE_SECONDS && figure->x_per <= 1,
        .x_log = look->x_log,
        .y_label = heading,
        .y_unit = percent ? "%" : "",
        .y_scale = scales[look->y_scale],
        .series = figure->series,
        .n_series = figure->n_series,
        .rungs = figure->rungs,
        .n_rungs = request->x == COMPARE_EPOCH ? figure->halving.n_rungs : 0,
        .target = request->target * figure->y_times,
        .rising = request->metric == COMPARE_TRAIN_ACCURACY,
        .zoom = {look->zoom[0] / figure->x_per, look->zoom[1] / figure->x_per,
                 look->zoom[2] * figure->y_times, look->zoom[3] * figure->y_times},
        .median_of = (int)look->smooth,
        .dark = look->dark,
        .width = (double)look->width,
        .height = (double)look->height,
    };
    return plot_draw(&plot, format, ret_bytes, ret_n_bytes, error);
}

static void reply_curves(struct api_context *context, const struct request *request,
                         struct reply *reply, enum figure_format format,
                         const struct figure_query *look, const struct compare_query *query,
                         const struct comparison *comparison) {
    CLEANUP(figure_clear)
    struct figure figure = {.look = look, .query = query, .groups = comparison, .y_times = 1};
    struct error error;
    char *bytes = NULL;
    size_t n_bytes = 0;
    if (figure_is_ratio(query->request.metric) && !look->fraction) {
        figure.y_times = 100;
    }
    const char *x_label = figure_axis_name(query->request.x, largest_x(comparison), &figure.x_per);
    if (read_halving(context, &figure, &error) != STATUS_OK ||
        draw(&figure, x_label, format, &bytes, &n_bytes, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    reply_bytes(reply, request, figure_content_type(format), bytes, n_bytes);
}

void route_figure_curves(struct api_context *context, const struct request *request,
                         struct reply *reply) {
    static const struct figure_sides sides = {PLOT_MIN_WIDTH, PLOT_MAX_WIDTH, PLOT_MIN_HEIGHT,
                                              PLOT_MAX_HEIGHT};
    CLEANUP(compare_query_clear) struct compare_query query = {0};
    CLEANUP(comparison_clear) struct comparison comparison = {0};
    struct figure_query look;
    enum figure_format format = FIGURE_SVG;
    const char *dot = strrchr(request->url.path, '.');
    (void)figure_format_from_name(dot ? dot + 1 : "", &format);
    if (!figure_query_read(request, reply, &sides, &look) ||
        !compare_query_read(context, request, reply, &query)) {
        return;
    }
    char state[sizeof(query.tag) + 8];
    (void)snprintf(state, sizeof(state), "%s-%.6s", query.tag, dot ? dot + 1 : "");
    if (reply_tag_state(reply, request, context->options.commit, state) ||
        ((query.n_epochs > COMPARE_QUICK_EPOCHS ||
          look.width * look.height > QUICK_SQUARE_POINTS) &&
         reply_leave_to_slow(reply, request))) {
        return;
    }
    if (compare_query_run(context, request, reply, &query, &comparison)) {
        reply_curves(context, request, reply, format, &look, &query, &comparison);
    }
}
