/* Pictures: the validation curves, and what cutout does to an image. Layer: api. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/change/admission.h"
#include "api/figure/instances.h"
#include "api/figure/plot.h"
#include "api/query/arguments.h"
#include "api/query/compare_query.h"
#include "api/routes/routes.h"
#include "core/base/cleanup.h"
#include "core/base/text.h"

/* Larger pictures are left to the threads for what takes long. */
enum { QUICK_SQUARE_POINTS = 800 * 600, QUICK_INSTANCES = 8 };

/* What a figure is drawn with, beside what it shows. */
struct look {
    bool dark;
    int64_t width;
    int64_t height;
    const char *title;
};

/* theme=light|dark. */
static bool read_theme(const struct request *request, struct reply *reply, bool *ret_dark) {
    const char *theme = url_argument(&request->url, "theme");
    *ret_dark = theme && strcmp(theme, "dark") == 0;
    if (theme && !*ret_dark && strcmp(theme, "light") != 0) {
        reply_bad_argument(reply, request, "theme", "theme must be light or dark.");
        return false;
    }
    return true;
}

static bool read_size(const struct request *request, struct reply *reply, const char *name,
                      int64_t least, int64_t most, int64_t *value) {
    if (!arguments_read_count(request, reply, name, most, value)) {
        return false;
    }
    if (*value < least) {
        reply_bad_argument(reply, request, name, "%s must be at least %lld points.", name,
                           (long long)least);
        return false;
    }
    return true;
}

static bool read_look(const struct request *request, struct reply *reply, struct look *look) {
    const char *title = url_argument(&request->url, "title");
    if (title && !text_is_plain(title, strlen(title))) {
        reply_bad_argument(reply, request, "title", "title must be " TEXT_PLAIN_RULE ".");
        return false;
    }
    /* The text width of a paper, in points. */
    *look = (struct look){.width = 490, .height = 300, .title = title ? title : ""};
    return read_theme(request, reply, &look->dark) &&
           read_size(request, reply, "width", PLOT_MIN_WIDTH, PLOT_MAX_WIDTH, &look->width) &&
           read_size(request, reply, "height", PLOT_MIN_HEIGHT, PLOT_MAX_HEIGHT, &look->height);
}

static const char *metric_label(enum compare_metric metric) {
    switch (metric) {
    case COMPARE_VAL_ERROR:
        return "validation error";
    case COMPARE_VAL_LOSS:
        return "validation loss";
    case COMPARE_TRAIN_LOSS:
        return "training loss";
    case COMPARE_TRAIN_ACCURACY:
        return "training accuracy";
    case COMPARE_METRIC_COUNT:
        break;
    }
    return "";
}

static const char *x_label(enum compare_x x) {
    switch (x) {
    case COMPARE_EPOCH:
        return "epoch";
    case COMPARE_STEP:
        return "step";
    case COMPARE_IMAGES:
        return "images trained, all copies counted";
    case COMPARE_SECONDS:
        return "seconds of training";
    case COMPARE_X_COUNT:
        break;
    }
    return "";
}

/* "M = 8" reads better than "m=8". A label that is too long for a legend is cut, and numbered so
 * that it is not taken for another with the same beginning. */
static void series_label(const struct compare_group *group, size_t number, char *text,
                         size_t size) {
    const char *label = group->label;
    size_t length = strlen(label);
    size_t n = text_cut(label, length, 48);
    if (n < length) {
        (void)snprintf(text, size, "%.*s... (%zu)", (int)n, label, number);
    } else if (strncmp(label, "m=", 2) == 0 && !strchr(label, ' ')) {
        (void)snprintf(text, size, "M = %s", label + 2);
    } else {
        (void)snprintf(text, size, "%s", label);
    }
}

struct curves {
    struct plot_series *series;
    struct plot_point *points;
    char (*labels)[64];
};

static void curves_clear(struct curves *curves) {
    free(curves->series);
    free(curves->points);
    free(curves->labels);
}

