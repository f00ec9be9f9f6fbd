/* GET /compare: which setting is best, how long it took, how sure that is. Layer: api. */
#include "api/compare/routes_compare.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/query/compare_query.h"
#include "core/base/cleanup.h"
#include "core/base/text_stream.h"

/* Of a CSV: epochs by groups. */
enum { COMPARE_MAX_CELLS = 5000000 };

/* {"mean":..,"std":..,"min":..,"max":..,"n":..}; without the object's brackets. */
static void write_stat_members(struct json_writer *writer, const struct compare_stat *stat) {
    json_write_number(writer, "mean", stat->mean);
    json_write_number(writer, "std", stat->std);
    json_write_number(writer, "min", stat->min);
    json_write_number(writer, "max", stat->max);
    json_write_int(writer, "n", stat->n);
}

static void write_stat(struct json_writer *writer, const char *key,
                       const struct compare_stat *stat) {
    json_write_object(writer, key);
    write_stat_members(writer, stat);
    json_write_end(writer, '}');
}

static void write_run_ids(struct json_writer *writer, const struct compare_query *query,
                          const struct compare_group *group) {
    json_write_array(writer, "runs");
    for (size_t i = 0; i < group->n_runs; i++) {
        json_write_id(writer, NULL, query->set.rows[group->runs[i]].id);
    }
    json_write_end(writer, ']');
}

static void write_points(struct json_writer *writer, const struct compare_group *group) {
    json_write_array(writer, "points");
    for (size_t i = 0; i < group->n_points; i++) {
        json_write_object(writer, NULL);
        json_write_number(writer, "x", group->points[i].x);
        json_write_int(writer, "epoch", group->points[i].epoch);
        write_stat_members(writer, &group->points[i].value);
        json_write_end(writer, '}');
    }
    json_write_end(writer, ']');
}

/* One of the three ways to count how long the target took. */
static void write_reached(struct json_writer *writer, const char *key,
                          const struct compare_group *group, const struct compare_stat *stat) {
    json_write_object(writer, key);
    json_write_number(writer, "mean", stat->mean);
    json_write_number(writer, "std", stat->std);
    json_write_number(writer, "min", stat->min);
    json_write_number(writer, "max", stat->max);
    json_write_int(writer, "n_reached", group->to_target.n_reached);
    json_write_int(writer, "n", (int64_t)group->n_runs);
    json_write_end(writer, '}');
}

static void write_target(struct json_writer *writer, const struct compare_query *query,
                         const struct compare_group *group) {
    if (isnan(query->request.target)) {
        json_write_null(writer, "to_target");
        return;
    }
    json_write_object(writer, "to_target");
    write_reached(writer, "epochs", group, &group->to_target.epochs);
    write_reached(writer, "images", group, &group->to_target.images);
    write_reached(writer, "seconds", group, &group->to_target.seconds);
    json_write_end(writer, '}');
}

static void write_group(struct json_writer *writer, const struct compare_query *query,
                        const struct comparison *comparison, const struct compare_group *group) {
    json_write_object(writer, NULL);
    json_write_object(writer, "key");
    for (int i = 0; i < query->request.n_fields && !query->request.each_run; i++) {
        json_write_raw(writer, query->request.fields[i], group->values[i]);
    }
    if (query->request.each_run) {
        json_write_raw(writer, "run", group->values[0]);
    }
    json_write_end(writer, '}');
    json_write_string(writer, "label", group->label);
    write_run_ids(writer, query, group);
    json_write_int(writer, "n", (int64_t)group->n_runs);
    json_write_int(writer, "n_diverged", group->n_diverged);
    write_stat(writer, "best", &group->best);
    write_target(writer, query, group);
    write_stat(writer, "total_seconds", &group->total_seconds);
    write_stat(writer, "seconds_per_epoch", &group->seconds_per_epoch);
    write_stat(writer, "images_per_second", &group->images_per_second);
    if (comparison->baseline >= 0) {
        write_stat(writer, "versus_baseline", &group->difference);
    } else {
        json_write_null(writer, "versus_baseline");
    }
    write_points(writer, group);
    json_write_end(writer, '}');
}

