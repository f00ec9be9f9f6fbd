/* Layer: api. */
#include "api/view/figure_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool figure_is_ratio(enum compare_metric metric) {
    return metric != COMPARE_VAL_LOSS && metric != COMPARE_TRAIN_LOSS;
}

static const char *metric_label(enum compare_metric metric, bool percent) {
    switch (metric) {
    case COMPARE_VAL_ERROR:
        return percent ? "validation error, %" : "validation error";
    case COMPARE_VAL_LOSS:
        return "validation loss";
    case COMPARE_TRAIN_LOSS:
        return "training loss";
    case COMPARE_TRAIN_ACCURACY:
        return percent ? "training accuracy, %" : "training accuracy";
    case COMPARE_VAL_ERROR_TTA:
        return percent ? "validation error with the mirror image, %"
                       : "validation error with the mirror image";
    case COMPARE_VAL_ERROR_EMA:
        return percent ? "validation error of the averaged weights, %"
                       : "validation error of the averaged weights";
    case COMPARE_METRIC_COUNT:
        break;
    }
    return "";
}

/* The unit of the axis, so that its numbers stay short. */
const char *figure_axis_name(enum compare_x x, double most, double *ret_per) {
    static const struct {
        double from, per;
        const char *images, *steps;
    } counts[] = {{2e6, 1e6, "million images, all copies counted", "million steps"},
                  {2e4, 1e3, "thousand images, all copies counted", "thousand steps"},
                  {0, 1, "images, all copies counted", "step"}};
    size_t i = most >= counts[0].from ? 0 : most >= counts[1].from ? 1 : 2;
    *ret_per = 1;
    switch (x) {
    case COMPARE_SECONDS:
        *ret_per = most >= 7200 ? 3600 : most >= 600 ? 60 : 1;
        return most >= 7200  ? "hours of training"
               : most >= 600 ? "minutes of training"
                             : "seconds of training";
    case COMPARE_IMAGES:
        *ret_per = counts[i].per;
        return counts[i].images;
    case COMPARE_STEP:
        *ret_per = counts[i].per;
        return counts[i].steps;
    case COMPARE_EPOCH:
    case COMPARE_X_COUNT:
        break;
    }
    return "epoch";
}

/* A value of JSON as people write it: without quotes, and of long fractions what one can tell
 * apart.
 */
static void write_value(const char *value, char text[FIGURE_LABEL_SIZE]) {
    char *end = NULL;
    size_t n = strlen(value);
    double number = strtod(value, &end);
    bool quoted = n >= 2 && value[0] == '"';
    if (n > 8 && *end == '\0' && strpbrk(value, ".e")) {
        (void)snprintf(text, FIGURE_LABEL_SIZE, "%.4g", number);
    } else {
        (void)snprintf(text, FIGURE_LABEL_SIZE, "%.*s", (int)(quoted ? n - 2 : n), value + quoted);
    }
}

bool figure_has_one_field(const struct compare_request *request) {
    return request->each_run || request->n_fields == 1;
}

/* "M 8", "lr 0.1"; of several fields the values, "M 8, aliased", as the heading names them; a run's
 * own name where each is a group. */
void figure_write_label(const struct compare_request *request, const struct compare_group *group,
                        char text[FIGURE_LABEL_SIZE]) {
    size_t used = 0;
    (void)snprintf(text, FIGURE_LABEL_SIZE, "%s", group->label);
    for (int i = 0; i < request->n_fields && !request->each_run && used < FIGURE_LABEL_SIZE; i++) {
        char value[FIGURE_LABEL_SIZE];
        bool is_m = strcmp(request->fields[i], "m") == 0;
        write_value(group->values[i], value);
        used += (size_t)snprintf(text + used, FIGURE_LABEL_SIZE - used, "%s%s%s%s", i ? ", " : "",
                                 is_m                            ? "M "
                                 : figure_has_one_field(request) ? request->fields[i]
                                                                 : "",
                                 !is_m && figure_has_one_field(request) ? " " : "", value);
    }
}

/* "validation error, %", and what several fields the labels are of. */
void figure_write_heading(const struct compare_request *request, bool percent,
                          char text[FIGURE_LABEL_SIZE]) {
    size_t used =
        (size_t)snprintf(text, FIGURE_LABEL_SIZE, "%s", metric_label(request->metric, percent));
    for (int i = 0;
         i < request->n_fields && !figure_has_one_field(request) && used < FIGURE_LABEL_SIZE; i++) {
        bool is_m = strcmp(request->fields[i], "m") == 0;
        used += (size_t)snprintf(text + used, FIGURE_LABEL_SIZE - used, "%s%s", i ? ", " : ", by ",
                                 is_m ? "M" : request->fields[i]);
    }
}

/* The value alone, where it is short enough to stand below a dot. */
void figure_write_mark(const struct compare_request *request, const struct compare_group *group,
                       char text[FIGURE_MARK_SIZE]) {
    char value[FIGURE_LABEL_SIZE] = "";
    if (figure_has_one_field(request)) {
        write_value(group->values[0], value);
    }
    (void)snprintf(text, FIGURE_MARK_SIZE, "%.*s", FIGURE_MARK_SIZE - 1,
                   strlen(value) < FIGURE_MARK_SIZE ? value : "");
}
