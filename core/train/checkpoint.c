/* Layer: core/train. */
#include "core/train/checkpoint.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/config/run_fields.h"
#include "core/nn/arithmetic.h"
#include "core/train/safetensors.h"

enum {
    STATE_SIZE = 512,
    MAX_SLOTS = 2,
    MAX_FILE_TENSORS = (2 + MAX_SLOTS) * RESNET_MAX_TENSORS,
    TENSOR_NAME_SIZE = 80,
};

static const char FORMAT[] = "cutoutd-checkpoint-1";

/* ---- the state as one line ---- */

static void format_state(const struct train_state *s, int64_t optimizer_step_count,
                         char text[STATE_SIZE]) {
    (void)snprintf(text, STATE_SIZE,
                   "%d %d %a %" PRId64 " %" PRId64 " %a %a %a %d %d %d %d %" PRId64
                   " %a %d %d %d %d %a",
                   s->epochs_done, s->step, s->loss_sum, s->correct, s->images, s->train_seconds,
                   s->plateau.scale, s->plateau.best, s->plateau.wait, s->best_epoch, s->best_wrong,
                   s->diverged, optimizer_step_count, s->cross_entropy_sum, s->test_images,
                   s->own_epochs, s->epochs_without_best, s->last_wrong, s->own_seconds);
}

static bool parse_state(const char *text, struct train_state *ret, int64_t *ret_steps) {
    struct train_state s = {.cross_entropy_sum = (double)NAN};
    int diverged = 0;
    int n = sscanf(text,
                   "%d %d %la %" SCNd64 " %" SCNd64 " %la %la %la %d %d %d %d %" SCNd64
                   " %la %d %d %d %d %la",
                   &s.epochs_done, &s.step, &s.loss_sum, &s.correct, &s.images, &s.train_seconds,
                   &s.plateau.scale, &s.plateau.best, &s.plateau.wait, &s.best_epoch, &s.best_wrong,
                   &diverged, ret_steps, &s.cross_entropy_sum, &s.test_images, &s.own_epochs,
                   &s.epochs_without_best, &s.last_wrong, &s.own_seconds);
    s.diverged = diverged != 0;
    if (n < 13 || s.epochs_done < 0 || s.step < 0 || s.test_images < 0 || *ret_steps < 0 ||
        s.own_epochs < 0 || (s.own_epochs > 0 && s.test_images == 0)) {
        return false;
    }
    *ret = s;
    return true;
}

/* ---- the list of tensors, the same for writing and reading ---- */

struct tensor_list {
    size_t n;
    char names[MAX_FILE_TENSORS][TENSOR_NAME_SIZE];
    struct safetensors_tensor tensors[MAX_FILE_TENSORS];
    float *targets[MAX_FILE_TENSORS];
};

static void list_add(struct tensor_list *list, const struct tensor *tensor, const char *prefix,
                     float *values) {
    struct safetensors_tensor *t = &list->tensors[list->n];
    (void)snprintf(list->names[list->n], TENSOR_NAME_SIZE, "%s%s", prefix, tensor->name);
    *t = (struct safetensors_tensor){.name = list->names[list->n],
                                     .dtype = SAFETENSORS_F32,
                                     .n_dims = tensor->n_dims,
                                     .data = values + tensor->offset};
    for (int i = 0; i < tensor->n_dims; i++) {
        t->shape[i] = tensor->shape[i];
    }
    list->targets[list->n++] = values + tensor->offset;
}

static struct tensor_list *list_make(const struct checkpoint_contents *contents) {
    struct tensor_list *list = calloc(1, sizeof(*list));
    const struct resnet *net = contents->net;
    for (int i = 0; list && i < net->n_tensors; i++) {
        const struct tensor *t = &net->tensors[i];
        list_add(list, t, "", tensor_is_moving(t) ? contents->moving : contents->params);
    }
    for (int i = 0; list && contents->ema.params && i < net->n_tensors; i++) {
        const struct tensor *t = &net->tensors[i];
        list_add(list, t, "ema/",
                 tensor_is_moving(t) ? contents->ema.moving : contents->ema.params);
    }
    for (int slot = 0; list && slot < optimizer_slot_count(contents->optimizer); slot++) {
        char prefix[32];
        (void)snprintf(prefix, sizeof(prefix), "optimizer/%s/",
                       optimizer_slot_name(contents->optimizer, slot));
        for (int i = 0; i < net->n_tensors; i++) {
            const struct tensor *t = &net->tensors[i];
            if (!t->frozen && !tensor_is_moving(t)) {
                list_add(list, t, prefix, optimizer_slot(contents->optimizer, slot));
            }
        }
    }
    return list;
}

int64_t checkpoint_bytes(const struct run_config *config, int n_classes) {
    enum { HEADER_BYTES = 64 << 10 };
    CLEANUP(free_pointer) struct resnet *net = malloc(sizeof(*net));
    int most = n_classes > 0 ? n_classes : RESNET_MAX_CLASSES;
    if (!net || resnet_plan_of(config, most, net, NULL) != STATUS_OK) {
        return 0;
    }
    size_t n_floats = net->n_params * (1 + MAX_SLOTS) + net->n_moving;
    return (int64_t)(n_floats * sizeof(float)) + ema_bytes(config, net) + HEADER_BYTES;
}