static void reply_comparison(struct reply *reply, const struct request *request,
                             const struct compare_query *query,
                             const struct comparison *comparison) {
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_string(&writer, "metric", compare_metric_name(query->request.metric));
    json_write_string(&writer, "x", compare_x_name(query->request.x));
    json_write_number(&writer, "target", query->request.target);
    json_write_array(&writer, "group_by");
    for (int i = 0; i < query->request.n_fields && !query->request.each_run; i++) {
        json_write_string(&writer, NULL, query->request.fields[i]);
    }
    json_write_end(&writer, ']');
    config_diff_write(&writer, "varies", &query->varies);
    json_write_string(&writer, "baseline",
                      comparison->baseline >= 0 ? comparison->groups[comparison->baseline].label
                                                : NULL);
    json_write_array(&writer, "groups");
    for (size_t i = 0; i < comparison->n_groups; i++) {
        write_group(&writer, query, comparison, &comparison->groups[i]);
    }
    json_write_end(&writer, ']');
    json_write_end(&writer, '}');
    reply_json(reply, request, 200, &writer);
}

/* CSV */

/* The label as a column's name: "m=2 copies=aliased" is m2_copiesaliased, for pgfplots takes
 * letters, digits, '.', '-' and '_' without braces. `index` distinguishes one that another group
 * has; 0: it need not. NULL when memory is out. */
static char *column_name(const char *label, size_t index) {
    char *name = NULL;
    CLEANUP(free_pointer) char *plain = calloc(1, strlen(label) + 1);
    size_t n = 0;
    for (; plain && *label; label++) {
        if (*label != '=') {
            bool good = isalnum((unsigned char)*label) || strchr(".-_", *label);
            plain[n++] = (char)(good ? *label : '_');
        }
    }
    if (!plain ||
        (index > 0 ? asprintf(&name, "%s_%zu", plain, index) : asprintf(&name, "%s", plain)) < 0) {
        return NULL;
    }
    return name;
}

struct names {
    size_t n;
    char **items;
};

static void names_clear(struct names *names) {
    for (size_t i = 0; i < names->n; i++) {
        free(names->items[i]);
    }
    free(names->items);
}

