/* Opening a trainer: sizes, memory, a beginning or a checkpoint. Layer: core/train. */
#include "core/train/trainer_internal.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"

void trainer_close(struct trainer **trainer) {
    struct trainer *t = *trainer;
    if (t) {
        engine_free(t->engine);
        optimizer_free(t->optimizer);
        team_free(t->team);
        free(t->params);
        free(t->moving);
        free(t->moving_before);
        free(t->moving_unused);
        free(t->losses);
        free(t->hardest);
        ema_close(&t->ema);
        free(t->gradient);
        free(t->order);
        free(t);
    }
}

bool trainer_uses_winograd(const struct run_config *config, const struct kernels *kernels) {
    enum conv_algorithm wanted =
        config->conv_algorithm == CONV_AUTO ? CONV_BEST : config->conv_algorithm;
    return wanted == CONV_WINOGRAD && kernels->has_winograd;
}

static enum status resolve_count(int wanted, int available, const char *field, int *ret_n,
                                 struct error *error) {
    if (wanted > available) {
        return error_set(error, STATUS_INVALID, "%s: %d are wanted, the data set has %d", field,
                         wanted, available);
    }
    *ret_n = wanted > 0 ? wanted : available;
    return STATUS_OK;
}

static enum status resolve_sizes(struct trainer *t, struct error *error) {
    const struct dataset *dataset = t->options->dataset;
    TRY(resolve_count(t->config->train_images, dataset->train.n, "train_images", &t->n_train,
                      error));
    TRY(resolve_count(t->config->test_images, dataset->test.n, "test_images", &t->n_test, error));
    t->steps_per_epoch = run_steps_per_epoch(t->config, t->n_train);
    if (t->steps_per_epoch < 1) {
        return error_set(error, STATUS_INVALID,
                         "batch_size: %d training images make no whole batch of %d, and drop_last "
                         "leaves out what is smaller",
                         t->n_train, run_batch_sources(t->config));
    }
    return STATUS_OK;
}

static struct engine_options engine_options_of(const struct run_config *config,
                                               const struct kernels *kernels,
                                               const struct resnet *net, struct team *team) {
    return (struct engine_options){
        .net = net,
        .kernels = kernels,
        .team = team,
        .max_images = run_batch_images(config),
        .winograd = trainer_uses_winograd(config, kernels),
        .bf16 = config->activations == ACTIVATIONS_BF16,
        .label_smoothing = config->label_smoothing,
    };
}

static float *new_floats(size_t n) {
    float *values = aligned_alloc(64, (n * sizeof(*values) + 63) / 64 * 64);
    if (values) {
        memset(values, 0, n * sizeof(*values));
    }
    return values;
}

static enum status open_memory(struct trainer *t, struct error *error) {
    t->params = new_floats(t->net.n_params);
    t->moving = new_floats(t->net.n_moving);
    t->moving_before = new_floats(t->net.n_moving);
    t->gradient = new_floats(t->net.n_params);
    t->order = calloc((size_t)t->n_train, sizeof(*t->order));
    bool complete = t->params && t->moving && t->moving_before && t->gradient && t->order;
    if (t->config->backward_share < 1) {
        size_t n = (size_t)run_batch_images(t->config);
        t->moving_unused = new_floats(t->net.n_moving);
        t->losses = calloc(n, sizeof(*t->losses));
        t->hardest = calloc(n, sizeof(*t->hardest));
        complete = complete && t->moving_unused && t->losses && t->hardest;
    }
    if (!complete) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the parameters of the network");
    }
    return ema_open(t->config, &t->net, &t->ema, error);
}

/* What the run needs is there by then: memory that is wanting for the file alone is no more of a
 * reason to give up than another error of reading. */
static enum status read_checkpoint(struct trainer *t, struct error *error) {
    const struct trainer_options *o = t->options;
    struct checkpoint_contents contents = trainer_contents(t);
    struct error why = {.message = ""};
    enum status status = checkpoint_read(o->resume_path, o->resume_sha256, &contents, &why);
    status = status == STATUS_NO_MEMORY ? STATUS_IO : status;
    return status == STATUS_OK ? STATUS_OK : error_set(error, status, "%s", why.message);
}

static enum status open_state(struct trainer *t, struct error *error) {
    const struct trainer_options *o = t->options;
    trainer_arithmetic(t->config, o->kernels, t->arithmetic);
    t->state = train_state_begin();
    t->saved_epochs = -1;
    checkpoint_files_begin(&t->files, o->checkpoint_dir, o->resume_path);
    if (o->resume_path) {
        TRY(read_checkpoint(t, error));
        t->saved_epochs = t->state.epochs_done;
        t->saved_step = t->state.step;
    } else {
        resnet_init(&t->net, t->config->seed, t->params, t->moving);
        ema_begin(&t->ema, &t->net, t->params, t->moving);
    }
    train_state_validate_with(&t->state, t->n_test);
    return STATUS_OK;
}

enum status trainer_open(struct trainer *t, struct error *error) {
    const struct trainer_options *o = t->options;
    TRY(run_config_check(t->config, error));
    TRY(resolve_sizes(t, error));
    TRY(resnet_plan_of(t->config, o->dataset->n_classes, &t->net, error));
    TRY(open_memory(t, error));
    TRY(optimizer_create(t->config, &t->net, &t->optimizer, error));
    TRY(team_create(&(struct team_options){o->n_threads, o->pin_threads}, &t->team, error));
    struct engine_options options = engine_options_of(t->config, o->kernels, &t->net, t->team);
    options.profile = o->profile;
    options.streamed = o->streamed;
    TRY(engine_create(&options, &t->engine, error));
    normaliser_make(&o->dataset->train, t->n_train, t->config->normalise, &t->normaliser);
    TRY(open_state(t, error));
    t->checkpoint_at_s = clock_monotonic_s(o->clock) + o->checkpoint_interval_s;
    return STATUS_OK;
}

int64_t trainer_memory_bytes(const struct run_config *config, int n_classes,
                             const struct kernels *kernels, int n_threads) {
    CLEANUP(free_pointer) struct resnet *net = malloc(sizeof(*net));
    int most = n_classes > 0 ? n_classes : RESNET_MAX_CLASSES;
    if (!net || resnet_plan_of(config, most, net, NULL) != STATUS_OK) {
        return 0;
    }
    const struct engine_options options = engine_options_of(config, kernels, net, NULL);
    int slots = config->optimizer == OPTIMIZER_ADAM ? 2 : 1;
    return engine_memory_bytes(&options, n_threads) +
           (int64_t)(net->n_params * sizeof(float)) * (2 + slots) + ema_bytes(config, net);
}
