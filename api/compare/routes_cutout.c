/* GET /figures/cutout.png: what cutout does to an image. Layer: api. */
#include "api/compare/routes_compare.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/change/admission.h"
#include "api/figure/instances.h"
#include "api/query/arguments.h"
#include "api/query/figure_query.h"
#include "core/base/cleanup.h"
#include "daemon/spec/json_tree.h"

/* More are left to the threads for what takes long. */
enum { QUICK_INSTANCES = 8 };

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

/* A field of the run as the query has it. False: no memory. */
static bool add_field(cJSON *document, const struct url_argument *a) {
    char *end = NULL;
    double number = strtod(a->value, &end);
    if (strcmp(a->value, "true") == 0 || strcmp(a->value, "false") == 0) {
        return cJSON_AddBoolToObject(document, a->name, a->value[0] == 't') != NULL;
    }
    if (a->value[0] && *end == '\0' && isfinite(number)) {
        return cJSON_AddNumberToObject(document, a->name, number) != NULL;
    }
    return cJSON_AddStringToObject(document, a->name, a->value) != NULL;
}

/* The query as the JSON document of a run, so that its fields are checked in the one place. NULL:
 * no memory. */
static char *run_document(const struct request *request) {
    CLEANUP(json_delete) cJSON *document = cJSON_CreateObject();
    /* No picture depends on it, and a few images must not be too few for a batch. */
    bool whole = document && cJSON_AddNumberToObject(document, "batch_size", 1);
    for (int i = 0; whole && i < request->url.n_arguments; i++) {
        const struct url_argument *a = &request->url.arguments[i];
        whole = !is_run_argument(a->name) || add_field(document, a);
    }
    return whole ? json_print(document) : NULL;
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
    enum status status =
        run_spec_parse(document, strlen(document), &surroundings, ret_spec, &errors);
    if (status == STATUS_NO_MEMORY) {
        reply_problem(reply, request, status, "Try again later.");
        return false;
    }
    if (status != STATUS_OK) {
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
        /* Of the images that are trained on, as the trainer takes it. */
        int n_train = config->train_images > 0 && config->train_images < dataset->train.n
                          ? config->train_images
                          : dataset->train.n;
        normaliser_make(&dataset->train, n_train, config->normalise, normaliser);
        const struct instances instances = {.config = config,
                                            .dataset = dataset,
                                            .normaliser = normaliser,
                                            .n_train = n_train,
                                            .image = (int)image,
                                            .epoch = (int)epoch - 1,
                                            .dark = dark};
        if (instances_draw(&instances, &bytes, &n_bytes, &error) == STATUS_OK) {
            reply_bytes(reply, request, figure_content_type(FIGURE_PNG), bytes, n_bytes);
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
    if (!figure_query_theme(request, reply, &dark) ||
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