static enum status make_curves(const struct comparison *comparison, struct curves *curves,
                               struct error *error) {
    size_t n_points = 0;
    for (size_t i = 0; i < comparison->n_groups; i++) {
        n_points += comparison->groups[i].n_points;
    }
    curves->series = calloc(comparison->n_groups + 1, sizeof(*curves->series));
    curves->points = calloc(n_points + 1, sizeof(*curves->points));
    curves->labels = calloc(comparison->n_groups + 1, sizeof(*curves->labels));
    if (!curves->series || !curves->points || !curves->labels) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the curves of a figure");
    }
    struct plot_point *next = curves->points;
    for (size_t i = 0; i < comparison->n_groups; i++) {
        const struct compare_group *group = &comparison->groups[i];
        series_label(group, i + 1, curves->labels[i], sizeof(curves->labels[0]));
        curves->series[i] = (struct plot_series){curves->labels[i], next, group->n_points};
        for (size_t k = 0; k < group->n_points; k++) {
            const struct compare_point *point = &group->points[k];
            *next++ = (struct plot_point){point->x, point->value.mean, point->value.std};
        }
    }
    return STATUS_OK;
}

static void reply_figure(struct reply *reply, enum figure_format format, char *bytes,
                         size_t n_bytes) {
    reply->http_status = 200;
    reply->content_type = figure_content_type(format);
    reply->body = bytes;
    reply->n_body = n_bytes;
}

static void draw_comparison(const struct request *request, struct reply *reply,
                            enum figure_format format, const struct look *look,
                            const struct compare_query *query,
                            const struct comparison *comparison) {
    CLEANUP(curves_clear) struct curves curves = {.series = NULL};
    struct error error;
    char *bytes = NULL;
    size_t n_bytes = 0;
    enum status status = make_curves(comparison, &curves, &error);
    if (status == STATUS_OK) {
        const struct plot plot = {
            .title = look->title,
            .x_label = x_label(query->request.x),
            .x_is_count = query->request.x != COMPARE_SECONDS,
            .y_label = metric_label(query->request.metric),
            .series = curves.series,
            .n_series = comparison->n_groups,
            .target = query->request.target,
            .rising = query->request.metric == COMPARE_TRAIN_ACCURACY,
            .dark = look->dark,
            .width = (double)look->width,
            .height = (double)look->height,
        };
        status = plot_draw(&plot, format, &bytes, &n_bytes, &error);
    }
    if (status != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    reply_figure(reply, format, bytes, n_bytes);
}

/* GET /figures/validation-error.svg, .png, .pdf */
void route_figure_curves(struct api_context *context, const struct request *request,
                         struct reply *reply) {
    CLEANUP(compare_query_clear) struct compare_query query = {0};
    CLEANUP(comparison_clear) struct comparison comparison = {0};
    struct look look;
    enum figure_format format = FIGURE_SVG;
    const char *dot = strrchr(request->url.path, '.');
    (void)figure_format_from_name(dot ? dot + 1 : "", &format);
    if (!read_look(request, reply, &look) || !compare_query_read(context, request, reply, &query)) {
        return;
    }
    char etag[sizeof(reply->etag)];
    (void)snprintf(etag, sizeof(etag), "W/\"%s-%s\"", query.tag, dot ? dot + 1 : "");
    if (request_has_tag(request, etag)) {
        reply->http_status = 304;
    } else if ((query.n_epochs > COMPARE_QUICK_EPOCHS ||
                look.width * look.height > QUICK_SQUARE_POINTS) &&
               reply_leave_to_slow(reply, request)) {
        return;
    } else if (compare_query_run(context, request, reply, &query, &comparison)) {
        draw_comparison(request, reply, format, &look, &query, &comparison);
    }
    if (reply->http_status == 200 || reply->http_status == 304) {
        memcpy(reply->etag, etag, sizeof(etag));
    }
}

/* GET /figures/cutout.png */

/* The other arguments of the route are fields of a run. */
static bool is_run_argument(const char *name) {
    static const char *const others[] = {"index", "epoch", "theme"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strcmp(name, others[i]) == 0) {
            return false;
        }
    }
    return true;
}

static void delete_tree(cJSON **tree) {
    cJSON_Delete(*tree);
}