static bool is_among(const struct names *names, const char *name) {
    for (size_t i = 0; i < names->n; i++) {
        if (strcmp(names->items[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* False when memory is out. */
static bool make_names(const struct comparison *comparison, struct names *ret_names) {
    ret_names->items = calloc(comparison->n_groups + 1, sizeof(*ret_names->items));
    for (size_t i = 0; ret_names->items && i < comparison->n_groups; i++) {
        char *name = column_name(comparison->groups[i].label, 0);
        if (name && is_among(ret_names, name)) {
            free(name);
            name = column_name(comparison->groups[i].label, i + 1);
        }
        if (!name) {
            return false;
        }
        ret_names->items[ret_names->n++] = name;
    }
    return ret_names->items != NULL;
}

/* What is not finite is an empty cell, as in the JSON null. */
static void print_number(FILE *out, double value) {
    char text[JSON_NUMBER_SIZE];
    (void)fprintf(out, ",%s", isfinite(value) ? number_format(value, text) : "");
}

static void print_head(FILE *out, const struct compare_query *query, const struct names *names) {
    (void)fputs("epoch", out);
    for (size_t i = 0; i < names->n; i++) {
        const char *name = names->items[i];
        if (query->request.x != COMPARE_EPOCH) {
            (void)fprintf(out, ",%s_%s", name, compare_x_name(query->request.x));
        }
        (void)fprintf(out, ",%s_mean,%s_std,%s_n", name, name, name);
    }
    (void)fputc('\n', out);
}

static void print_cells(FILE *out, const struct compare_query *query,
                        const struct compare_point *point) {
    if (query->request.x != COMPARE_EPOCH) {
        print_number(out, point ? point->x : (double)NAN);
    }
    print_number(out, point ? point->value.mean : (double)NAN);
    print_number(out, point ? point->value.std : (double)NAN);
    (void)fprintf(out, ",%d", point ? point->value.n : 0);
}

static int last_epoch(const struct comparison *comparison) {
    int last = 0;
    for (size_t i = 0; i < comparison->n_groups; i++) {
        const struct compare_group *group = &comparison->groups[i];
        int epoch = group->n_points > 0 ? group->points[group->n_points - 1].epoch : 0;
        last = epoch > last ? epoch : last;
    }
    return last;
}

/* One row an epoch. Groups do not share steps, images or seconds, so along those each has a column
 * of its own. NULL when memory is out. */
static char *comparison_csv(const struct compare_query *query, const struct comparison *comparison,
                            int last) {
    char *text = NULL;
    size_t size = 0;
    CLEANUP(names_clear) struct names names = {0};
    CLEANUP(free_pointer) size_t *at = calloc(comparison->n_groups + 1, sizeof(*at));
    FILE *out = at && make_names(comparison, &names) ? text_stream_open(&text, &size) : NULL;
    if (!out) {
        return NULL;
    }
    print_head(out, query, &names);
    for (int epoch = 1; epoch <= last; epoch++) {
        (void)fprintf(out, "%d", epoch);
        for (size_t i = 0; i < comparison->n_groups; i++) {
            const struct compare_group *group = &comparison->groups[i];
            bool here = at[i] < group->n_points && group->points[at[i]].epoch == epoch;
            print_cells(out, query, here ? &group->points[at[i]] : NULL);
            at[i] += here;
        }
        (void)fputc('\n', out);
    }
    return text_stream_close(out, &text);
}

/* The table has a cell for each epoch of the longest group in each group, also where a group has
 * none, so a few epochs in many groups can make a large one. */
static void reply_csv(struct reply *reply, const struct request *request,
                      const struct compare_query *query, const struct comparison *comparison) {
    int last = last_epoch(comparison);
    int64_t n_cells = (int64_t)last * (int64_t)comparison->n_groups;
    if (n_cells > COMPARE_MAX_CELLS) {
        reply_problem(
            reply, request, STATUS_INVALID,
            "A table of %d epochs in %zu groups has %" PRId64 " cells; at most %d are written. "
            "Make fewer groups (group_by=), give fewer runs (ids=), or ask for JSON, which "
            "has the epochs that there are and no others.",
            last, comparison->n_groups, n_cells, COMPARE_MAX_CELLS);
        return;
    }
    reply_text(reply, request, 200, CONTENT_CSV, comparison_csv(query, comparison, last));
}

void route_compare(struct api_context *context, const struct request *request,
                   struct reply *reply) {
    struct error error;
    char format[8];
    CLEANUP(compare_query_clear) struct compare_query query = {0};
    CLEANUP(comparison_clear) struct comparison comparison = {0};
    if (!compare_query_read(context, request, reply, &query)) {
        return;
    }
    if (request_format(request, "json, csv", format, &error) != STATUS_OK) {
        reply_bad_argument(reply, request, "format", "%s.", error.message);
        return;
    }
    char state[sizeof(query.tag) + sizeof(format)];
    (void)snprintf(state, sizeof(state), "%s-%s", query.tag, format);
    if (reply_tag_state(reply, request, context->options.commit, state) ||
        (query.n_epochs > COMPARE_QUICK_EPOCHS && reply_leave_to_slow(reply, request)) ||
        !compare_query_run(context, request, reply, &query, &comparison)) {
        return;
    }
    if (strcmp(format, "csv") == 0) {
        reply_csv(reply, request, &query, &comparison);
    } else {
        reply_comparison(reply, request, &query, &comparison);
    }
}
