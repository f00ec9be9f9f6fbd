/* Layer: core/train. */
#include "core/train/evaluate.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/config/run_fields.h"
#include "core/data/augment.h"
#include "core/nn/engine.h"
#include "core/train/safetensors.h"

/* What a validation works on. */
struct validation {
    const struct evaluate_options *options;
    struct resnet net;
    struct team *team;
    struct engine *engine;
    float *params; /* [n_params] */
    float *moving; /* [n_moving] */
    struct normaliser normaliser;
};

static void free_safetensors(struct safetensors **file) {
    safetensors_free(*file);
}

static void free_validation(struct validation **validation) {
    struct validation *v = *validation;
    if (v) {
        engine_free(v->engine);
        team_free(v->team);
        free(v->params);
        free(v->moving);
        free(v);
    }
}

static void free_evaluation(struct evaluation **evaluation) {
    evaluation_free(*evaluation);
}

void evaluation_free(struct evaluation *evaluation) {
    if (evaluation) {
        free(evaluation->predicted);
        free(evaluation->logits);
        free(evaluation);
    }
}

enum status evaluate_read_config(const char *path, struct run_config *ret_config,
                                 int *ret_epochs_done, struct error *error) {
    CLEANUP(free_safetensors) struct safetensors *file = NULL;
    TRY(safetensors_read(path, NULL, &file, error));
    const char *fingerprint = safetensors_metadata_value(file, "config");
    const char *epochs = safetensors_metadata_value(file, "epoch");
    if (!fingerprint || !epochs) {
        return error_set(error, STATUS_CORRUPT, "%s is no checkpoint of this program", path);
    }
    enum status status = run_config_from_fingerprint(fingerprint, ret_config, error);
    if (status != STATUS_OK) {
        error_prefix(error, "%.200s", path);
        return status;
    }
    *ret_epochs_done = (int)strtol(epochs, NULL, 10);
    return STATUS_OK;
}

/* Copies the weights and the moving statistics; what the optimizer has kept stays in the file. */
static enum status read_tensors(struct validation *v, const struct safetensors *file,
                                struct error *error) {
    for (int i = 0; i < v->net.n_tensors; i++) {
        const struct tensor *tensor = &v->net.tensors[i];
        char name[sizeof("ema/") + sizeof(tensor->name)];
        (void)snprintf(name, sizeof(name), "%s%s", v->options->ema ? "ema/" : "", tensor->name);
        const struct safetensors_tensor *found = safetensors_find(file, name);
        bool same = found && found->dtype == SAFETENSORS_F32 && found->n_dims == tensor->n_dims;
        for (int d = 0; same && d < tensor->n_dims; d++) {
            same = found->shape[d] == tensor->shape[d];
        }
        if (!same) {
            return error_set(error, STATUS_INVALID, "%s has no %s of the form that its run says",
                             v->options->path, name);
        }
        float *target = tensor_is_moving(tensor) ? v->moving : v->params;
        memcpy(target + tensor->offset, found->data, tensor->n * sizeof(float));
    }
    return STATUS_OK;
}

/* The classes that the network in the file tells apart. */
static enum status check_classes(const struct evaluate_options *o, const struct safetensors *file,
                                 struct error *error) {
    const struct safetensors_tensor *bias = safetensors_find(file, "dense/bias");
    if (!bias || bias->n_dims != 1) {
        return error_set(error, STATUS_INVALID, "%s has no dense layer", o->path);
    }
    return bias->shape[0] == o->dataset->n_classes
               ? STATUS_OK
               : error_set(error, STATUS_INVALID,
                           "%s tells %lld classes apart, the data set %s has %d", o->path,
                           (long long)bias->shape[0], o->dataset->name, o->dataset->n_classes);
}

static enum status prepare(struct validation *v, const struct run_config *config,
                           struct error *error) {
    const struct evaluate_options *o = v->options;
    CLEANUP(free_safetensors) struct safetensors *file = NULL;
    TRY(safetensors_read(o->path, NULL, &file, error));
    TRY(check_classes(o, file, error));
    if (o->ema && config->ema <= 0) {
        return error_set(error, STATUS_INVALID,
                         "%s has no average of the weights: its run has no ema", o->path);
    }
    TRY(resnet_plan_of(config, o->dataset->n_classes, &v->net, error));
    v->params = aligned_alloc(64, v->net.n_params * sizeof(float));
    v->moving = calloc(v->net.n_moving, sizeof(float));
    if (!v->params || !v->moving) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a network");
    }
    memset(v->params, 0, v->net.n_params * sizeof(float));
    TRY(read_tensors(v, file, error));
    TRY(team_create(&(struct team_options){.n_threads = o->n_threads}, &v->team, error));
    const struct engine_options options = {
        .net = &v->net,
        .kernels = o->kernels,
        .team = v->team,
        .winograd = o->kernels->has_winograd && config->conv_algorithm != CONV_DIRECT,
    };
    return engine_create(&options, &v->engine, error);
}

static uint8_t test_image(void *user, int index, float *ret_image) {
    const struct validation *v = user;
    const struct image_set *set = &v->options->dataset->test;
    augment_test_image(&v->normaliser, set, index, ret_image);
    return set->labels[index];
}

static int at_most(int wanted, int there) {
    return wanted > 0 && wanted < there ? wanted : there;
}

static void validate(struct validation *v, struct evaluation *e) {
    const struct dataset *dataset = v->options->dataset;
    int n_classes = v->net.n_classes;
    engine_evaluate_prepare(v->engine, v->params, v->moving);
    for (int first = 0; first < e->n_images; first += ENGINE_EVALUATE_MAX) {
        int rest = e->n_images - first;
        int n = rest < ENGINE_EVALUATE_MAX ? rest : ENGINE_EVALUATE_MAX;
        struct engine_result result;
        engine_evaluate(v->engine, test_image, v, first, n,
                        e->logits + (ptrdiff_t)first * n_classes, e->predicted + first, &result);
        e->cross_entropy += result.loss / e->n_images;
        e->n_wrong += n - result.correct;
        confusion_add(&e->confusion, dataset->test.labels + first, e->predicted + first, n);
    }
}

enum status evaluate_checkpoint(const struct evaluate_options *options,
                                const struct run_config *config, struct evaluation **ret,
                                struct error *error) {
    const struct dataset *dataset = options->dataset;
    CLEANUP(free_validation) struct validation *v = calloc(1, sizeof(*v));
    CLEANUP(free_evaluation) struct evaluation *e = calloc(1, sizeof(*e));
    if (!v || !e) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a validation");
    }
    v->options = options;
    TRY(prepare(v, config, error));
    e->n_images = at_most(config->test_images, dataset->test.n);
    e->predicted = calloc((size_t)e->n_images, sizeof(*e->predicted));
    e->logits = calloc((size_t)e->n_images * (size_t)v->net.n_classes, sizeof(*e->logits));
    if (!e->predicted || !e->logits) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the logits of %d images",
                         e->n_images);
    }
    confusion_begin(&e->confusion, dataset);
    normaliser_make(&dataset->train, at_most(config->train_images, dataset->train.n),
                    config->normalise, &v->normaliser);
    validate(v, e);
    *ret = e;
    e = NULL;
    return STATUS_OK;
}