/* The query as the JSON document of a run, so that its fields are checked in the one place. */
static char *run_document(const struct request *request) {
    CLEANUP(delete_tree) cJSON *document = cJSON_CreateObject();
    for (int i = 0; document && i < request->url.n_arguments; i++) {
        const struct url_argument *a = &request->url.arguments[i];
        char *end = NULL;
        double number = strtod(a->value, &end);
        if (!is_run_argument(a->name)) {
            continue;
        }
        if (strcmp(a->value, "true") == 0 || strcmp(a->value, "false") == 0) {
            (void)cJSON_AddBoolToObject(document, a->name, a->value[0] == 't');
        } else if (a->value[0] && *end == '\0' && isfinite(number)) {
            (void)cJSON_AddNumberToObject(document, a->name, number);
        } else {
            (void)cJSON_AddStringToObject(document, a->name, a->value);
        }
    }
    return document ? cJSON_PrintUnformatted(document) : NULL;
}

static bool read_run(struct api_context *context, const struct request *request,
                     struct reply *reply, struct run_spec *ret_spec) {
    const struct run_spec_context surroundings = run_surroundings(context);
    CLEANUP(free_pointer) char *document = run_document(request);
    struct field_errors errors;
    if (!document) {
        reply_problem(reply, request, STATUS_NO_MEMORY, "Try again later.");
        return false;
    }
    if (run_spec_parse(document, strlen(document), &surroundings, ret_spec, &errors) != STATUS_OK) {
        const struct field_error *first = &errors.items[0];
        reply_bad_argument(reply, request, first->pointer + (first->pointer[0] == '/'), "%s",
                           first->detail);
        return false;
    }
    if (ret_spec->config.m > INSTANCES_MAX_M) {
        reply_bad_argument(reply, request, "m", "m must be at most %d in a picture.",
                           INSTANCES_MAX_M);
        return false;
    }
    return true;
}

/* The data set is read at its first use, which may take a second, and then stays in memory: on the
 * threads of their own that pictures have. */
static void draw_instances(struct api_context *context, const struct request *request,
                           struct reply *reply, const struct run_config *config, int64_t image,
                           int64_t epoch, bool dark) {
    struct dataset_registry *registry = context->options.datasets;
    const struct dataset *dataset = NULL;
    char sha256[SHA256_HEX_SIZE];
    struct error error;
    if (dataset_registry_acquire(registry, config->dataset, &dataset, sha256, &error) !=
        STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    CLEANUP(free_pointer) struct normaliser *normaliser = calloc(1, sizeof(*normaliser));
    if (image >= dataset->train.n) {
        reply_bad_argument(reply, request, "index", "%s has %d training images: 0 to %d.",
                           config->dataset, dataset->train.n, dataset->train.n - 1);
    } else if (!normaliser) {
        reply_problem(reply, request, STATUS_NO_MEMORY, "Try again later.");
    } else {
        char *bytes = NULL;
        size_t n_bytes = 0;
        normaliser_make(&dataset->train, dataset->train.n, config->normalise, normaliser);
        const struct instances instances = {.config = config,
                                            .dataset = dataset,
                                            .normaliser = normaliser,
                                            .image = (int)image,
                                            .epoch = (int)epoch - 1,
                                            .dark = dark};
        if (instances_draw(&instances, &bytes, &n_bytes, &error) == STATUS_OK) {
            reply_figure(reply, FIGURE_PNG, bytes, n_bytes);
        } else {
            reply_error(reply, request, &error);
        }
    }
    dataset_registry_release(registry, dataset);
}

void route_figure_cutout(struct api_context *context, const struct request *request,
                         struct reply *reply) {
    int64_t image = 0;
    int64_t epoch = 1;
    bool dark = false;
    struct run_spec spec;
    if (!read_theme(request, reply, &dark) ||
        !arguments_read_count(request, reply, "index", 1000000, &image) ||
        !arguments_read_count(request, reply, "epoch", 100000, &epoch) ||
        !read_run(context, request, reply, &spec)) {
        return;
    }
    if (epoch < 1) {
        reply_bad_argument(reply, request, "epoch", "Epochs are counted from 1.");
        return;
    }
    if (spec.config.m > QUICK_INSTANCES && reply_leave_to_slow(reply, request)) {
        return;
    }
    draw_instances(context, request, reply, &spec.config, image, epoch, dark);
}