enum status checkpoint_write(const struct checkpoint_contents *contents,
                             struct checkpoint_file *file, struct error *error) {
    CLEANUP(free_pointer) struct tensor_list *list = list_make(contents);
    if (!list) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to write a checkpoint");
    }
    char config[RUN_FINGERPRINT_SIZE];
    char state[STATE_SIZE];
    char epochs[16];
    char step[16];
    run_config_fingerprint(contents->config, contents->kernels_name, contents->winograd, config);
    format_state(contents->state, optimizer_steps(contents->optimizer), state);
    (void)snprintf(epochs, sizeof(epochs), "%d", contents->state->epochs_done);
    (void)snprintf(step, sizeof(step), "%d", contents->state->step);
    const struct safetensors_metadata metadata[] = {
        {"format", FORMAT}, {"config", config}, {"arithmetic", contents->arithmetic},
        {"state", state},   {"epoch", epochs},  {"step", step},
    };
    return safetensors_write(file->path, list->tensors, list->n, metadata,
                             sizeof(metadata) / sizeof(metadata[0]), file->sha256, &file->n_bytes,
                             error);
}

/* Behind "kernels=NAME winograd=N ", for which the arithmetic stands: it says which kernels are
 * alike, and what is +direct. */
static const char *behind_kernels(const char *fingerprint) {
    const char *at = strstr(fingerprint, " dataset=");
    return at ? at + 1 : fingerprint;
}

/* A file of before arithmetics had names is of none that there is now. */
static enum status check_arithmetic(const struct safetensors *file, const char *path,
                                    const struct checkpoint_contents *contents,
                                    struct error *error) {
    const char *arithmetic = safetensors_metadata_value(file, "arithmetic");
    arithmetic = arithmetic ? arithmetic : "of an older release";
    bool same = contents->foreign ? arithmetic_is_like(arithmetic, contents->arithmetic)
                                  : !strcmp(arithmetic, contents->arithmetic);
    return same || contents->any_arithmetic
               ? STATUS_OK
               : error_set(error, STATUS_CORRUPT,
                           "%s was trained with the arithmetic %.60s, this run is with %s", path,
                           arithmetic, contents->arithmetic);
}

static enum status check_metadata(const struct safetensors *file, const char *path,
                                  const struct checkpoint_contents *contents, struct error *error) {
    char fingerprint[RUN_FINGERPRINT_SIZE];
    const char *expected = fingerprint;
    run_config_fingerprint(contents->config, contents->kernels_name, contents->winograd,
                           fingerprint);
    const char *format = safetensors_metadata_value(file, "format");
    const char *config = safetensors_metadata_value(file, "config");
    if (!format || strcmp(format, FORMAT) != 0 || !config) {
        return error_set(error, STATUS_CORRUPT, "%s is no checkpoint of this program", path);
    }
    TRY(check_arithmetic(file, path, contents, error));
    config = behind_kernels(config);
    expected = behind_kernels(expected);
    if (!contents->foreign && strcmp(config, expected) != 0) {
        size_t at = 0;
        while (config[at] && config[at] == expected[at]) {
            at++;
        }
        while (at > 0 && config[at - 1] != ' ') {
            at--;
        }
        return error_set(error, STATUS_CORRUPT,
                         "%s belongs to another run: it has %.60s, this run %.60s", path,
                         config + at, expected + at);
    }
    return STATUS_OK;
}

static bool same_form(const struct safetensors_tensor *a, const struct safetensors_tensor *b) {
    return a->dtype == b->dtype && a->n_dims == b->n_dims &&
           !memcmp(a->shape, b->shape, (size_t)a->n_dims * sizeof(a->shape[0]));
}

static void free_safetensors(struct safetensors **file) {
    safetensors_free(*file);
}

/* A run of other settings had perhaps no average: it begins here. */
static bool lacks_ema(const struct safetensors *file, const struct checkpoint_contents *contents) {
    char name[TENSOR_NAME_SIZE];
    (void)snprintf(name, sizeof(name), "ema/%s", contents->net->tensors[0].name);
    return contents->foreign && contents->ema.params && !safetensors_find(file, name);
}

enum status checkpoint_read(const char *path, const char *sha256,
                            struct checkpoint_contents *contents, struct error *error) {
    CLEANUP(free_safetensors) struct safetensors *file = NULL;
    CLEANUP(free_pointer) struct tensor_list *list = list_make(contents);
    if (!list) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to read a checkpoint");
    }
    TRY(safetensors_read(path, sha256, &file, error));
    TRY(check_metadata(file, path, contents, error));
    const char *state = safetensors_metadata_value(file, "state");
    int64_t steps = 0;
    if (!state || !parse_state(state, contents->state, &steps)) {
        return error_set(error, STATUS_CORRUPT, "%s has no readable state", path);
    }
    if (contents->foreign) {
        train_state_take_over(contents->state);
    }
    optimizer_set_steps(contents->optimizer, steps);
    bool no_ema = lacks_ema(file, contents);
    for (size_t i = 0; i < list->n; i++) {
        if (no_ema && !strncmp(list->names[i], "ema/", strlen("ema/"))) {
            continue;
        }
        const struct safetensors_tensor *t = safetensors_find(file, list->names[i]);
        if (!t || !same_form(t, &list->tensors[i])) {
            return error_set(error, STATUS_CORRUPT, "%s lacks the tensor %s in the right shape",
                             path, list->names[i]);
        }
        memcpy(list->targets[i], t->data, (size_t)safetensors_numbers(t) * sizeof(float));
    }
    if (no_ema) {
        ema_begin(&contents->ema, contents->net, contents->params, contents->moving);
    }
    return STATUS_OK;
}
